// The head of an answer as it goes over the wire.
#pragma once

#include <optional>
#include <string>

#include "serve/http/http.h"

namespace inkstone::http {

struct ReplyHead {
  int version = 11;  // of the request
  bool keep_alive = true, chunked = false;
  std::optional<size_t> length;  // unset: no Content-Length
  // origin: the site whose page may read the answer, or empty.
  std::string request_id, origin;
};
// Throws Error if a header's name or value is not allowed in a head.
std::string reply_head(const Reply& reply, const ReplyHead& head);

}  // namespace inkstone::http
