// The head of an answer as it goes over the wire.
#pragma once

#include <optional>
#include <string>

#include "serve/http/http.h"

namespace inkstone::http {

struct ReplyHead {
  int version = 11;  // of the request
  bool keep_alive = true, chunked = false;
  std::optional<size_t> length;  // of the body; none: no Content-Length
  // The latter: a page that may read the answer, or empty.
  std::string request_id, origin;
};
// Throws Error where a header's name or value cannot stand in a head.
std::string reply_head(const Reply& reply, const ReplyHead& head);

}  // namespace inkstone::http
