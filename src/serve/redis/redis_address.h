// Where a Redis server is and how to log in, as operators write it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace inkstone::serve {

struct RedisAddress {
  std::string host = "127.0.0.1";
  uint16_t port = 6379;
  std::filesystem::path socket;  // where set: in place of host and port
  bool tls = false;
  int database = 0;
  std::string user, password;  // without a user: Redis' default user; the password is never in an address

  std::string shown() const;  // without the password
};

// redis://[USER@]HOST[:PORT][/DATABASE], rediss://... with TLS, unix:/PATH. Throws UsageError; a password in it too, for
// other users of the machine see it there.
RedisAddress parse_redis_address(std::string_view text);

}  // namespace inkstone::serve
