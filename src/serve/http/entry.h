// How the event loop enters a connection. An exception, such as of memory that is short, ends that
// connection and never the server.
#pragma once

#include <exception>

#include "serve/support/log.h"

namespace inkstone::http {

// `close` must not throw.
template <typename Body, typename Close>
void enter_connection(const Body& body, const Close& close) noexcept {
  try {
    return body();
  } catch (const std::exception& error) {
    try {
      serve::log_line(serve::LogLevel::kError, "connection", {{"problem", error.what()}});
    } catch (const std::exception&) {  // there is not even memory for the line
    }
  }
  close();
}

}  // namespace inkstone::http
