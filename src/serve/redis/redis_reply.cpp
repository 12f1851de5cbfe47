#include "serve/redis/redis_reply.h"

#include <hiredis/read.h>

#include "base/error.h"

namespace inkstone::serve {
namespace {

// hiredis builds its replies by these. A null ends the reading with an error; nothing may be thrown through C.
RedisReply* place(const redisReadTask* task, RedisReply::Kind kind) noexcept {
  try {
    if (!task->parent) {
      auto root = std::make_unique<RedisReply>();
      root->kind = kind;
      return root.release();
    }
    RedisReply& item = static_cast<RedisReply*>(task->parent->obj)->items.at(static_cast<size_t>(task->idx));
    item.kind = kind;
    return &item;
  } catch (const std::exception&) {
    return nullptr;
  }
}

void free_reply(void* reply) noexcept { delete static_cast<RedisReply*>(reply); }

// Of a reply that its reader does not know yet.
void* abandon(const redisReadTask* task, RedisReply* reply) noexcept {
  if (!task->parent) free_reply(reply);
  return nullptr;
}

void* create_text(const redisReadTask* task, char* bytes, size_t size) noexcept {
  RedisReply* reply = place(task, task->type == REDIS_REPLY_ERROR ? RedisReply::Kind::kError : RedisReply::Kind::kText);
  try {
    if (reply) reply->text.assign(bytes, size);
  } catch (const std::exception&) {
    return abandon(task, reply);
  }
  return reply;
}

void* create_list(const redisReadTask* task, int count) noexcept {
  int depth = 1;
  for (const redisReadTask* above = task->parent; above; above = above->parent) depth++;
  if (depth > kMaxReplyDepth || static_cast<size_t>(count) > kMaxReplyItems) return nullptr;
  RedisReply* reply = place(task, RedisReply::Kind::kList);
  try {
    if (reply) reply->items.resize(static_cast<size_t>(count));
  } catch (const std::exception&) {
    return abandon(task, reply);
  }
  return reply;
}

void* create_number(const redisReadTask* task, long long value) noexcept {
  RedisReply* reply = place(task, RedisReply::Kind::kNumber);
  if (reply) reply->number = value;
  return reply;
}

void* create_nil(const redisReadTask* task) noexcept { return place(task, RedisReply::Kind::kNil); }

redisReader* new_reader() {
  static redisReplyObjectFunctions functions = [] {
    redisReplyObjectFunctions all{};
    all.createString = create_text;
    all.createArray = create_list;
    all.createInteger = create_number;
    all.createNil = create_nil;
    all.freeObject = free_reply;
    return all;
  }();
  redisReader* reader = redisReaderCreateWithFunctions(&functions);
  INKSTONE_CHECK(reader, "no memory for a reader of replies");
  return reader;
}

}  // namespace

bool RedisReply::is_error(std::string_view code) const {
  return kind == Kind::kError && std::string_view(text).substr(0, text.find(' ')) == code;
}

RedisReader::RedisReader() : reader_(new_reader(), redisReaderFree) {}
RedisReader::~RedisReader() = default;

void RedisReader::feed(std::string_view bytes) {
  INKSTONE_CHECK(reader_->len - reader_->pos + bytes.size() <= kMaxReplyBytes, "a reply of more than ", kMaxReplyBytes,
                 " bytes");
  INKSTONE_CHECK(redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK, reader_->errstr);
}

std::optional<RedisReply> RedisReader::next() {
  void* found = nullptr;
  INKSTONE_CHECK(redisReaderGetReply(reader_.get(), &found) == REDIS_OK, "no reply of Redis: ", reader_->errstr);
  if (!found) return std::nullopt;
  const std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(found));
  return std::move(*reply);
}

std::string redis_command(std::span<const std::string> words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return text;
}

}  // namespace inkstone::serve
