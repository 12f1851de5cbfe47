// Many at once: who takes most gives way, health is answered, and all together hold a bounded amount
// of memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/ip/address.hpp>

#include "sanitized.h"
#include "serve/http/eviction.h"
#include "serve/http/server_fixture.h"

namespace inkstone::http {
namespace {

using testing::HasSubstr;

Settings small_door() {
  Settings settings = ServerFixture::quick();
  settings.max_connections = 40;  // 5 of them kept for health
  settings.header_seconds = settings.body_seconds = settings.write_seconds = 60;
  return settings;
}

std::string half_body() { return post("/echo", "{    }").substr(0, post("/echo", "{    }").size() - 2); }

TEST(Crowd, unfinished_requests_shut_out_only_who_sends_them) {
  ServerFixture fixture(small_door());
  Client working = fixture.client();
  working.send(get("/hold"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  std::vector<Client> crowd;
  const std::string begun[] = {"GET /echo HTTP/1.1\r\nX: ", half_body(), ""};
  for (size_t i = 0; i < 300; ++i)
    crowd.emplace_back(fixture.port, 0, static_cast<uint8_t>(2 + i % 4)).send(begun[i % 3]);
  for (int i = 0; i < 20; ++i) {
    Client other = fixture.client();
    EXPECT_EQ(other.ask(get("/echo")).status, 200);
    EXPECT_EQ(other.ask(get("/health/live")).status, 200);
    for (size_t k = 0; k < 10; ++k)
      crowd.emplace_back(fixture.port, 0, static_cast<uint8_t>(2 + k % 4)).send(begun[k % 3]);
  }
  EXPECT_EQ(fixture.gone, 0) << "who works is let be";
  EXPECT_LE(fixture.figures().connections, 40);
}

TEST(Crowd, four_thousand_unfinished_requests_of_eight_addresses_leave_health_answered) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 7000) GTEST_SKIP() << "it needs 7,000 descriptors, and may have " << limit.rlim_max;
  const rlimit before = limit;
  limit.rlim_cur = std::max<rlim_t>(limit.rlim_cur, 7000);
  setrlimit(RLIMIT_NOFILE, &limit);
  {
    Settings settings = small_door();
    settings.max_connections = Settings{}.max_connections;
    ServerFixture fixture(settings);
    std::vector<Client> crowd;
    const std::string begun[] = {"GET /echo HTTP/1.1\r\nX: ", half_body(), ""};
    for (size_t i = 0; i < 4096; ++i) {
      crowd.emplace_back(fixture.port, 0, static_cast<uint8_t>(1 + i % 8)).send(begun[i % 3]);
      if (i % 256 != 255) continue;
      EXPECT_EQ(fixture.client().ask(get("/health/live")).status, 200) << i;
    }
    for (int i = 0; i < 20; ++i) EXPECT_EQ(fixture.client().ask(get("/health/live")).status, 200);
    EXPECT_LE(fixture.figures().connections, settings.max_connections);
  }
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(Crowd, of_the_address_with_most_places_the_oldest_gives_way) {
  ServerFixture fixture(small_door());
  std::vector<Client> many;
  for (int i = 0; i < 34; ++i) {
    many.emplace_back(fixture.port, 0, 2).send("G");
    ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == i + 1; }));
  }
  Client one(fixture.port, 0, 3);
  one.send("G");
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 35; }));
  EXPECT_EQ(fixture.client().ask(get("/echo")).status, 200);
  EXPECT_TRUE(many[0].closed());
  EXPECT_EQ(one.ask(get("/echo").substr(1)).status, 200);
  EXPECT_EQ(many[33].ask(get("/echo").substr(1)).status, 200);
}

TEST(Crowd, a_few_places_are_kept_for_probes) {
  ServerFixture fixture(small_door());
  std::vector<Client> working, crowd;
  for (int i = 0; i < 35; ++i) working.emplace_back(fixture.port).send(get("/hold"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 35; }));
  const Answer busy = fixture.client().ask(get("/echo"));
  EXPECT_EQ(busy.status, 503);
  EXPECT_THAT(busy.body, HasSubstr("busy"));
  EXPECT_EQ(busy.headers.at("retry-after"), "1");
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 10; ++k) crowd.emplace_back(fixture.port, 0, 2).send("GET /hold HTTP/1.1\r\n");
    EXPECT_EQ(fixture.client().ask(get("/health/live")).status, 200);
  }
  EXPECT_EQ(fixture.gone, 0);
  fixture.at([&] { fixture.held.clear(); });
  EXPECT_EQ(fixture.client().ask(get("/echo")).status, 200) << "there is room again";
}

TEST(Crowd, without_descriptors_who_waits_gives_way) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers look at memory through a pipe, for which there is no descriptor";
  ServerFixture fixture(small_door());
  std::vector<Client> resting;
  for (int i = 0; i < 5; ++i) resting.emplace_back(fixture.port, 0, 2).send("G");
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 5; }));
  std::promise<void> go;
  boost::asio::post(fixture.events, [&] { go.get_future().wait(); });
  Client newest = fixture.client();
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const int next = dup(0);
  close(next);
  rlimit none = limit;
  none.rlim_cur = static_cast<rlim_t>(next);
  setrlimit(RLIMIT_NOFILE, &none);
  go.set_value();
  EXPECT_EQ(newest.ask(get("/health/live")).status, 200);
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_TRUE(resting[0].closed());
}

TEST(Crowd, a_host_of_ipv6_is_its_network) {
  const auto key = [](const char* text) { return key_of(boost::asio::ip::make_address(text)); };
  EXPECT_EQ(key("2001:db8:1:2::1"), "2001:db8:1:2::/64");
  EXPECT_EQ(key("2001:db8:1:2:ffff:ffff:ffff:ffff"), "2001:db8:1:2::/64");
  EXPECT_NE(key("2001:db8:1:3::1"), key("2001:db8:1:2::1"));
  EXPECT_EQ(key("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(key("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(key("::1"), "::1");
}

Settings small_budget(size_t bytes) {
  Settings settings = small_door();
  settings.max_memory = bytes;
  return settings;
}

TEST(Crowd, bodies_have_half_of_the_budget_from_their_heads_on) {
  ServerFixture fixture(small_budget(2 << 20));
  const std::string body(600 << 10, ' '), whole = post("/echo", body);
  Client first = fixture.client();
  first.send(whole.substr(0, 200));  // the head and a few bytes
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().requests == 1; }));
  const Answer busy = fixture.client().ask(whole);
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.headers.at("retry-after"), "1");
  EXPECT_EQ(fixture.client().ask(post("/echo", "{}")).status, 200) << "a small one fits";
  const std::string chunks =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Transfer-Encoding: chunked\r\n\r\n4b000\r\n" +
      body.substr(0, 300 << 10) + "\r\n0\r\n\r\n";
  EXPECT_EQ(fixture.client().ask(chunks).status, 503) << "of chunks as many as come";
  EXPECT_EQ(first.ask(whole.substr(200)).status, 200);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(fixture.client().ask(i % 2 ? whole : chunks).status, 200) << "all was given back";
  const int64_t before = fixture.figures().requests;
  for (int i = 0; i < 5; ++i) fixture.client().send(whole.substr(0, 200));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().requests == before + 5; }));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections <= 1; }));
  EXPECT_EQ(fixture.client().ask(whole).status, 200) << "also by who left";
}

TEST(Crowd, large_bodies_shut_out_neither_small_ones_nor_other_addresses) {
  ServerFixture fixture(small_budget(2 << 20));  // 768 KiB for large bodies
  std::vector<Client> many;
  const std::string begun = post("/echo", std::string(180 << 10, ' ')).substr(0, 200);
  for (int i = 0; i < 4; ++i) {
    many.emplace_back(fixture.port, 0, 2).send(begun);
    ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().requests == i + 1; }));
  }
  EXPECT_EQ(Client(fixture.port, 0, 2).ask(post("/echo", std::string(180 << 10, ' '))).status, 503)
      << "its own is full";
  EXPECT_EQ(Client(fixture.port, 0, 2).ask(post("/echo", std::string(16 << 10, ' '))).status, 200) << "small";
  EXPECT_EQ(fixture.client().ask(post("/echo", std::string(300 << 10, ' '))).status, 200) << "of others";
  EXPECT_TRUE(many[0].closed());
  EXPECT_TRUE(many[1].closed());
  EXPECT_EQ(many[2].ask(post("/echo", std::string(180 << 10, ' ')).substr(200)).status, 200) << "no more than needed";
  EXPECT_EQ(fixture.client().ask(post("/echo", std::string(800 << 10, ' '))).status, 503) << "never fits";
}

TEST(Crowd, a_handler_that_waits_holds_no_body) {
  ServerFixture fixture(small_budget(2 << 20));
  std::vector<Client> waiting;
  for (size_t i = 1; i <= 5; ++i) {
    waiting.emplace_back(fixture.port).send(post("/hold-body", std::string(700 << 10, ' ')));
    ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == i; }));
  }
  for (const ExchangePtr& exchange : fixture.held) EXPECT_LT(exchange->request().body.capacity(), 100u);
}

TEST(Crowd, an_answer_at_the_head_takes_no_body_and_reads_no_request_out_of_it) {
  ServerFixture fixture;
  std::string body;
  for (int i = 0; i < 1000; ++i) body += get("/hold");
  const std::string head = "POST /absent HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n";
  Client client = fixture.client();
  client.send(head + body);
  EXPECT_EQ(client.answer().status, 501);
  client.send(body);
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(fixture.held.empty());
  Client late = fixture.client();
  for (size_t sent = 0; sent < (8u << 20); sent += body.size()) late.send(sent ? body : head + body);
  EXPECT_EQ(late.answer().status, 501) << "also if the client sends its body first";
}

TEST(Crowd, unread_answers_are_bounded_together) {
  ServerFixture fixture(small_budget(80 << 20));
  std::vector<Client> lazy;
  for (int i = 0; i < 8; ++i) {
    lazy.emplace_back(fixture.port, 4096).send(get("/image"));  // 32 MiB
    ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().requests == i + 1 && fixture.turns > 0; }));
    EXPECT_LT(fixture.at([] { return mallinfo2().uordblks + mallinfo2().hblkhd; }), 160u << 20);
  }
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections <= 2; }));
  Client reader = fixture.client();
  EXPECT_EQ(reader.ask(get("/image")).body.size(), 32u << 20) << "who reads gets everything";
}

TEST(Crowd, a_complete_answer_must_be_read_at_a_least_rate) {
  Settings settings = ServerFixture::quick();
  settings.min_rate = 1 << 30;
  ServerFixture fixture(settings);
  Client client(fixture.port, 4096);
  client.send(get("/image"));
  // Some bytes now and then, more than none in each window.
  for (int reads = 0; reads < 2000 && client.receive_once(); ++reads)
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  EXPECT_EQ(fixture.figures().timed_out, 1);
  EXPECT_LT(client.received().size(), 32u << 20);
}

}  // namespace
}  // namespace inkstone::http
