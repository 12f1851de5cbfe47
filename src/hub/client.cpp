#include "hub/client.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "hub/url.h"

namespace inkstone {
namespace {

constexpr int kMostTries = 5, kMostRedirects = 6;
constexpr double kLongestPause = 300;
// Of a redirect or an error: what keeps the connection open for the next request.
constexpr size_t kMostOfIdleBody = 64 << 10;

bool is_content(int status) { return status == 200 || status == 206 || status == 416; }
bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Retry-After in seconds; a date there, which is rare, counts as none.
double retry_after(const HttpAnswer& answer) {
  const std::string text = answer.header("retry-after");
  int seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return error == std::errc() && end == text.data() + text.size() ? std::max(seconds, 0) : 0;
}

}  // namespace

void Patience::again(const TryAgain& failure) {
  INKSTONE_CHECK(++tries_ < kMostTries, failure.what(), " (", kMostTries, " tries)");
  INKSTONE_CHECK(failure.seconds() <= kLongestPause, failure.what(), ": it asks to wait ", failure.seconds(),
                 " s: run this again then");
  pause_(failure.what(), failure.seconds() > 0 ? failure.seconds() : 1 << (tries_ - 1));
}

HubClient::HubClient(HttpTransport& transport, HubAccess access, HubId id, Patience::Pause pause)
    : transport_(transport), access_(std::move(access)), id_(std::move(id)), pause_(std::move(pause)) {}

std::string HubClient::listing_url() const {
  return access_.endpoint + "/api/models/" + id_.model() + "/revision/" + url_quoted(id_.revision, false) +
         "?blobs=true";
}

std::string HubClient::file_url(const std::string& commit, const std::string& path) const {
  return access_.endpoint + "/" + id_.model() + "/resolve/" + commit + "/" + url_quoted(path, true);
}

std::string HubClient::host() const { return url_host(access_.endpoint); }

std::string HubClient::text(const std::string& url, size_t most_bytes) {
  for (Patience patience(pause_);;) try {
      std::string result;
      const auto begin = [&](const HttpAnswer&) { result.clear(); };
      const auto add = [&](std::span<const std::byte> bytes) {
        INKSTONE_CHECK(bytes.size() <= most_bytes - result.size(), host(), " answered more than ", most_bytes,
                       " bytes to ", url);
        result.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return true;
      };
      fetch(url, 0, {[](const HttpAnswer&) {}, begin, add});
      return result;
    } catch (const TryAgain& failure) {
      patience.again(failure);
    }
}

void HubClient::fetch(const std::string& first, uint64_t from, const Receiver& receiver) {
  std::string url = first;
  for (int redirects = 0;; ++redirects) {
    INKSTONE_CHECK(redirects <= kMostRedirects, host(), " redirects ", first, " more than ", kMostRedirects, " times");
    const bool is_hub = url_origin(url) == url_origin(access_.endpoint);
    const HttpAnswer answer = exchange(url, from, is_hub, receiver);
    if (is_content(answer.status)) return;
    if (!is_redirect(answer.status)) refuse(answer, url, is_hub);
    url = next_url(url, answer);
  }
}

HttpAnswer HubClient::exchange(const std::string& url, uint64_t from, bool is_hub, const Receiver& receiver) {
  bool content = false;
  size_t idle = 0;
  const auto on_head = [&](const HttpAnswer& answer) {
    reached_ = true;
    if (is_hub) receiver.on_hub(answer);
    content = is_content(answer.status);
    if (content) receiver.on_begin(answer);
    return answer.status != 416;
  };
  const auto on_bytes = [&](std::span<const std::byte> bytes) {
    return content ? receiver.on_bytes(bytes) : (idle += bytes.size()) <= kMostOfIdleBody;
  };
  try {
    return transport_.get({url, is_hub ? access_.token : "", from}, on_head, on_bytes);
  } catch (const TransportError& error) {
    const bool unreachable = error.failure() == TransportError::Failure::kUnreachable;
    if (error.failure() != TransportError::Failure::kCut && !(unreachable && reached_)) throw;
    throw TryAgain(error.what());
  }
}

std::string HubClient::next_url(const std::string& url, const HttpAnswer& answer) const {
  const std::string target = answer.header("location"), next = target.empty() ? "" : url_resolved(url, target);
  const std::string scheme = url_scheme(next);
  INKSTONE_CHECK(!scheme.empty(), url_host(url), " redirects to no address");
  INKSTONE_CHECK(scheme == url_scheme(url) || scheme == "https", url_host(url), " redirects to ", url_host(next),
                 " without encryption, which is not followed");
  return next;
}

std::string HubClient::token_advice() const {
  return "put a token of your account (" + access_.endpoint + "/settings/tokens) into HF_TOKEN or " +
         (access_.token.empty() ? access_.token_source : "HF_TOKEN_PATH");
}

void HubClient::refuse(const HttpAnswer& answer, const std::string& url, bool is_hub) const {
  const int status = answer.status;
  const std::string model = id_.model(), asked = access_.token.empty() ? "" : " (with " + access_.token_source + ")";
  if (status == 429 || status >= 500 || status == 408)
    throw TryAgain(url_host(url) + " answered " + std::to_string(status) +
                       (status == 429 ? ", too many requests" : ", it has a problem"),
                   retry_after(answer));
  // A link to another host is good for some time only; the next try gets a new one.
  if (!is_hub) throw TryAgain(url_host(url) + ", where the hub sends to, answered " + std::to_string(status));
  const std::string code = answer.header("x-error-code");
  if (code == "GatedRepo" || (status == 403 && code.empty()))
    fail(INKSTONE_HERE, {model, " asks for its terms to be accepted", asked, ": do that at ", access_.endpoint, "/",
                         model, ", and ", token_advice()});
  if (code == "RevisionNotFound")
    fail(INKSTONE_HERE, {model, " has no branch, tag or commit ", id_.revision, " at ", access_.endpoint});
  if (status == 401 || code == "RepoNotFound")
    fail(INKSTONE_HERE, {access_.endpoint, " has no model ", model, ", or it is private, or the token is not valid",
                         asked, ": look at the name's spelling; for a private model ", token_advice()});
  INKSTONE_CHECK(status != 404, access_.endpoint, " has not ", url.substr(0, url.find('?')),
                 ": look at the spelling of ", model);
  fail(INKSTONE_HERE, {access_.endpoint, " answered ", status, " to ", url.substr(0, url.find('?'))});
}

}  // namespace inkstone
