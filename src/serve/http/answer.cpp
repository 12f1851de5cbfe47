#include "serve/http/answer.h"

#include "serve/http/reply_head.h"
#include "serve/http/request_policy.h"
#include "serve/support/log.h"

namespace inkstone::http {
namespace {

using serve::given;
using serve::log_line;
using serve::LogLevel;

}  // namespace

Answer::Answer(std::string client, uint64_t written) : written_before_(written) {
  request_.id = request_id("");
  request_.client = std::move(client);
}

std::string Answer::head(const Reply& reply, std::optional<size_t> length, bool chunked) {
  std::string text =
      reply_head(reply, {request_.version, request_.keep_alive, chunked, length, request_.id, request_.origin});
  status_ = reply.status;
  return text;
}

std::string Answer::begin(const Reply& reply) { return head(reply, reply.content().size(), false); }

std::string Answer::begin_stream(const Reply& reply) {
  const bool chunked = request_.version == 11;
  if (!chunked) request_.keep_alive = false;
  std::string text = head(reply, std::nullopt, chunked);
  chunked_ = chunked;
  events_ = reply.content_type.starts_with("text/event-stream");
  return text;
}

bool Answer::sends_body() const { return request_.method != "HEAD" && status_ != 204 && status_ != 304; }

std::string Answer::piece(std::string_view bytes) const {
  if (bytes.empty() || request_.method == "HEAD") return "";
  if (!chunked_) return std::string(bytes);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string framed;
  for (size_t rest = bytes.size(); rest > 0; rest >>= 4) framed.insert(framed.begin(), kDigits[rest & 15]);
  framed.reserve(framed.size() + bytes.size() + 4);
  return framed.append("\r\n").append(bytes).append("\r\n");
}

std::string Answer::end() const { return chunked_ && request_.method != "HEAD" ? "0\r\n\r\n" : ""; }

void Answer::log(bool client_gone, uint64_t written) const {
  const LogLevel level = is_routine(request_.path) ? LogLevel::kDebug : LogLevel::kInfo;
  const double took = std::chrono::duration<double>(Clock::now() - started_).count();
  log_line(level, client_gone ? "client gone" : "request",
           {{"request", request_.id},
            {"trace", given(request_.trace)},
            {"client", request_.client},
            {"method", request_.method},
            {"path", request_.path},
            {"status", status_},
            {"bytes", written - written_before_},
            {"seconds", took}});
}

}  // namespace inkstone::http
