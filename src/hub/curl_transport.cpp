#include "hub/curl_transport.h"

#include <array>
#include <cctype>
#include <exception>
#include <string_view>

#include "base/spelling.h"
#include "base/version.h"
#include "hub/libcurl.h"
#include "hub/url.h"

namespace inkstone {
namespace {

constexpr long kConnectSeconds = 30;
// A connection that brings less than a byte a second for so long is dead.
constexpr long kSilentSeconds = 60;
constexpr size_t kMostOfHead = 64 << 10;

struct FreeEasy {
  void operator()(CURL* easy) const { libcurl().easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { libcurl().slist_free_all(list); }
};

// One exchange: what libcurl's callbacks fill.
struct Exchange {
  const HttpTransport::OnHead& on_head;
  const HttpTransport::OnBytes& on_bytes;
  HttpAnswer answer{};
  size_t head_bytes = 0;
  bool head_done = false, wanted = true;
  std::exception_ptr thrown{};

  void head_line(std::string_view line) {
    head_bytes += line.size();
    INKSTONE_CHECK(head_bytes <= kMostOfHead, "the head of an answer has more than ", kMostOfHead, " bytes");
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) answer = {};  // an interim answer (100) came before
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front()))) value.remove_prefix(1);
    answer.headers[lower(line.substr(0, colon))] = value;
  }
  void end_head(CURL* easy) {
    if (head_done) return;
    long status = 0;
    libcurl().easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
    head_done = true;
    wanted = on_head(answer);
  }
};

struct Call {
  Exchange exchange;
  CURL* easy;
};

// Exceptions must not pass through libcurl: they wait in the exchange.
template <typename Work>
size_t guarded(Exchange& exchange, size_t size, const Work& work) {
  try {
    return work() ? size : CURL_WRITEFUNC_ERROR;
  } catch (...) {
    exchange.thrown = std::current_exception();
    return CURL_WRITEFUNC_ERROR;
  }
}

size_t take_head(char* data, size_t, size_t size, void* call) {
  Exchange& exchange = static_cast<Call*>(call)->exchange;
  return guarded(exchange, size, [&] {
    if (!exchange.head_done) exchange.head_line({data, size});
    return true;
  });
}

size_t take_bytes(char* data, size_t, size_t size, void* context) {
  Call& call = *static_cast<Call*>(context);
  return guarded(call.exchange, size, [&] {
    call.exchange.end_head(call.easy);
    Exchange& exchange = call.exchange;
    exchange.wanted = exchange.wanted && exchange.on_bytes(std::as_bytes(std::span(data, size)));
    return exchange.wanted;
  });
}

TransportError::Failure failure_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT: return TransportError::Failure::kUnreachable;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: return TransportError::Failure::kTls;
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return TransportError::Failure::kCut;
    default: return TransportError::Failure::kOther;
  }
}

class CurlTransport : public HttpTransport {
 public:
  CurlTransport() {
    static const CURLcode ready = libcurl().global_init(CURL_GLOBAL_DEFAULT);
    easy_.reset(ready == CURLE_OK ? libcurl().easy_init() : nullptr);
    INKSTONE_CHECK(easy_, "libcurl cannot be used on this machine");
  }

  HttpAnswer get(const HttpRequest& request, const OnHead& on_head, const OnBytes& on_bytes) override {
    CURL* easy = easy_.get();
    Call call{{on_head, on_bytes}, easy};
    std::array<char, CURL_ERROR_SIZE> reason{};
    std::unique_ptr<curl_slist, FreeList> headers;
    libcurl().easy_reset(easy);  // connections stay open
    prepare(request, call, reason.data());
    if (!request.bearer.empty())
      headers.reset(libcurl().slist_append(nullptr, ("Authorization: Bearer " + request.bearer).c_str()));
    libcurl().easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
    const CURLcode code = libcurl().easy_perform(easy);
    if (call.exchange.thrown) std::rethrow_exception(call.exchange.thrown);
    if (code == CURLE_WRITE_ERROR && !call.exchange.wanted)
      return call.exchange.answer;  // as on_head or on_bytes asked
    if (code != CURLE_OK) refuse(code, request.url, reason.data());
    call.exchange.end_head(easy);  // of an answer without a body
    return call.exchange.answer;
  }

 private:
  void prepare(const HttpRequest& request, Call& call, char* reason) {
    CURL* easy = easy_.get();
    const std::string agent = std::string("inkstone/") + kVersion;
    const auto set = [&](CURLoption option, auto value) { libcurl().easy_setopt(easy, option, value); };
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_USERAGENT, agent.c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, kSilentSeconds);
    set(CURLOPT_BUFFERSIZE, 256L << 10);
    set(CURLOPT_ERRORBUFFER, reason);
    set(CURLOPT_HEADERFUNCTION, take_head);
    set(CURLOPT_HEADERDATA, &call);
    set(CURLOPT_WRITEFUNCTION, take_bytes);
    set(CURLOPT_WRITEDATA, &call);
    // Whole bytes as they are: no Accept-Encoding is sent, and Range is written by hand, because libcurl checks the
    // answer of its own resumption in its own words.
    const std::string range = std::to_string(request.from) + "-";
    if (request.from) set(CURLOPT_RANGE, range.c_str());
  }

  [[noreturn]] static void refuse(CURLcode code, const std::string& url, const char* reason) {
    const TransportError::Failure failure = failure_of(code);
    const std::string host = url_host(url), why = *reason ? reason : libcurl().easy_strerror(code);
    switch (failure) {
      case TransportError::Failure::kUnreachable:
        throw TransportError(host + " cannot be reached (" + why +
                                 "): is there a network, or a proxy to be named in https_proxy? HF_ENDPOINT names "
                                 "another hub",
                             failure);
      case TransportError::Failure::kTls:
        throw TransportError("no safe connection to " + host + " (" + why +
                                 "): are the machine's certificates there (ca-certificates) and its clock right?",
                             failure);
      default: throw TransportError("the connection to " + host + " broke (" + why + ")", failure);
    }
  }

  std::unique_ptr<CURL, FreeEasy> easy_;
};

}  // namespace

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

std::unique_ptr<HttpTransport> curl_transport() { return std::make_unique<CurlTransport>(); }

}  // namespace inkstone
