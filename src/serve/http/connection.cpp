#include "serve/http/connection.h"

#include <algorithm>

#include "serve/http/connection_exchange.h"
#include "serve/http/entry.h"
#include "serve/http/eviction.h"
#include "serve/http/refusal.h"
#include "serve/http/request_admission.h"
#include "serve/support/log.h"

namespace inkstone::http {
namespace {

using serve::given;
using serve::log_line;
using serve::LogLevel;

// Bytes a second of a body with pictures, for which it has more time than others.
constexpr double kPictureRate = 256 << 10;

// An answer of which a part is lost can only end with its connection.
template <typename Work>
void or_close(Connection& connection, const Work& work) {
  try {
    work();
  } catch (...) {
    connection.close();
    throw;
  }
}

}  // namespace

Connection::Connection(std::shared_ptr<ServerState> state, Socket socket, Peer peer)
    : state_(std::move(state)),
      peer_(std::move(peer)),
      client_(peer_.address),
      body_(state_->memory),
      transport_(*state_, std::move(socket)),
      exchange_counted_(state_->figures.exchanges),
      alarm_(state_->events) {
  // What may throw comes first, so that no count is left behind.
  int& places = state_->of_address[peer_.address];
  state_->connections.insert(this);
  ++places;
  places_ = &places;
  ++state_->figures.connections;
}

void Connection::start() {
  if (!transport_.open(weak_from_this())) return close();
  rest();
}

Standing Connection::standing() const {
  Standing standing;
  standing.resting = phase_ == Phase::kResting;
  standing.evictable = reading() || phase_ == Phase::kAuthDelay || phase_ == Phase::kLingering;
  standing.waiting_since = waiting_since_;
  standing.places_of_address = *places_;
  standing.client = &client_;
  standing.unread = transport_.outbox_size();
  standing.body = phase_ == Phase::kBody ? body_.bytes() : 0;
  standing.pace = transport_.pace();
  return standing;
}

void Connection::close() noexcept {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  if (ConnectionExchange* exchange = std::exchange(exchange_, nullptr)) exchange->lose();
  body_.release();
  transport_.close();
  alarm_.stop();
  reader_.reset();
  state_->connections.erase(this);
  if (const auto count = state_->of_address.find(peer_.address); --count->second == 0) state_->of_address.erase(count);
  --state_->figures.connections;
  exchange_counted_.end();
}

void Connection::enter(Phase phase, Clock::time_point due) {
  phase_ = phase;
  phase_due_ = due;
  ping_due_ = Clock::time_point::max();
}

void Connection::rest() {
  enter(Phase::kResting, Clock::now() + after(state_->settings.idle_seconds));
  waiting_since_ = Clock::now();
  client_ = peer_.address;
  answer_.reset();
  if (state_->closing) return linger();
  transport_.resume();
  if (reading() && transport_.input_over()) return close();
  arm();
}

// The answer is out and the connection ends.
void Connection::linger() {
  enter(Phase::kLingering, Clock::now() + after(std::min(2.0, state_->settings.header_seconds)));
  transport_.linger();
  arm();
}

void Connection::lost() {
  if (phase_ == Phase::kClosed) return;
  try {
    if (answer_ && phase_ != Phase::kLingering) answer_->log(true, transport_.written());
  } catch (const std::exception&) {  // no memory for the line
  }
  close();
}

void Connection::arm() {
  if (phase_ == Phase::kClosed) return;
  alarm_.set(std::min(phase_due_, ping_due_), [self = shared_from_this()] {
    enter_connection(
        [&] {
          self->on_alarm();
          self->arm();
        },
        [&] { self->close(); });
  });
}

void Connection::on_alarm() {
  const Clock::time_point now = Clock::now();
  if (now >= ping_due_) {
    if (transport_.all_sent()) write(": ping\n\n");
    ping_due_ = now + after(state_->settings.ping_seconds);
  }
  if (now < phase_due_) return;
  if (phase_ == Phase::kHead || phase_ == Phase::kBody) {
    ++state_->figures.timed_out;
    const char* part = phase_ == Phase::kHead ? "head" : "body";
    refuse({408, "too_slow", std::string("the request's ") + part + " did not come in time", "", 0});
  } else if (phase_ == Phase::kAuthDelay) {
    refuse({401, "unauthorized", "a valid key is needed", "", 0});
  } else {
    close();
  }
}

void Connection::received(std::string_view& bytes) {
  try {
    while (!bytes.empty() && reading()) read_request(bytes);
  } catch (const Refusal& refusal) {
    if (refusal.error.status == 400) ++state_->figures.malformed;
    refuse(refusal.error);
  }
  arm();
}

void Connection::read_request(std::string_view& bytes) {
  if (!reader_) {
    if (bytes.front() == '\r' || bytes.front() == '\n')
      return bytes.remove_prefix(1);  // between requests, RFC 9112 2.2
    reader_ = std::make_unique<RequestReader>(state_->settings.max_header, state_->settings.max_headers);
    answer_.emplace("ip:" + peer_.address, transport_.written());
    ++state_->figures.requests;
    enter(Phase::kHead, Clock::now() + after(state_->settings.header_seconds));
  }
  bytes.remove_prefix(reader_->take(bytes));
  if (phase_ == Phase::kHead && reader_->state() != RequestReader::State::kHead) {
    enter(Phase::kBody, Clock::now() + after(state_->settings.body_seconds));
    admit();
  }
  if (phase_ != Phase::kBody) return;
  if (route_->at_head) return dispatch();
  reserve_body();
  if (reader_->state() == RequestReader::State::kDone) dispatch();
}

// A stated length counts at once, so that nobody is cut off in the middle of a body.
void Connection::reserve_body() {
  if (!reader_->has_body()) return;
  const size_t stated = static_cast<size_t>(reader_->content_length().value_or(0));
  const size_t wanted = std::max(stated, reader_->request().body.capacity());
  bool has_room = body_.grow(wanted);
  while (!has_room && evict_body_for(*state_, *this, wanted)) has_room = body_.grow(wanted);
  if (has_room) return reader_->reserve_body(stated);
  Refusal refusal(503, "busy", "the server is receiving too much from others; send this again soon");
  refusal.error.retry_after = 1;
  throw refusal;
}

// The head alone decides whether the body is wanted.
void Connection::admit() {
  Admission admission = RequestAdmission(*state_, *reader_, answer_->request()).admit(peer_);
  client_ = reader_->request().address;
  if (!admission.route) return reply(std::move(*admission.reply));
  route_ = admission.route;
  peer_.for_probe = peer_.for_probe && state_->places_left() < state_->kept_places();
  if (peer_.for_probe && !is_probe(route_->pattern)) {
    Refusal refusal(503, "busy", "all connections of the server have work; send this again soon");
    refusal.error.retry_after = 1;
    answer_->request().keep_alive = false;
    throw refusal;
  }
  if (admission.delay > Clock::duration()) {
    enter(Phase::kAuthDelay, Clock::now() + admission.delay);
    transport_.hold();
    if (!state_->draining) exchange_counted_.begin();
  }
  if (phase_ == Phase::kBody && route_->pictures)
    phase_due_ += after(static_cast<double>(reader_->content_length().value_or(0)) / kPictureRate);
  if (phase_ == Phase::kBody && !route_->at_head) reserve_body();
  if (admission.awaits_continue) transport_.send("HTTP/1.1 100 Continue\r\n\r\n");
}

void Connection::dispatch() {
  // What is left of the request is thrown away, and never read as the next one.
  if (reader_->state() != RequestReader::State::kDone) answer_->request().keep_alive = false;
  const auto exchange =
      std::make_shared<ConnectionExchange>(shared_from_this(), *state_, std::move(reader_->request()));
  reader_.reset();
  enter(Phase::kWorking);
  transport_.hold();
  exchange_counted_.begin();
  exchange_ = exchange.get();
  try {
    route_->handler(exchange);
  } catch (const UsageError& error) {
    const RequestRecord& request = answer_->request();
    if (exchange_ == exchange.get() && exchange->open())
      exchange->reply(error_reply(request.errors, {400, "invalid_request", error.what(), "", 0}, request.id));
  } catch (const std::exception& error) {
    log_line(
        LogLevel::kError, "handler",
        {{"request", exchange->request().id}, {"trace", given(exchange->request().trace)}, {"problem", error.what()}});
  }
  exchange->forget_body();
  body_.release();
}

void Connection::refuse(const Error& error) {
  RequestRecord& request = answer_->request();
  Reply answer = error_reply(request.errors, error, request.id);
  // Where the next request begins is not sure.
  if (error.status == 400) request.keep_alive = false;
  if (error.status == 401)
    answer.headers.emplace_back("WWW-Authenticate", request.errors == ErrorShape::kA1111 ? "Basic realm=\"inkstone\""
                                                                                         : "Bearer realm=\"inkstone\"");
  reply(std::move(answer));
}

void Connection::reply(Reply reply) {
  if (phase_ == Phase::kClosed) return;  // while an earlier answer began
  const bool unread = reader_ && reader_->state() != RequestReader::State::kDone;
  if (unread || state_->draining) answer_->request().keep_alive = false;
  std::string head = answer_->begin(reply);
  // After its first line an answer is certain.
  ++state_->answers[reply.status];
  exchange_counted_.begin();
  reader_.reset();
  body_.release();
  exchange_ = nullptr;
  enter(Phase::kSending);
  or_close(*this, [&] {
    if (!answer_->sends_body())
      transport_.finish(std::move(head));
    else if (reply.shared_body)
      transport_.finish(std::move(head), "", std::move(reply.shared_body));
    else
      transport_.finish(std::move(head), std::move(reply.body));
  });
  enforce_budget(*state_);
}

void Connection::begin_stream(const Reply& head) {
  if (state_->draining) answer_->request().keep_alive = false;
  std::string text = answer_->begin_stream(head);
  ++state_->answers[head.status];
  if (answer_->sends_events()) ping_due_ = Clock::now() + after(state_->settings.ping_seconds);
  or_close(*this, [&] {
    transport_.send(std::move(text));
    arm();
  });
}

void Connection::write(std::string_view chunk) {
  std::string piece = answer_->piece(chunk);
  if (piece.empty()) return;
  if (unsent() > state_->settings.max_unsent) {
    const RequestRecord& request = answer_->request();
    log_line(LogLevel::kWarning, "slow reader",
             {{"request", request.id}, {"client", request.client}, {"unsent", unsent()}});
    return lost();
  }
  if (answer_->sends_events()) ping_due_ = Clock::now() + after(state_->settings.ping_seconds);
  or_close(*this, [&] { transport_.send(std::move(piece)); });
  enforce_budget(*state_);
}

void Connection::end_stream() {
  exchange_ = nullptr;
  enter(Phase::kSending);
  or_close(*this, [&] { transport_.finish(answer_->end()); });
}

void Connection::abandon() {
  if (phase_ != Phase::kWorking) return;
  exchange_ = nullptr;
  // The missing end of the stream tells the client.
  if (answer_->begun()) return lost();
  refuse({500, "internal_error", "the server failed at this request; its log says more under the request's id", "", 0});
}

void Connection::finished() {
  answer_->log(false, transport_.written());
  exchange_counted_.end();
  if (answer_->request().keep_alive)
    rest();
  else
    linger();
}

}  // namespace inkstone::http
