#include "serve/http/request_admission.h"

#include <algorithm>
#include <utility>

#include "serve/http/eviction.h"
#include "serve/http/refusal.h"
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

}  // namespace

Admission RequestAdmission::admit(const Peer& peer) {
  learn_client(peer);
  Router::Match match = match_route();
  check_names();
  if (state_.policy.listed_origin(request_)) record_.origin = request_.header("origin");
  if (!match.route) return {.reply = answer_without_route(match)};
  request_.captured = std::move(match.captured);
  Admission admission{match.route};
  admission.delay = delay_of_client(*match.route);
  request_.client = record_.client;
  if (admission.delay == Clock::duration() && !match.route->at_head)
    admission.awaits_continue = admit_body(*match.route);
  return admission;
}

void RequestAdmission::learn_client(const Peer& peer) {
  request_.address = peer.address;
  request_.prefix = state_.settings.root_path;
  record_.trace = request_.trace = trace_id(request_.header("traceparent"));
  if (peer.trusted_proxy) {
    forwarded_ = read_forwarded(request_, state_.proxies);
    if (forwarded_.client) request_.address = key_of(*forwarded_.client);
    if (!forwarded_.prefix.empty()) request_.prefix = forwarded_.prefix;
    if (!forwarded_.scheme.empty()) request_.scheme = forwarded_.scheme;
  } else {
    // Believed of anybody: it stands only in links of the answer to who sent it.
    if (request_.header("x-forwarded-proto") == "https") request_.scheme = "https";
    if (is_loopback(peer.address) && !request_.header("x-forwarded-for").empty() &&
        !std::exchange(state_.told_of_proxy, true))
      log_line(LogLevel::kWarning, "proxy not trusted",
               {{"peer", peer.address},
                {"problem",
                 "its clients count as one, because X-Forwarded-For is believed only of proxies that "
                 "--trusted-proxies lists: --trusted-proxies loopback"}});
  }
  record_.client = "ip:" + request_.address;
}

// The name by which the client called the proxy must be known, and so must that by which the proxy calls us.
void RequestAdmission::check_names() {
  state_.policy.check_host(request_, record_.version);
  if (!forwarded_.host.empty()) {
    std::erase_if(request_.headers, [](const auto& header) { return header.first == "host"; });
    request_.headers.emplace_back("host", forwarded_.host);
    state_.policy.check_host(request_, record_.version);
  }
  state_.policy.check_origin(request_);
}

// Below a path of a proxy a request comes as the client sent it, or without that path.
Router::Match RequestAdmission::match_route() {
  record_.id = request_.id = request_id(request_.header("x-request-id"));
  record_.method = request_.method;
  record_.version = reader_.version();
  record_.keep_alive = reader_.keep_alive();
  Target target = parse_target(reader_.target());
  if (!target.authority.empty()) {
    std::erase_if(request_.headers, [](const auto& header) { return header.first == "host"; });
    request_.headers.emplace_back("host", target.authority);
  }
  record_.path = request_.path = std::move(target.path);
  request_.query = std::move(target.query);
  for (const std::string& prefix : {request_.prefix, state_.settings.root_path}) {
    const std::optional<std::string> inner = below(prefix, request_.path);
    if (!inner) continue;
    Router::Match match = state_.router.match(request_.method, *inner);
    if (!match.route && match.methods.empty()) continue;
    record_.path = request_.path = *inner;
    record_.errors = match.errors;
    return match;
  }
  Router::Match match = state_.router.match(request_.method, request_.path);
  record_.errors = match.errors;
  return match;
}

// Who asks is known by a key; without one it is the address, as the record says already. A wrong key
// is answered late: returns the delay, or zero.
Clock::duration RequestAdmission::delay_of_client(const Route& route) {
  const std::string_view authorization = request_.header("authorization");
  if (state_.keys.none() || (route.open && authorization.empty())) return {};
  if (const auto client = state_.keys.client(authorization)) {
    record_.client = *client;
    return {};
  }
  if (route.open) return {};
  const Clock::duration delay =
      authorization.empty() ? Clock::duration() : state_.wrong_keys.delay(request_.address, Clock::now());
  if (delay == Clock::duration()) throw Refusal(401, "unauthorized", "a valid key is needed");
  return delay;
}

bool RequestAdmission::admit_body(const Route& route) {
  const bool has_body = reader_.state() == RequestReader::State::kBody;
  const bool asks = RequestPolicy::expects_continue(request_, record_.version);
  RequestPolicy::check_body(request_, has_body, route.pictures);
  const size_t max = route.pictures ? state_.settings.max_image_body : state_.settings.max_body;
  if (reader_.content_length().value_or(0) > max)
    throw Refusal(413, "body_too_large", "the body is larger than " + std::to_string(max) + " bytes");
  reader_.allow_body(max);
  return asks && has_body;
}

Reply RequestAdmission::answer_without_route(const Router::Match& match) const {
  if (match.methods.empty()) throw Refusal(404, "not_found", "there is nothing at this address");
  const std::string allowed = joined(match.methods) + ", OPTIONS";
  Reply reply;
  if (request_.method == "OPTIONS") {
    reply.status = 204;
    if (!record_.origin.empty()) {
      reply.headers = {{"Access-Control-Allow-Methods", allowed},
                       {"Access-Control-Allow-Headers",
                        "authorization, content-type, accept, prefer, idempotency-key, x-request-id, traceparent"},
                       {"Access-Control-Max-Age", "600"}};
      // A page on the internet asks so before it calls a server on this machine or network.
      if (request_.header("access-control-request-private-network") == "true")
        reply.headers.emplace_back("Access-Control-Allow-Private-Network", "true");
    }
  } else {
    reply =
        error_reply(record_.errors, {405, "method_not_allowed", "this address takes " + allowed, "", 0}, record_.id);
  }
  reply.headers.emplace_back("Allow", allowed);
  return reply;
}

}  // namespace inkstone::http
