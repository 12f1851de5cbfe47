// What a Redis server says, in RESP2, read by hiredis' reader with limits of our own: the server is another machine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;

namespace inkstone::serve {

struct RedisReply {
  enum class Kind { kNil, kText, kNumber, kList, kError };
  Kind kind = Kind::kNil;
  std::string text;  // kText, kError
  int64_t number = 0;
  std::vector<RedisReply> items;

  bool is_error(std::string_view code) const;  // "OOM", the first word
};

inline constexpr size_t kMaxReplyBytes = size_t{64} << 20, kMaxReplyItems = 1 << 20;
inline constexpr int kMaxReplyDepth = 2;  // lists in lists

class RedisReader {
 public:
  RedisReader();
  ~RedisReader();
  RedisReader(const RedisReader&) = delete;
  RedisReader& operator=(const RedisReader&) = delete;

  // Throws Error where it is no reply, or passes a limit; the reader is of no use then.
  void feed(std::string_view bytes);
  std::optional<RedisReply> next();

 private:
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
};

// A command as it goes over the wire.
std::string redis_command(std::span<const std::string> words);

}  // namespace inkstone::serve
