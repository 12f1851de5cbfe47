// What a Redis server says, in pieces, and what the job store reads of it.
#include <array>

#include "base/error.h"
#include "serve/redis/redis_answers.h"

namespace inkstone::serve {
namespace {

void read_as_all(const RedisReply& reply) {
  const auto attempt = [&](auto read) {
    try {
      read(reply);
    } catch (const Error&) {
    }
  };
  attempt(submit_answer);
  attempt(cancel_answer);
  attempt(finish_answer);
  attempt([](const RedisReply& one) { return states_answer(one, 2); });
  attempt(lease_answer);
  attempt(beat_answer);
  attempt(notices_answer);
  attempt(figures_answer);
}

}  // namespace
}  // namespace inkstone::serve

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace inkstone::serve;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    RedisReader reader;
    const size_t piece = size == 0 ? 1 : 1 + data[0] % 16;
    for (size_t at = 1; at < size; at += piece) {
      reader.feed(bytes.substr(at, piece));
      while (const auto reply = reader.next()) read_as_all(*reply);
    }
  } catch (const inkstone::Error&) {
  }
  return 0;
}
