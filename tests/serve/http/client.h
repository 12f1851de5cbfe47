// A client that says exactly what it is told to, on a blocking socket to 127.0.0.1; every wait is
// bounded.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace inkstone::http {

struct Answer {
  int status = 0;                              // 0: there was none
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class Client {
 public:
  // `from`: of 127.0.0.FROM.
  explicit Client(uint16_t port, int receive_buffer = 0, uint8_t from = 1);
  Client(Client&& other) noexcept;
  ~Client();

  // False where the server has closed or takes no more.
  bool send(std::string_view bytes);
  Answer answer(bool head_only = false);
  Answer ask(std::string_view bytes) { return send(bytes) ? answer() : Answer(); }
  bool receive_until(std::string_view text);  // into received()
  bool receive_once() { return receive_more(); }
  std::string receive_all();  // until the server closes
  // The server has, or does within the limit; reads what comes before.
  bool closed();
  void half_close();
  void reset();  // closes with RST
  const std::string& received() const { return received_; }
  void set_limit(double seconds) { limit_ = seconds; }

 private:
  bool receive_more();
  std::string line();
  int socket_ = -1;
  double limit_ = 10;
  std::string received_;
};

std::string get(std::string_view path, std::string_view more_headers = "");
std::string post(std::string_view path, std::string_view body, std::string_view more_headers = "");

}  // namespace inkstone::http
