// The answer to one request, as text: its head, the frames of its body, and its line in the log. It
// sends nothing itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "serve/http/alarm.h"
#include "serve/http/http.h"
#include "serve/http/request_record.h"

namespace inkstone::http {

class Answer {
 public:
  // Its request begins now. `written` counts the bytes that the connection has sent, here and in
  // log().
  Answer(std::string client, uint64_t written);
  RequestRecord& request() { return request_; }

  // These return the answer's head, and it has begun. If a header cannot stand in a head, they throw
  // Error, and it has not begun. To old clients a stream ends with the connection.
  std::string begin(const Reply& reply);
  std::string begin_stream(const Reply& reply);
  bool begun() const { return status_ != 0; }
  bool sends_events() const { return events_; }
  // Whether the reply's body is sent after begin(): not for HEAD, nor where the status has none.
  bool sends_body() const;
  // What is sent after begin_stream(): these bytes of the body, and its end. Empty for HEAD.
  std::string piece(std::string_view bytes) const;
  std::string end() const;

  void log(bool client_gone, uint64_t written) const;

 private:
  std::string head(const Reply& reply, std::optional<size_t> length, bool chunked);

  RequestRecord request_;
  const Clock::time_point started_ = Clock::now();
  const uint64_t written_before_;
  int status_ = 0;
  bool chunked_ = false, events_ = false;
};

}  // namespace inkstone::http
