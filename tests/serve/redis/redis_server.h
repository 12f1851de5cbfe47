// A redis-server of the tests' own, with a folder and a socket of its own; it ends with this.
#pragma once

#include <string>
#include <vector>

#include "serve/redis/redis_address.h"
#include "support/scratch_folder.h"

namespace inkstone::serve {

class RedisServer {
 public:
  // `more`: further arguments, as "--appendonly yes".
  explicit RedisServer(const std::vector<std::string>& more = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  static bool there_is_one();  // installed on this machine
  RedisAddress address() const;
  void start();
  void kill();  // SIGKILL
  void stop_for_now();
  void go_on();
  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  ScratchFolder folder_;
  std::vector<std::string> more_;
  int pid_ = 0;
};

}  // namespace inkstone::serve
