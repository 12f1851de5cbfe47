#include "load/call.h"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "load/event_stream.h"

namespace inkstone {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr uint64_t kMaxAnswer = uint64_t{256} << 20;

// 0 where it has not begun, or does not say.
double steps_made(const std::string& data) {
  try {
    const Json value = parse_json(data, "step");
    const Json* step = value.is_object() ? value.get_object().if_contains("step") : nullptr;
    return step && step->is_number() ? step->to_number<double>() : 0;
  } catch (const Error&) {
    return 0;
  }
}

class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(asio::io_context& events, const Target& target, CallSpec spec, std::function<void(CallResult)> done)
      : stream_(events),
        leaving_(events),
        spec_(std::move(spec)),
        done_(std::move(done)),
        events_([this](const std::string& name, const std::string& data) { take_event(name, data); }) {
    request_.method(http::verb::post);
    request_.version(11);
    request_.target(spec_.text.path);
    request_.set(http::field::host, target.host);
    request_.set(http::field::user_agent, "inkstone_load");
    request_.set(http::field::content_type, "application/json");
    request_.set(http::field::accept, spec_.stream ? "text/event-stream" : "application/json");
    request_.set(http::field::connection, "close");
    if (!target.key.empty()) request_.set(http::field::authorization, "Bearer " + target.key);
    request_.body() = std::move(spec_.text.body);
    request_.prepare_payload();
    parser_.body_limit(kMaxAnswer);
  }

  void start(const asio::ip::tcp::endpoint& endpoint) {
    if (spec_.give_up) {
      leaving_.expires_at(*spec_.give_up);
      leaving_.async_wait([self = shared_from_this()](beast::error_code error) {
        if (!error) self->end(CallResult::End::kGaveUp);
      });
    }
    stream_.expires_at(spec_.timeout);
    stream_.async_connect(endpoint, [self = shared_from_this()](beast::error_code error) {
      if (self->went_wrong(error)) return;
      self->stream_.socket().set_option(asio::ip::tcp::no_delay(true), error);
      self->send();
    });
  }

 private:
  void send() {
    http::async_write(stream_, request_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error == beast::error::timeout) return self->end(CallResult::End::kTimedOut);
      // A server that refuses early may close before it has read all: its answer counts.
      self->receive_head();
    });
  }

  void receive_head() {
    http::async_read_header(stream_, buffer_, parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (self->went_wrong(error)) return;
      const auto& head = self->parser_.get();
      self->result_.status = static_cast<int>(head.result_int());
      if (const auto after = head.find(http::field::retry_after); after != head.end())
        self->result_.retry_after = std::atof(std::string(after->value()).c_str());
      const auto type = head.find(http::field::content_type);
      self->in_events_ = type != head.end() && type->value().starts_with("text/event-stream");
      self->receive();
    });
  }

  void receive() {
    if (in_events_) {
      events_.add(parser_.get().body());
      parser_.get().body().clear();
    }
    if (parser_.is_done()) {
      if (!in_events_) result_.answers.push_back(std::move(parser_.get().body()));
      return end(CallResult::End::kAnswered);
    }
    http::async_read_some(stream_, buffer_, parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!self->went_wrong(error)) self->receive();
    });
  }

  void take_event(const std::string& name, const std::string& data) {
    if (name == "step") {
      if (!result_.first_step && steps_made(data) > 0) result_.first_step = Clock::now();
    } else if (name == "image") {
      result_.answers.push_back(data);
    } else if (name == "error") {
      result_.error = data;
    }
  }

  bool went_wrong(beast::error_code error) {
    if (!error) return false;
    if (error == beast::error::timeout) {
      end(CallResult::End::kTimedOut);
    } else {
      if (result_.error.empty()) result_.error = error.message();
      end(CallResult::End::kBroken);
    }
    return true;
  }

  void end(CallResult::End how) {
    if (!done_) return;
    result_.end = how;
    result_.ended = Clock::now();
    leaving_.cancel();
    beast::error_code ignored;
    stream_.socket().close(ignored);
    std::exchange(done_, nullptr)(std::move(result_));
  }

  beast::tcp_stream stream_;
  asio::steady_timer leaving_;
  CallSpec spec_;
  std::function<void(CallResult)> done_;
  EventStream events_;
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  beast::flat_buffer buffer_;
  bool in_events_ = false;
  CallResult result_;
};

}  // namespace

Target target_of(const std::string& url, bool remote) {
  constexpr std::string_view kScheme = "http://";
  INKSTONE_CHECK_USAGE(url.substr(0, kScheme.size()) == kScheme, "--url ", url, ": begins with http://");
  std::string place = url.substr(kScheme.size());
  if (const size_t slash = place.find('/'); slash != std::string::npos) {
    INKSTONE_CHECK_USAGE(slash + 1 == place.size(), "--url ", url, ": without a path, which the API decides");
    place.resize(slash);
  }
  const size_t colon = place.rfind(':');
  const bool has_port = colon != std::string::npos && place.find(']', colon) == std::string::npos;
  const std::string port = has_port ? place.substr(colon + 1) : "80";
  std::string name = has_port ? place.substr(0, colon) : place;
  if (name.size() > 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  char* end = nullptr;
  const long number = std::strtol(port.c_str(), &end, 10);
  INKSTONE_CHECK_USAGE(!port.empty() && *end == 0 && number > 0 && number < 65536, "--url ", url, ": no port");
  boost::system::error_code error;
  asio::ip::address address = asio::ip::make_address(name == "localhost" ? "127.0.0.1" : name, error);
  if (error && remote) {
    asio::io_context events;
    const auto found = asio::ip::tcp::resolver(events).resolve(name, port, error);
    if (!error) address = found.begin()->endpoint().address();
  }
  INKSTONE_CHECK_USAGE(!error, "--url ", url, ": ",
                       remote ? error.message() : "not an address of this machine (others need --allow-remote)");
  INKSTONE_CHECK_USAGE(
      remote || address.is_loopback(), "--url ", url,
      ": another machine; a load is sent there only with --allow-remote, and with its owner's consent");
  return {{address, static_cast<uint16_t>(number)}, place, ""};
}

void start_call(asio::io_context& events, const Target& target, CallSpec spec, std::function<void(CallResult)> done) {
  std::make_shared<Call>(events, target, std::move(spec), std::move(done))->start(target.endpoint);
}

}  // namespace inkstone
