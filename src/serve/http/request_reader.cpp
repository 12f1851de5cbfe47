#include "serve/http/request_reader.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>

#include "serve/http/refusal.h"

namespace inkstone::http {
namespace {

namespace beast_http = boost::beast::http;
using ErrorCode = boost::beast::error_code;
using Text = boost::beast::string_view;

constexpr size_t kMaxChunkHead = 4096;
// "0 CR LF CR LF"; Beast 1.81 asserts that it sees the last chunk with this much.
constexpr size_t kMinBody = 5;
constexpr const char* kBadChunk = "a chunk must begin with its size in hexadecimal digits";
// Bytes of chunk heads for each byte of a body.
constexpr size_t kMaxOverhead = 16;

[[noreturn]] void malformed(const std::string& why) { throw Refusal(400, "bad_request", why); }

std::string lower(Text text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

bool plain_number(const std::string& text) {
  return !text.empty() && text.size() < 20 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

// Whether the bytes so far can become "[CR LF after the previous chunk] SIZE [;...] CR LF", with
// trailers if the size is 0.
bool chunk_head(std::string_view text, bool first) {
  for (const char c : {'\r', '\n'})
    if (!first && text.starts_with(c)) text.remove_prefix(1);
  const size_t size = text.find_first_not_of("0123456789abcdefABCDEF");
  if (size == text.npos) return true;
  if (size == 0 || (text[size] != ';' && text[size] != '\r')) return false;
  const bool last = text.find_first_not_of('0') == size;
  const size_t end = last ? text.size() : std::min(text.find("\r\n"), text.size());
  for (size_t i = size; i < end; ++i)
    if (text[i] == '\n' && text[i - 1] != '\r') return false;
  return true;
}

// Headers that must not occur twice, because readers differ in which one they use.
constexpr std::string_view kSingle[] = {"content-length", "transfer-encoding", "host",   "content-type",
                                        "authorization",  "content-encoding",  "expect", "origin"};

}  // namespace

struct RequestReader::Parser : beast_http::basic_parser<true> {
  explicit Parser(RequestReader& owner) : reader(owner) {
    eager(true);
    body_limit(boost::none);
    header_limit(static_cast<uint32_t>(reader.max_header_ + 16));
  }

  void on_request_impl(beast_http::verb, Text method, Text target, int, ErrorCode&) override {
    reader.request_.method = std::string(method);
    reader.target_ = std::string(target);
  }
  void on_response_impl(int, Text, int, ErrorCode&) override {}
  void on_field_impl(beast_http::field, Text name, Text value, ErrorCode&) override {
    // Trailers are not wanted, and could be taken for headers.
    if (trailers) return;
    std::string key = lower(name);
    // Also where the first is empty.
    const bool again =
        std::ranges::any_of(reader.request_.headers, [&](const auto& seen) { return seen.first == key; });
    if (again && std::ranges::find(kSingle, key) != std::end(kSingle)) malformed("the header " + key + " comes twice");
    reader.request_.headers.emplace_back(std::move(key), std::string(value));
  }
  void on_header_impl(ErrorCode&) override { trailers = true; }
  void on_body_init_impl(boost::optional<uint64_t> const&, ErrorCode&) override {}
  size_t on_body_impl(Text part, ErrorCode&) override {
    reader.request_.body += part;
    return part.size();
  }
  void on_chunk_header_impl(uint64_t size, Text extension, ErrorCode&) override {
    if (!extension.empty() && extension.front() != ';') malformed(kBadChunk);
    if (size > reader.max_body_ - std::min(reader.max_body_, reader.request_.body.size()))
      throw Refusal(413, "body_too_large", "the body is larger than " + std::to_string(reader.max_body_) + " bytes");
  }
  size_t on_chunk_body_impl(uint64_t, Text part, ErrorCode&) override {
    reader.request_.body += part;
    return part.size();
  }
  void on_finish_impl(ErrorCode&) override {}

  RequestReader& reader;
  bool trailers = false;
};

RequestReader::RequestReader(size_t max_header, size_t max_headers)
    : max_header_(max_header), max_headers_(max_headers) {}

RequestReader::~RequestReader() = default;

bool RequestReader::keep_alive() const { return parser_->keep_alive(); }

std::optional<uint64_t> RequestReader::content_length() const {
  const auto length = parser_->content_length();
  return length ? std::optional<uint64_t>(*length) : std::nullopt;
}

size_t RequestReader::take(std::string_view bytes) {
  if (state_ == State::kDone) return 0;
  return state_ == State::kHead ? take_head(bytes) : take_body(bytes);
}

// Checks line by line, so that an error is answered at once and not at the time limit.
size_t RequestReader::take_head(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (held_.size() == max_header_)
      throw Refusal(431, "header_too_large",
                    "the request's head is larger than " + std::to_string(max_header_) + " bytes");
    if (c == '\0') malformed("NUL in the request's head");
    const bool after_return = held_.ends_with('\r');
    if ((c == '\n') != after_return) malformed("lines of the request's head must end in CR LF");
    held_ += c;
    if (c != '\n') continue;
    const std::string_view line = std::string_view(held_).substr(line_, held_.size() - 2 - line_);
    if (line.empty()) {  // the head is complete
      parser_ = std::make_unique<Parser>(*this);
      parse(held_);
      held_ = std::string();
      state_ = parser_->is_done() ? State::kDone : State::kBody;
      if (state_ == State::kBody && !parser_->chunked() && !parser_->content_length())
        malformed("a body without a length");
      return i + 1;
    }
    check_line(line);
    line_ = held_.size();
  }
  return bytes.size();
}

void RequestReader::check_line(std::string_view line) {
  if (lines_++ == 0) {
    if (line.ends_with(" HTTP/1.0"))
      version_ = 10;
    else if (const size_t at = line.rfind(" HTTP/"); !line.ends_with(" HTTP/1.1"))
      at == line.npos ? malformed("the first line must be METHOD TARGET HTTP/1.1")
                      : throw Refusal(505, "bad_version", "this server speaks HTTP/1.1");
    return;
  }
  if (lines_ > max_headers_ + 1)
    throw Refusal(431, "too_many_headers", "more than " + std::to_string(max_headers_) + " headers");
  if (line.front() == ' ' || line.front() == '\t') malformed("a folded header line");
  const size_t colon = line.find(':');
  if (colon == 0 || colon == line.npos) malformed("a header line without a name");
  const std::string name = lower(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) value.remove_suffix(1);
  if (name == "content-length" && !plain_number(std::string(value)))
    malformed("content-length must be a number of digits only");
  if (name == "transfer-encoding" && lower(value) != "chunked")
    throw Refusal(501, "bad_transfer_encoding", "the only transfer-encoding here is chunked");
  if (name == "transfer-encoding" && version_ == 10) malformed("transfer-encoding in HTTP/1.0");
}

size_t RequestReader::take_body(std::string_view bytes) {
  const bool chunked = parser_->chunked();
  if (chunked && body_bytes_ == 0 && held_.size() + bytes.size() < kMinBody) {
    held_ += bytes;
    if (!chunk_head(held_, true)) malformed(kBadChunk);
    return bytes.size();
  }
  if (held_.empty() || !chunked) {
    const size_t taken = parse(bytes);
    body_bytes_ += taken;
    if (!parser_->is_done())
      held_ = bytes.substr(taken);
    else
      state_ = State::kDone;
    if (state_ == State::kDone) return taken;
  } else {
    const size_t before = held_.size();
    held_ += bytes;
    const size_t taken = parse(held_);
    body_bytes_ += taken;
    if (parser_->is_done()) {
      held_ = std::string();
      state_ = State::kDone;
      return taken - before;
    }
    held_.erase(0, taken);
  }
  if (!held_.empty() && !chunk_head(held_, body_bytes_ == 0)) malformed(kBadChunk);
  if (held_.size() > kMaxChunkHead) malformed("a chunk's head or the trailers are larger than 4096 bytes");
  if (body_bytes_ > kMaxOverhead * (max_body_ + kMaxChunkHead))
    throw Refusal(413, "body_too_large", "the chunks' heads are far larger than the body");
  return bytes.size();
}

size_t RequestReader::parse(std::string_view bytes) {
  size_t taken = 0;
  ErrorCode error;
  while (taken < bytes.size() && !parser_->is_done()) {
    const size_t part = parser_->put(boost::asio::buffer(bytes.data() + taken, bytes.size() - taken), error);
    taken += part;
    if (error && error != beast_http::error::need_more) malformed("malformed HTTP: " + error.message());
    if (part == 0) break;
  }
  return taken;
}

}  // namespace inkstone::http
