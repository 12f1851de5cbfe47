#include "serve/redis/redis_connection.h"

#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <random>

#include "base/error.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr double kFirstPause = 0.05, kLongestPause = 2;
constexpr std::chrono::milliseconds kWatch{100};

std::chrono::steady_clock::duration duration_of(double seconds) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
}

}  // namespace

// One connection of the socket, from connect to its end. It outlives its owner while the loop still calls it.
class RedisConnection::Link : public std::enable_shared_from_this<Link> {
 public:
  Link(asio::io_context& events, RedisConnection& owner) : socket_(events), resolver_(events), owner_(&owner) {}

  void open(const RedisAddress& address) {
    if (!address.socket.empty()) return connect({asio::local::stream_protocol::endpoint(address.socket.string())}, 0);
    resolver_.async_resolve(address.host, std::to_string(address.port),
                            [self = shared_from_this()](const error_code& error, const auto& found) {
                              if (error) return self->fail(error.message());
                              std::vector<asio::generic::stream_protocol::endpoint> places;
                              for (const auto& one : found) places.emplace_back(one.endpoint());
                              self->connect(std::move(places), 0);
                            });
  }

  void send(std::string_view bytes) {
    unsent_ += bytes;
    if (sending_.empty()) write();
  }
  size_t unsent() const { return unsent_.size() + sending_.size(); }

  void close() {
    owner_ = nullptr;
    error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
  }

 private:
  void connect(std::vector<asio::generic::stream_protocol::endpoint> places, size_t number) {
    if (!owner_) return;
    const auto place = places.at(number);
    socket_.async_connect(
        place, [self = shared_from_this(), places = std::move(places), number](const error_code& error) mutable {
          if (!self->owner_) return;
          if (!error) {
            self->owner_->opened();
            return self->read();
          }
          if (number + 1 == places.size()) return self->fail(error.message());
          error_code ignored;
          self->socket_.close(ignored);
          self->connect(std::move(places), number + 1);
        });
  }

  void write() {
    sending_.swap(unsent_);
    asio::async_write(socket_, asio::buffer(sending_), [self = shared_from_this()](const error_code& error, size_t) {
      if (!self->owner_) return;
      if (error) return self->fail(error.message());
      self->sending_.clear();
      if (!self->unsent_.empty()) self->write();
    });
  }

  void read() {
    socket_.async_read_some(asio::buffer(bytes_), [self = shared_from_this()](const error_code& error, size_t size) {
      if (!self->owner_) return;
      if (error) return self->fail(error.message());
      try {
        self->reader_.feed({self->bytes_.data(), size});
        while (auto reply = self->reader_.next()) {
          self->owner_->heard_ = self->owner_->now();
          if (self->owner_->sent_.empty()) return self->fail("it said something that nobody asked for");
          Reply done = std::move(self->owner_->sent_.front().reply);
          self->owner_->sent_.pop_front();
          done(std::move(reply));
          if (!self->owner_) return;
        }
      } catch (const Error& fault) {
        return self->fail(fault.what());
      }
      self->read();
    });
  }

  void fail(const std::string& why) {
    if (owner_) owner_->lost(why);
  }

  asio::generic::stream_protocol::socket socket_;
  asio::ip::tcp::resolver resolver_;
  RedisConnection* owner_;  // null: closed
  RedisReader reader_;
  std::array<char, 1 << 16> bytes_;
  std::string sending_, unsent_;
};

RedisConnection::RedisConnection(asio::io_context& events, RedisAddress address, RedisLimits limits)
    : events_(events), address_(std::move(address)), limits_(limits), again_(events), watch_(events) {
  INKSTONE_CHECK_USAGE(!address_.tls, address_.shown(),
                       ": connections with TLS are not there yet, and without it all, the ",
                       "password too, would be readable on the way: use redis:// within a network that you trust");
  connect();
  watch();
}

RedisConnection::~RedisConnection() {
  if (link_) link_->close();
}

double RedisConnection::now() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void RedisConnection::connect() {
  link_ = std::make_shared<Link>(events_, *this);
  heard_ = now();
  link_->open(address_);
}

// Logs in, then sends what has waited.
void RedisConnection::opened() {
  std::vector<std::vector<std::string>> greeting;
  if (!address_.password.empty() && !address_.user.empty())
    greeting.push_back({"AUTH", address_.user, address_.password});
  else if (!address_.password.empty())
    greeting.push_back({"AUTH", address_.password});
  if (address_.database != 0) greeting.push_back({"SELECT", std::to_string(address_.database)});
  greeting.push_back({"PING"});
  for (const std::vector<std::string>& words : greeting) {
    const bool last = &words == &greeting.back();
    sent_.push_back({"",
                     [this, last](std::optional<RedisReply> reply) {
                       if (!reply) return;
                       if (reply->kind == RedisReply::Kind::kError) return lost(reply->text);
                       if (!last) return;
                       ready_ = true;
                       pause_ = 0;
                       log_line(LogLevel::kInfo, "redis_connected", {{"server", address_.shown()}});
                       fault_.clear();
                       waiting_bytes_ = 0;
                       for (Waiting& one : std::exchange(waiting_, {})) {
                         link_->send(one.command);
                         sent_.push_back({"", std::move(one.reply), now()});
                       }
                     },
                     now()});
    link_->send(redis_command(words));
  }
}

void RedisConnection::lost(const std::string& why) {
  if (!link_) return;
  link_->close();
  link_.reset();
  ready_ = false;
  if (fault_ != why) log_line(LogLevel::kWarning, "redis_away", {{"server", address_.shown()}, {"reason", why}});
  fault_ = why;
  pause_ = std::min(kLongestPause, std::max(kFirstPause, 2 * pause_));
  static thread_local std::minstd_rand random{std::random_device{}()};
  again_.expires_after(duration_of(std::uniform_real_distribution<double>(pause_ / 2, pause_)(random)));
  again_.async_wait([this](const error_code& error) {
    if (!error) connect();
  });
  for (Waiting& one : std::exchange(sent_, {})) one.reply(std::nullopt);
}

void RedisConnection::reconnect(const std::string& why) { lost(why); }

void RedisConnection::call(std::vector<std::string> words, Reply reply) {
  std::string command = redis_command(words);
  if ((link_ ? link_->unsent() : 0) + waiting_bytes_ + command.size() > limits_.max_unsent) {
    asio::post(events_, [reply = std::move(reply)] { reply(std::nullopt); });
    return;
  }
  if (!ready_) {
    waiting_bytes_ += command.size();
    waiting_.push_back({std::move(command), std::move(reply), now()});
    return;
  }
  if (sent_.empty()) heard_ = now();
  link_->send(command);
  sent_.push_back({"", std::move(reply), now()});
}

// Silence, and commands that have waited too long for a connection.
void RedisConnection::watch() {
  watch_.expires_after(kWatch);
  watch_.async_wait([this](const error_code& error) {
    if (error) return;
    watch();
    const double time = now();
    const bool due = link_ && (!ready_ || !sent_.empty());
    if (due && time > heard_ + limits_.reply_seconds) lost("it does not answer");
    std::vector<Reply> late;
    while (!waiting_.empty() && time > waiting_.front().since + limits_.wait_seconds) {
      waiting_bytes_ -= waiting_.front().command.size();
      late.push_back(std::move(waiting_.front().reply));
      waiting_.pop_front();
    }
    for (const Reply& reply : late) reply(std::nullopt);
  });
}

}  // namespace inkstone::serve
