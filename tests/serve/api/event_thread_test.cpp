// What a client sends is read on the event thread, so its cost has a bound: bodies of the kinds that
// cost most, as long as they may be, to every route that takes one. What is counted is what the heap
// gives: a copy for each value, or for each byte, is seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "base/base64.h"
#include "serve/api/fakes.h"
#include "serve/failing_new.h"

namespace {

thread_local size_t allocated = 0;  // bytes, of this thread, freed ones too

void* allocate(size_t size) {
  allocated += size;
  return memory_of(size);
}

}  // namespace

namespace inkstone::serve {
namespace {

// Of a body's bytes, and beside them. The exchange's own copy of the body is one.
constexpr size_t kMostCopies = 8, kMostBeside = 64 << 10;

std::string repeated(const std::string& begin, const std::function<std::string(size_t)>& part, const std::string& end,
                     size_t bytes) {
  std::string text = begin;
  for (size_t i = 0;; i++) {
    const std::string next = (i ? "," : "") + part(i);
    if (text.size() + next.size() + end.size() > bytes) return text + end;
    text += next;
  }
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

// A PNG of nothing but text chunks.
std::string png_of(const std::string& kind, const std::string& content, size_t bytes) {
  std::string png("\x89PNG\r\n\x1a\n");
  const std::string chunk = big_endian(static_cast<uint32_t>(content.size())) + kind + content + "crc.";
  while (png.size() + chunk.size() < bytes) png += chunk;
  return png;
}

using Bodies = std::map<std::string, std::string>;

// `field`: a text field of the route; without it the request is refused early.
Bodies worst_bodies(size_t bytes, const std::string& field) {
  const auto number = [](size_t i) { return std::to_string(i); };
  const std::string text = "{\"" + field + "\":\"";
  Bodies bodies;
  bodies["many keys"] = repeated(
      "{", [&](size_t i) { return "\"" + number(i) + "\":0"; }, "}", bytes);
  bodies["one key"] = repeated(
      "{", [&](size_t) { return "\"" + field + "\":\"\""; }, "}", bytes);
  bodies["numbers"] = repeated("{\"" + field + "\":[", number, "]}", bytes);
  bodies["long numbers"] = repeated(
      "{\"seed\":[", [](size_t i) { return std::string(300, '9') + "e-" + std::to_string(i); }, "]}", bytes);
  bodies["a number"] = "{\"seed\":" + std::string(bytes - 10, '9') + "}";
  bodies["depth"] = std::string(bytes, '[');
  for (std::string& deep = bodies["depth of objects"]; deep.size() + 5 <= bytes;) deep += "{\"a\":";
  bodies["a text"] = text + std::string(bytes - 100, 'x') + "\"}";
  bodies["a text of escapes"] = repeated(
      text, [](size_t) { return std::string("\\u2028\\n"); }, "\"}", bytes);
  bodies["a text of wide letters"] = repeated(
      text, [](size_t) { return std::string("\xf0\x9f\xa6\x8a"); }, "\"}", bytes);
  bodies["a long key"] = "{\"" + std::string(bytes - 10, 'k') + "\":1}";
  bodies["prompts"] = repeated(
      "{\"prompt\":[", [](size_t) { return std::string("\"a fox\""); }, "]}", bytes);
  bodies["options"] = repeated(
      "{\"prompt\":\"x\",\"override_settings\":{", [&](size_t i) { return "\"o" + number(i) + "\":true"; }, "}}",
      bytes);
  bodies["blanks"] = std::string(bytes - 2, ' ') + "{}";
  bodies["no text"] = std::string(bytes, '\xff');
  const std::string zeros(4, '\0'), broken("k\0\0broken", 9), empty("k\0", 2);
  for (const auto& [kind, content] : std::map<std::string, std::string>{
           {"zTXt", broken}, {"tEXt", empty}, {"iTXt", std::string("k\0\1\0\0\0x", 7)}, {"none", zeros}})
    bodies["chunks " + kind] = "{\"image\":\"" + base64(png_of(kind, content, (bytes - 20) / 4 * 3)) + "\"}";
  return bodies;
}

std::string filled(std::string pattern) {
  for (size_t at = pattern.find('{'); at != std::string::npos; at = pattern.find('{'))
    pattern.replace(at, pattern.find('}') - at + 1, "x");
  return pattern;
}

TEST(EventThread, no_body_of_any_route_makes_more_than_a_few_times_its_bytes) {
  FakeServer server;
  const std::vector<http::Route> routes = server.router.routes();
  int posts = 0;
  for (const http::Route& route : routes) {
    if (route.method != "POST") continue;
    posts++;
    const http::Settings& http = server.settings.http;
    const size_t bytes = route.at_head ? 100 : route.pictures ? http.max_image_body : http.max_body;
    const std::string field = route.pattern.find("png-info") != std::string::npos ? "image" : "prompt";
    for (const auto& [kind, body] : worst_bodies(bytes, field)) {
      ASSERT_LE(body.size(), bytes) << kind;
      const Ask ask{"POST", filled(route.pattern), body};
      const size_t before = allocated;
      server.ask(ask);
      EXPECT_LE(allocated - before, kMostCopies * body.size() + kMostBeside)
          << route.pattern << ": " << kind << ", " << body.size() << " bytes";
    }
  }
  EXPECT_GE(posts, 10);
}

}  // namespace
}  // namespace inkstone::serve
