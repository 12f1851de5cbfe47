#include "serve/http/request_admission.h"

#include <algorithm>

#include "serve/http/refusal.h"
#include "serve/http/target.h"

namespace inkstone::http {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : ", ") + word;
  return list;
}

}  // namespace

Admission RequestAdmission::admit() {
  Router::Match match = match_route();
  state_.policy.check_host(request_, record_.version);
  state_.policy.check_origin(request_);
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
  RequestPolicy::check_body(request_, has_body);
  const size_t max = route.max_body ? route.max_body : state_.settings.max_body;
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
                        "authorization, content-type, accept, prefer, idempotency-key, x-request-id"},
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
