// Connections to a server that dies, stops, refuses and talks nonsense; addresses and replies.
#include "serve/redis/redis_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "redis_server.h"
#include "serve/redis/redis_answers.h"
#include "serve/redis/redis_job_store.h"
#include "store_fixture.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

struct Client {
  boost::asio::io_context events;
  RedisConnection connection;

  explicit Client(const RedisAddress& address, RedisLimits limits = {}) : connection(events, address, limits) {}
  std::optional<RedisReply> ask(std::vector<std::string> words) {
    std::optional<std::optional<RedisReply>> said;
    connection.call(std::move(words), [&](std::optional<RedisReply> reply) { said = std::move(reply); });
    EXPECT_FALSE(said.has_value()) << "answered from inside the call";
    events.restart();
    while (!said) events.run_one();
    return *said;
  }
};

class RedisConnections : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisServer::there_is_one()) GTEST_SKIP() << "there is no redis-server here: tools/setup.sh test installs it";
  }
};

TEST_F(RedisConnections, a_command_has_its_reply_whatever_its_bytes) {
  RedisServer server;
  Client client(server.address());
  const std::string value("a\0\r\n$5\r\n", 9);
  EXPECT_EQ(client.ask({"SET", "key", value})->text, "OK");
  EXPECT_EQ(client.ask({"GET", "key"})->text, value);
  EXPECT_EQ(client.ask({"GET", "none"})->kind, RedisReply::Kind::kNil);
  EXPECT_EQ(client.ask({"INCR", "number"})->number, 1);
  EXPECT_EQ(client.ask({"MGET", "key", "number"})->items.at(1).text, "1");
  EXPECT_TRUE(client.ask({"INCR", "key"})->is_error("ERR"));
  EXPECT_EQ(client.ask({"SET", "large", std::string(8 << 20, 'x')})->text, "OK");
  EXPECT_EQ(client.ask({"GET", "large"})->text.size(), size_t{8} << 20);
}

TEST_F(RedisConnections, many_commands_go_out_at_once_and_are_answered_in_order) {
  RedisServer server;
  Client client(server.address());
  std::vector<int64_t> numbers;
  for (int i = 0; i < 1000; i++)
    client.connection.call({"INCR", "number"},
                           [&](std::optional<RedisReply> reply) { numbers.push_back(reply->number); });
  while (numbers.size() < 1000) client.events.run_one();
  for (int64_t i = 0; i < 1000; i++) EXPECT_EQ(numbers[static_cast<size_t>(i)], i + 1);
}

TEST_F(RedisConnections, a_server_that_dies_is_away_until_it_is_back) {
  RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
  Client client(server.address(), {.wait_seconds = 0.2});
  EXPECT_EQ(client.ask({"SET", "key", "value"})->text, "OK");
  server.kill();
  EXPECT_FALSE(client.ask({"GET", "key"}).has_value());
  EXPECT_FALSE(client.connection.connected());
  EXPECT_NE(client.connection.fault(), "");
  server.start();
  std::optional<RedisReply> reply;
  for (int i = 0; i < 100 && !reply; i++) reply = client.ask({"GET", "key"});
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->text, "value");
}

TEST_F(RedisConnections, a_server_that_is_silent_is_away) {
  RedisServer server;
  Client client(server.address(), {.reply_seconds = 0.3, .wait_seconds = 0.2});
  client.ask({"PING"});
  server.stop_for_now();
  EXPECT_FALSE(client.ask({"PING"}).has_value());
  EXPECT_THAT(client.connection.fault(), HasSubstr("does not answer"));
  server.go_on();
  std::optional<RedisReply> reply;
  for (int i = 0; i < 100 && !reply; i++) reply = client.ask({"PING"});
  EXPECT_TRUE(reply.has_value());
}

TEST_F(RedisConnections, a_password_opens_and_a_wrong_one_says_so) {
  RedisServer server({"--requirepass", "secret"});
  RedisAddress address = server.address();
  for (const char* password : {"", "wrong"}) {
    address.password = password;
    Client client(address, {.wait_seconds = 0.3});
    EXPECT_FALSE(client.ask({"PING"}).has_value());
    EXPECT_THAT(client.connection.fault(), testing::AnyOf(HasSubstr("NOAUTH"), HasSubstr("WRONGPASS"))) << password;
  }
  address.password = "secret";
  Client client(address);
  EXPECT_EQ(client.ask({"PING"})->text, "PONG");
}

TEST(RedisAddress, with_tls_is_refused_and_never_spoken_to_without_it) {
  boost::asio::io_context events;
  EXPECT_THROW(RedisConnection(events, parse_redis_address("rediss://127.0.0.1:1")), UsageError);
}

// The library as it is shipped, by the server's own clock.
TEST_F(RedisConnections, a_server_that_was_set_up_keeps_orders) {
  RedisServer server;
  Client client(server.address());
  RedisJobStore store(client.connection, "pool");
  const auto ask = [&](auto call) {
    bool over = false;
    call([&](auto reply) {
      over = true;
      EXPECT_TRUE(reply) << static_cast<int>(reply.fault);
    });
    client.events.restart();
    while (!over) client.events.run_one();
  };
  StoreFault before = StoreFault::kNone;
  bool over = false;
  store.submit(order_of("a1"), [&](StoreReply<SubmitAnswer> reply) { before = reply.fault, over = true; });
  while (!over) client.events.run_one();
  EXPECT_EQ(before, StoreFault::kBroken) << "its functions are missing";
  ask([&](auto done) { set_up_redis(client.connection, "pool", {.lease_seconds = 7}, done); });
  EXPECT_EQ(client.ask({"HGET", "ink1:{pool}:cfg", "lease"})->text, "7000");
  ask([&](auto done) { store.submit(order_of("a1"), done); });
  ask([&](auto done) {
    store.lease(lease_of("host"), [done](StoreReply<std::vector<LeasedJob>> reply) {
      EXPECT_EQ(reply->size(), 1u);
      done(std::move(reply));
    });
  });
}

TEST(RedisAddress, is_read_as_operators_write_it) {
  const RedisAddress address = parse_redis_address("rediss://ink@[::1]:7000/3");
  EXPECT_TRUE(address.tls);
  EXPECT_EQ(address.user, "ink");
  EXPECT_EQ(address.host, "::1");
  EXPECT_EQ(address.port, 7000);
  EXPECT_EQ(address.database, 3);
  EXPECT_EQ(address.shown(), "rediss://ink@[::1]:7000/3");
  EXPECT_EQ(parse_redis_address("redis://a.example").shown(), "redis://a.example:6379");
  EXPECT_EQ(parse_redis_address("unix:/run/redis.sock").socket, "/run/redis.sock");
  for (const char* wrong : {"a.example", "http://a", "redis://", "redis://a:b", "redis://a:99999", "redis://a/x",
                            "unix:relative", "redis://:6379"})
    EXPECT_THROW(parse_redis_address(wrong), UsageError) << wrong;
  try {
    parse_redis_address("redis://user:secret@a");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--password-file"));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("secret")));
  }
}

TEST(RedisReplies, are_read_in_any_pieces) {
  const std::string bytes = "*3\r\n$3\r\na\r\n\r\n:-7\r\n*1\r\n$-1\r\n+OK\r\n-ERR no\r\n*0\r\n";
  for (size_t piece = 1; piece < bytes.size(); piece++) {
    RedisReader reader;
    std::vector<RedisReply> replies;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      reader.feed(std::string_view(bytes).substr(at, piece));
      while (auto reply = reader.next()) replies.push_back(std::move(*reply));
    }
    ASSERT_EQ(replies.size(), 4u) << piece;
    EXPECT_EQ(replies[0].items.at(0).text, "a\r\n");
    EXPECT_EQ(replies[0].items.at(1).number, -7);
    EXPECT_EQ(replies[0].items.at(2).items.at(0).kind, RedisReply::Kind::kNil);
    EXPECT_EQ(replies[1].text, "OK");
    EXPECT_TRUE(replies[2].is_error("ERR"));
    EXPECT_EQ(replies[3].kind, RedisReply::Kind::kList);
  }
}

TEST(RedisReplies, that_are_none_or_too_deep_or_too_many_are_refused) {
  for (const char* bytes : {"?\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "*1\r\n*1\r\n*1\r\n:1\r\n", "*99999999\r\n",
                            "*2147483647\r\n", "$-2\r\n", ":x\r\n"}) {
    RedisReader reader;
    EXPECT_THROW(
        {
          reader.feed(bytes);
          reader.next();
        },
        Error)
        << bytes;
  }
}

RedisReply text(const std::string& value) {
  RedisReply reply;
  reply.kind = RedisReply::Kind::kText;
  reply.text = value;
  return reply;
}
RedisReply list(std::vector<RedisReply> items) {
  RedisReply reply;
  reply.kind = RedisReply::Kind::kList;
  reply.items = std::move(items);
  return reply;
}

TEST(RedisAnswers, that_are_not_what_they_should_be_are_refused) {
  EXPECT_EQ(cancel_answer(text("ended")), CancelAnswer::kEnded);
  EXPECT_THROW(cancel_answer(text("endet")), Error);
  EXPECT_THROW(submit_answer(text("new")), Error);
  EXPECT_THROW(submit_answer(list({})), Error);
  EXPECT_THROW(submit_answer(list({text("new"), text("1e999")})), Error);
  EXPECT_THROW(lease_answer(list({list({text("a.00"), text("token")})})), Error);
  EXPECT_THROW(beat_answer(list({text("a.00")})), Error) << "its end is missing";
  for (const char* name : {"a", "a.", "a.0", "a.000", "a.-1", "a.1x", ".x", "a.100"})
    EXPECT_THROW(beat_answer(list({text(name), text("")})), Error) << name;
  EXPECT_EQ(beat_answer(list({text("a.07"), text("")})).gone.at(0), (JobKey{"a", 7}));
  EXPECT_THROW(notices_answer(list({text("e")})), Error);
  EXPECT_THROW(states_answer(list({text("65")}), 1), Error);
}

}  // namespace
}  // namespace inkstone::serve
