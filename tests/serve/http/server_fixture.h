// A server on a port of 127.0.0.1 that the system chooses, with an event thread, and routes that
// answer, hold or stream as a test wants.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "serve/http/client.h"
#include "serve/http/server.h"

namespace inkstone::http {

class ServerFixture {
 public:
  explicit ServerFixture(Settings settings = quick());
  ~ServerFixture();
  // Port 0, deadlines of a fraction of a second where a test waits for them.
  static Settings quick();
  Client client(int receive_buffer = 0) { return Client(port, receive_buffer); }

  // On the event thread.
  template <typename F>
  auto at(F work) {
    std::packaged_task<decltype(work())()> task(std::move(work));
    auto result = task.get_future();
    boost::asio::post(events, std::move(task));
    return result.get();
  }
  Figures figures() {
    return at([this] { return server->figures(); });
  }
  // Whether it becomes true within ten seconds; looks at it on the event thread.
  bool becomes(const std::function<bool()>& true_now);

  boost::asio::io_context events{1};
  std::vector<ExchangePtr> held;   // of GET /hold and GET /stream
  int gone = 0;                    // of these
  std::atomic<int64_t> turns = 0;  // of the event loop
  std::optional<Server> server;
  uint16_t port = 0;

 private:
  void add_routes(Router& router);
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::thread thread_;
};

}  // namespace inkstone::http
