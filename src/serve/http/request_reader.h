// Reads one HTTP/1.1 request from bytes that come in any pieces, without a socket. Beast's parser
// reads the grammar; this class is stricter. It refuses a request that two readers could understand
// differently (two lengths, a length and chunks, folded lines, bare line ends, signs in numbers),
// and holds nothing beyond the limits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/http/http.h"

namespace inkstone::http {

class RequestReader {
 public:
  enum class State { kHead, kBody, kDone };

  RequestReader(size_t max_header, size_t max_headers);
  ~RequestReader();

  // Takes bytes from the front and returns how many; stops after the head and after the request.
  // Throws Refusal.
  size_t take(std::string_view bytes);
  State state() const { return state_; }

  // Valid after the head: method and headers, and when it is done the body.
  Request& request() { return request_; }
  const std::string& target() const { return target_; }
  int version() const { return version_; }  // 10 or 11
  bool keep_alive() const;
  bool has_body() const { return state_ == State::kBody || !request_.body.empty(); }
  std::optional<uint64_t> content_length() const;
  void allow_body(size_t max) { max_body_ = max; }  // more is Refusal 413
  // Takes the memory for a body of known length once, so that it does not grow by doubling.
  void reserve_body(size_t bytes) { request_.body.reserve(bytes); }

 private:
  struct Parser;
  size_t take_head(std::string_view bytes);
  size_t take_body(std::string_view bytes);
  void check_line(std::string_view line);
  size_t parse(std::string_view bytes);

  const size_t max_header_, max_headers_;
  // body_bytes_ counts bytes as they came, including the heads of chunks.
  size_t max_body_ = 0, body_bytes_ = 0;
  State state_ = State::kHead;
  Request request_;
  std::string target_;
  int version_ = 11;
  // Bytes of the head, or of a chunk's head, until it is complete.
  std::string held_;
  // The offset in held_ of the line that is not complete.
  size_t line_ = 0;
  size_t lines_ = 0;
  std::unique_ptr<Parser> parser_;
};

}  // namespace inkstone::http
