// One worker process at the other end of a socket pair. The listener gets each of its reports, then
// once that it has left, and nothing after that. Killed with its owner; no child stays behind.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serve/wire/wire.h"

namespace inkstone::serve {

class WorkerListener {
 public:
  virtual ~WorkerListener() = default;
  virtual void reported(WorkerReport report) = 0;
  virtual void exited(std::string_view why) noexcept = 0;  // for the log
};

class WorkerProcess {
 public:
  // Throws Error where the program cannot be started. The listener outlives this.
  WorkerProcess(boost::asio::io_context& events, const std::vector<std::string>& program, WorkerListener& listener);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  // Throws Error where the worker has left, or does not read. Its answer may bring so many bytes of
  // pixels; no more are read.
  void send(const WorkerCommand& command, size_t max_pixel_bytes);
  void kill();  // says nothing any more
  // Whether its process is gone, and with it all that it held.
  bool reaped();
  int pid() const { return pid_; }

 private:
  void listen();
  void hear() noexcept;

  boost::asio::posix::stream_descriptor socket_;
  WorkerListener& listener_;
  pid_t pid_ = 0;
  size_t max_pixel_bytes_ = 0;
  bool killed_ = false, reaped_ = false;
  // What waits in the event loop asks for it.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace inkstone::serve
