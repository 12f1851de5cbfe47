// What the log and the answer say of a request. It is known bit by bit as the request comes in.
#pragma once

#include <string>

#include "serve/http/http.h"

namespace inkstone::http {

struct RequestRecord {
  std::string id, client, method, path;
  std::string trace;   // of its traceparent, or empty
  std::string origin;  // a page that may read the answer, or empty
  int version = 11;
  bool keep_alive = false;               // the connection is not closed after the answer
  ErrorShape errors = ErrorShape::kOwn;  // how an error is answered
};

}  // namespace inkstone::http
