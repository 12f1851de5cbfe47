// One life of a worker: a child process at the other end of a socket pair. It says what the worker says, and once that it has left;
// nothing after that. Killed with its owner; no child stays behind.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>
#include <vector>

#include "serve/wire/wire.h"

namespace inkstone::serve {

class WorkerListener {
 public:
  virtual ~WorkerListener() = default;
  virtual void said(WorkerReport report) = 0;
  virtual void left(const std::string& why) = 0;  // for the log
};

class WorkerProcess {
 public:
  // Throws Error where the program cannot be started. The listener outlives this.
  WorkerProcess(boost::asio::io_context& events, const std::vector<std::string>& program, WorkerListener& listener);
  ~WorkerProcess();
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  void send(const WorkerCommand& command);  // throws Error where the worker has left, or does not read
  void kill();                              // says nothing any more
  bool reaped();                            // whether its process is gone, and with it all that it held
  int pid() const { return pid_; }

 private:
  void listen();
  void hear();

  boost::asio::posix::stream_descriptor socket_;
  WorkerListener& listener_;
  pid_t pid_ = 0;
  bool killed_ = false, reaped_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what waits in the event loop asks for it
};

}  // namespace inkstone::serve
