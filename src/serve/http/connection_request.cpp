// What a connection does with the bytes of a request, and how it answers.
#include <algorithm>

#include "serve/http/connection.h"
#include "serve/http/connection_exchange.h"
#include "serve/http/refusal.h"
#include "serve/http/reply_head.h"
#include "serve/http/target.h"
#include "serve/support/log.h"

namespace inkstone::http {
namespace {

using serve::log_line;
using serve::LogLevel;

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

// Probes come every few seconds and say nothing.
bool probe(std::string_view path) {
  return path.starts_with("/health") || path == "/metrics" || path.starts_with("/v2/health");
}

}  // namespace

void Connection::begin_record() {
  record_.begun = true;
  record_.started = Clock::now();
  record_.id = request_id("");
  record_.client = "ip:" + address_;
  ++state_->figures.requests;
}

void Connection::feed(std::string_view bytes) {
  try {
    while (!bytes.empty() && reading()) read_request(bytes);
  } catch (const Refusal& refusal) {
    if (refusal.error.status == 400) ++state_->figures.malformed;
    refuse(refusal.error);
  }
  if (phase_ != Phase::kClosed && phase_ != Phase::kLingering) ahead_ += bytes;
}

void Connection::read_request(std::string_view& bytes) {
  if (!reader_) {
    if (bytes.front() == '\r' || bytes.front() == '\n')
      return bytes.remove_prefix(1);  // between requests, RFC 9112 2.2
    reader_ = std::make_unique<RequestReader>(state_->settings.max_header, state_->settings.max_headers);
    begin_record();
    phase_ = Phase::kHead;
    phase_due_ = Clock::now() + after(state_->settings.header_seconds);
  }
  bytes.remove_prefix(reader_->take(bytes));
  if (phase_ == Phase::kHead && reader_->state() != RequestReader::State::kHead) {
    phase_ = Phase::kBody;
    phase_due_ = Clock::now() + after(state_->settings.body_seconds);
    admit();
  }
  if (phase_ == Phase::kBody && reader_->state() == RequestReader::State::kDone) dispatch();
}

// The head alone decides whether the body is wanted.
void Connection::admit() {
  Request& request = reader_->request();
  record_.id = request.id = request_id(request.header("x-request-id"));
  record_.method = request.method;
  record_.version = reader_->version();
  record_.keep_alive = reader_->keep_alive();
  request.address = address_;
  Target target = parse_target(reader_->target());
  if (!target.authority.empty()) {
    std::erase_if(request.headers, [](const auto& header) { return header.first == "host"; });
    request.headers.emplace_back("host", target.authority);
  }
  record_.path = request.path = std::move(target.path);
  request.query = std::move(target.query);
  match_ = state_->router.match(request.method, request.path);
  record_.errors = match_.errors;
  state_->policy.check_host(request, record_.version);
  state_->policy.check_origin(request);
  if (state_->policy.listed_origin(request)) record_.origin = request.header("origin");
  if (!match_.route) return answer_without_route(request);
  request.captured = std::move(match_.captured);
  admit_client(request, *match_.route);
  if (phase_ == Phase::kBody) admit_body(*match_.route);
}

void Connection::admit_client(Request& request, const Route& route) {
  const std::string_view authorization = request.header("authorization");
  if (!state_->keys.none() && !(route.open && authorization.empty())) {
    if (const auto client = state_->keys.client(authorization)) {
      record_.client = *client;
    } else if (!route.open) {
      const auto now = Clock::now();
      const auto delay = authorization.empty() ? Clock::duration() : state_->wrong_keys.delay(address_, now);
      if (delay == Clock::duration()) throw Refusal(401, "unauthorized", "a valid key is needed");
      phase_ = Phase::kAuthDelay;
      phase_due_ = now + delay;
      if (!state_->draining && !std::exchange(counted_, true)) ++state_->figures.exchanges;
    }
  }
  request.client = record_.client;
}

void Connection::admit_body(const Route& route) {
  const Request& request = reader_->request();
  const bool has_body = reader_->state() == RequestReader::State::kBody;
  const bool asks = RequestPolicy::expects_continue(request, record_.version);
  RequestPolicy::check_body(request, has_body);
  const size_t max = route.max_body ? route.max_body : state_->settings.max_body;
  if (reader_->content_length().value_or(0) > max)
    throw Refusal(413, "body_too_large", "the body is larger than " + std::to_string(max) + " bytes");
  reader_->allow_body(max);
  if (asks && has_body) send("HTTP/1.1 100 Continue\r\n\r\n");
}

void Connection::answer_without_route(const Request& request) {
  if (match_.methods.empty()) throw Refusal(404, "not_found", "there is nothing at this address");
  const std::string allowed = joined(match_.methods) + ", OPTIONS";
  Reply reply;
  if (request.method == "OPTIONS") {
    reply.status = 204;
    if (!record_.origin.empty()) {
      reply.headers = {{"Access-Control-Allow-Methods", allowed},
                       {"Access-Control-Allow-Headers",
                        "authorization, content-type, accept, prefer, idempotency-key, x-request-id"},
                       {"Access-Control-Max-Age", "600"}};
    }
  } else {
    reply =
        error_reply(record_.errors, {405, "method_not_allowed", "this address takes " + allowed, "", 0}, record_.id);
  }
  reply.headers.emplace_back("Allow", allowed);
  answer(std::move(reply));
}

void Connection::dispatch() {
  const auto exchange = std::make_shared<ConnectionExchange>(shared_from_this(), std::move(reader_->request()));
  reader_.reset();
  phase_ = Phase::kWorking;
  if (!std::exchange(counted_, true)) ++state_->figures.exchanges;
  exchange_ = exchange.get();
  try {
    match_.route->handler(exchange);
  } catch (const UsageError& error) {
    if (exchange_ == exchange.get() && exchange->open())
      exchange->reply(error_reply(record_.errors, {400, "invalid_request", error.what(), "", 0}, record_.id));
  } catch (const std::exception& error) {
    log_line(LogLevel::kError, "handler", {{"request", exchange->request().id}, {"problem", error.what()}});
  }
}

void Connection::refuse(const Error& error) {
  Reply reply = error_reply(record_.errors, error, record_.id);
  // Where the next request begins is not sure.
  if (error.status == 400) record_.keep_alive = false;
  if (error.status == 401)
    reply.headers.emplace_back("WWW-Authenticate", record_.errors == ErrorShape::kA1111 ? "Basic realm=\"inkstone\""
                                                                                        : "Bearer realm=\"inkstone\"");
  answer(std::move(reply));
}

std::string Connection::head_of(const Reply& reply, std::optional<size_t> length, bool chunked) {
  return reply_head(reply, {record_.version, record_.keep_alive, chunked, length, record_.id, record_.origin});
}

// After its first line an answer is certain.
void Connection::begin_answer(const Reply& reply) {
  record_.status = reply.status;
  ++state_->answers[reply.status];
  if (!std::exchange(counted_, true)) ++state_->figures.exchanges;
}

void Connection::answer(Reply reply) {
  const bool unread = reader_ && reader_->state() != RequestReader::State::kDone;
  if (unread || state_->draining) record_.keep_alive = false;
  std::string head = head_of(reply, reply.body.size(), false);
  begin_answer(reply);
  reader_.reset();
  exchange_ = nullptr;
  phase_ = Phase::kSending;
  outbox_.push(std::move(head));
  if (record_.method != "HEAD" && reply.status != 204 && reply.status != 304) outbox_.push(std::move(reply.body));
  flush();
}

void Connection::reply(Reply reply) { answer(std::move(reply)); }

void Connection::begin_stream(Reply head) {
  const bool chunked = record_.version == 11;
  if (!chunked || state_->draining) record_.keep_alive = false;
  std::string text = head_of(head, std::nullopt, chunked);
  begin_answer(head);
  record_.chunked = chunked;
  record_.events = head.content_type.starts_with("text/event-stream");
  ping_due_ = Clock::now() + after(state_->settings.ping_seconds);
  send(std::move(text));
  arm();
}

void Connection::write(std::string_view chunk) {
  if (chunk.empty() || record_.method == "HEAD") return;
  if (unsent() > state_->settings.max_unsent) {
    log_line(LogLevel::kWarning, "slow reader",
             {{"request", record_.id}, {"client", record_.client}, {"unsent", unsent()}});
    return lost();
  }
  ping_due_ = Clock::now() + after(state_->settings.ping_seconds);
  if (!record_.chunked) return send(std::string(chunk));
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string framed;
  for (size_t rest = chunk.size(); rest > 0; rest >>= 4) framed.insert(framed.begin(), kDigits[rest & 15]);
  framed.reserve(framed.size() + chunk.size() + 4);
  send(framed.append("\r\n").append(chunk).append("\r\n"));
}

void Connection::end_stream() {
  exchange_ = nullptr;
  phase_ = Phase::kSending;
  if (record_.chunked && record_.method != "HEAD") outbox_.push("0\r\n\r\n");
  flush();
}

void Connection::abandon() {
  if (phase_ != Phase::kWorking) return;
  exchange_ = nullptr;
  // The missing end of the stream tells the client.
  if (record_.status) return lost();
  refuse({500, "internal_error", "the server failed at this request; its log says more under the request's id", "", 0});
}

void Connection::answered() {
  if (phase_ != Phase::kSending || !outbox_.empty()) return;
  log(false);
  state_->figures.exchanges -= std::exchange(counted_, false);
  if (record_.keep_alive)
    rest();
  else
    linger();
}

void Connection::log(bool gone) {
  const LogLevel level = probe(record_.path) ? LogLevel::kDebug : LogLevel::kInfo;
  const double took = std::chrono::duration<double>(Clock::now() - record_.started).count();
  log_line(level, gone ? "client gone" : "request",
           {{"request", record_.id},
            {"client", record_.client},
            {"method", record_.method},
            {"path", record_.path},
            {"status", record_.status},
            {"bytes", record_.bytes},
            {"seconds", took}});
}

}  // namespace inkstone::http
