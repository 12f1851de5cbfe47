// Any bytes are a request or a refusal, the same whether they come at once or one by one, and never
// beyond the limits.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "serve/http/refusal.h"
#include "serve/http/request_reader.h"
#include "serve/http/target.h"

namespace {

constexpr size_t kMaxHeader = 1000, kMaxBody = 500;

struct Outcome {
  int status = 0;  // of a refusal
  size_t taken = 0;
  std::string target, body;
  size_t headers = 0;
  bool done = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view bytes, size_t step) {
  inkstone::http::RequestReader reader(kMaxHeader, 20);
  Outcome outcome;
  try {
    while (outcome.taken < bytes.size() && reader.state() != inkstone::http::RequestReader::State::kDone) {
      outcome.taken += reader.take(bytes.substr(outcome.taken, step));
      reader.allow_body(kMaxBody);
    }
    outcome.done = reader.state() == inkstone::http::RequestReader::State::kDone;
    if (!outcome.done) return outcome;
    outcome.target = reader.target();
    outcome.body = reader.request().body;
    outcome.headers = reader.request().headers.size();
    // The length itself is the connection's to judge, before it reads on.
    if (!reader.content_length() && outcome.body.size() > kMaxBody) std::abort();
    if (outcome.headers > 20 || outcome.target.size() > kMaxHeader) std::abort();
  } catch (const inkstone::http::Refusal& refusal) {
    outcome = {};
    outcome.status = refusal.error.status;
    if (outcome.status < 400 || outcome.status > 505) std::abort();
  }
  return outcome;
}

void check_target(const std::string& raw) {
  try {
    const inkstone::http::Target target = inkstone::http::parse_target(raw);
    const std::string inside = target.path + "/";
    if (!target.path.starts_with('/') || !inkstone::http::valid_utf8(target.path)) std::abort();
    if (inside.find("/../") != inside.npos || inside.find('\0') != inside.npos) std::abort();
    for (const auto& [name, value] : target.query)
      if (!inkstone::http::valid_utf8(name) || !inkstone::http::valid_utf8(value)) std::abort();
    inkstone::http::Router router;
    router.add({"GET", "/jobs/{id}/images/{n}", {}, inkstone::http::ErrorShape::kOwn});
    if (router.match("GET", target.path).captured.size() % 2) std::abort();
  } catch (const inkstone::http::Refusal&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  for (const std::string& text :
       {bytes, "GET /" + bytes, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + bytes}) {
    const Outcome whole = read(text, text.size());
    if (whole != read(text, 1)) std::abort();
    if (whole.done) check_target(whole.target);
  }
  check_target(bytes);
  check_target("/" + bytes);
  return 0;
}
