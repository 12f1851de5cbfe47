// Memory that is short ends a connection, never the server.
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include "serve/failing_new.h"
#include "serve/http/server_fixture.h"

namespace {

// Of this thread: how many allocations still succeed before one fails; how large one may be.
thread_local int64_t allocations_left = -1;
thread_local size_t largest = SIZE_MAX;

void* allocate(size_t size) {
  if (size > largest || (allocations_left >= 0 && allocations_left-- == 0)) throw std::bad_alloc();
  return memory_of(size);
}

}  // namespace

namespace inkstone::http {
namespace {

TEST(HttpMemory, a_body_for_which_there_is_none_ends_its_connection) {
  ServerFixture fixture;
  fixture.at([] { largest = 1 << 20; });
  Client client = fixture.client();
  client.send(post("/pictures", std::string(4 << 20, ' ')).substr(0, 1000));
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(fixture.client().ask(get("/health/live")).status, 200);
  fixture.at([] { largest = SIZE_MAX; });
  EXPECT_EQ(fixture.client().ask(post("/pictures", std::string(4 << 20, ' '))).status, 200);
}

// Each allocation that a request makes fails once.
TEST(HttpMemory, whichever_allocation_fails_the_server_goes_on) {
  ServerFixture fixture;
  const std::string asked[] = {get("/echo?a=b"), post("/echo", "{}"), get("/nowhere"),     get("/stream"),
                               get("/drop"),     get("/again"),       get("/stream-again")};
  for (const std::string& request : asked) {
    bool answered = false;
    for (int64_t k = 0; k < 400 && !answered; ++k) {
      Client client = fixture.client();
      ASSERT_EQ(client.ask(get("/health/live")).status, 200) << request << k;
      client.set_limit(0.5);  // a handler that kept its exchange and failed answers nothing
      fixture.at([k] { allocations_left = k; });
      client.send(request);
      client.receive_until("HTTP/1.1 ");
      client.half_close();
      while (client.receive_once()) {
      }
      answered = fixture.at([] { return std::exchange(allocations_left, -1) >= 0; });
      fixture.at([&] { fixture.held.clear(); });
    }
    EXPECT_TRUE(answered) << request;
  }
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 0 && fixture.server->idle(); }));
}

TEST(HttpMemory, whichever_allocation_of_a_new_connection_fails_the_next_is_accepted) {
  ServerFixture fixture;
  // Asio keeps a little memory of past waits; these take it.
  std::vector<boost::asio::steady_timer> pending;
  for (int i = 0; i < 4; ++i) pending.emplace_back(fixture.events, std::chrono::hours(1));
  bool answered = false;
  for (int64_t k = 0; k < 100 && !answered; ++k) {
    fixture.at([&] {
      for (auto& timer : pending) timer.async_wait([](const boost::system::error_code&) {});
      allocations_left = k;
    });
    {
      Client client = fixture.client();
      client.set_limit(0.5);
      client.send(get("/health/live"));
      client.receive_until("HTTP/1.1 ");
    }
    answered = fixture.at([] { return std::exchange(allocations_left, -1) >= 0; });
    ASSERT_EQ(fixture.client().ask(get("/health/live")).status, 200) << k;
  }
  fixture.at([&] { pending.clear(); });
  EXPECT_TRUE(answered);
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 0 && fixture.server->idle(); }));
}

TEST(HttpMemory, what_a_handler_throws_when_its_client_left_ends_nothing) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.send(get("/hold"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  fixture.at([&] {
    fixture.held[0]->on_gone([&] {
      ++fixture.gone;
      throw std::bad_alloc();
    });
  });
  client.reset();
  EXPECT_TRUE(fixture.becomes([&] { return fixture.gone == 1; }));
  EXPECT_EQ(fixture.client().ask(get("/health/live")).status, 200);
}

}  // namespace
}  // namespace inkstone::http
