// What every client of the server can rely on: answers, keep-alive, streams, and that its leaving
// is noticed.
#include "serve/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "serve/http/server_fixture.h"

namespace inkstone::http {
namespace {

using testing::HasSubstr;

std::string said(const Answer& answer, const char* key) {
  const Json body = parse_json(answer.body, "answer");
  const auto* value = body.as_object().if_contains(key);
  return value ? std::string(value->as_string()) : "(nothing)";
}

TEST(Server, says_who_asked_for_what) {
  ServerFixture fixture;
  Client client = fixture.client();
  const Answer answer =
      client.ask(post("/v2/models/caf%C3%A9?prompt=a+red%20fox&empty=&alone", "{\"a\":1}", "X-Request-Id: mine-7\r\n"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(said(answer, "path"), "/v2/models/café");
  EXPECT_EQ(said(answer, "captured model"), "café");
  EXPECT_EQ(said(answer, "query prompt"), "a red fox");
  EXPECT_EQ(said(answer, "query empty"), "");
  EXPECT_EQ(said(answer, "query alone"), "");
  EXPECT_EQ(said(answer, "body"), "{\"a\":1}");
  EXPECT_EQ(said(answer, "client"), "ip:127.0.0.1");
  EXPECT_EQ(said(answer, "id"), "mine-7");
}

TEST(Server, every_answer_has_its_headers) {
  ServerFixture fixture;
  for (const char* path : {"/health/live", "/nowhere", "/drop", "/a%00b"}) {
    const Answer answer = fixture.client().ask(get(path));
    SCOPED_TRACE(path);
    EXPECT_EQ(answer.headers.at("server"), "inkstone");
    EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
    EXPECT_EQ(answer.headers.at("cache-control"), "no-store");
    EXPECT_EQ(answer.headers.at("x-request-id").size(), 24u);
    EXPECT_TRUE(answer.headers.contains("date"));
    EXPECT_FALSE(answer.headers.contains("access-control-allow-origin"));
  }
  EXPECT_EQ(fixture.client().ask("GET /image HTTP/1.1\r\nHost: localhost\r\n\r\n").headers.at("cache-control"),
            "max-age=60");
}

TEST(Server, a_request_id_that_is_not_plain_is_replaced) {
  ServerFixture fixture;
  for (const std::string& id :
       {std::string("a b"), std::string("<script>"), std::string(129, 'a'), std::string("\xff")}) {
    const Answer answer = fixture.client().ask(get("/health/live", "x-request-id: " + id + "\r\n"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("x-request-id").size(), 24u);
  }
}

TEST(Server, keeps_a_connection_as_the_client_wishes) {
  ServerFixture fixture;
  Client client = fixture.client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.ask(get("/echo")).status, 200);
  const Answer last = client.ask(get("/echo", "Connection: close\r\n"));
  EXPECT_EQ(last.headers.at("connection"), "close");
  EXPECT_TRUE(client.closed());
  Client old = fixture.client();
  EXPECT_EQ(old.ask("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").headers.at("connection"), "keep-alive");
  EXPECT_EQ(old.ask("GET /echo HTTP/1.0\r\n\r\n").headers.at("connection"), "close");
  EXPECT_TRUE(old.closed());
  EXPECT_EQ(fixture.figures().accepted, 2);
}

TEST(Server, head_is_get_without_the_body) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.send("HEAD /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const Answer answer = client.answer(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-length"), "2");
  EXPECT_EQ(client.ask(get("/echo")).status, 200) << "nothing of a body came between";
  client.send("HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.answer(true).status, 200);
  fixture.at([&] {
    fixture.held[0]->write("data: 1\n\n");
    fixture.held[0]->end_stream();
  });
  EXPECT_EQ(client.ask(get("/echo")).status, 200);
}

TEST(Server, says_what_an_address_takes) {
  ServerFixture fixture;
  Client client = fixture.client();
  EXPECT_EQ(client.ask(get("/nowhere")).status, 404);
  const Answer wrong = client.ask(post("/jobs/7", ""));
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "DELETE, GET, HEAD, OPTIONS");
  const Answer options = client.ask("OPTIONS /jobs/7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("allow"), "DELETE, GET, HEAD, OPTIONS");
  EXPECT_FALSE(options.headers.contains("content-length"));
}

TEST(Server, answers_whatever_a_handler_does) {
  ServerFixture fixture;
  Client client = fixture.client();
  EXPECT_EQ(client.ask(get("/drop")).status, 500);
  const Answer thrown = client.ask(get("/throw"));
  EXPECT_EQ(thrown.status, 500);
  EXPECT_THAT(thrown.body, testing::Not(HasSubstr("0x1234")));
  const Answer usage = client.ask(get("/usage"));
  EXPECT_EQ(usage.status, 400);
  EXPECT_THAT(usage.body, HasSubstr("steps must be at least 1"));
}

TEST(Server, no_header_is_split) {
  ServerFixture fixture;
  Client client = fixture.client();
  for (const char* name : {"a%0d%0aSet-Cookie:%20b", "a%0ab", "a%0db"}) {
    client.send(get(std::string("/split?name=") + name));
    ASSERT_TRUE(client.receive_until("\r\n\r\n"));
    EXPECT_THAT(client.received(), testing::Not(HasSubstr("Set-Cookie")));
    EXPECT_EQ(client.answer().status, 500);
  }
  EXPECT_EQ(client.ask(get("/split?name=plain")).headers.at("x-name"), "plain");
}

TEST(Server, pipelined_requests_are_answered_in_order) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.send(get("/jobs/1") + get("/hold") + post("/echo", "x") + get("/jobs/2"));
  EXPECT_EQ(said(client.answer(), "captured id"), "1");
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  fixture.at([&] { fixture.held[0]->reply({202, "text/plain", "later", {}}); });
  EXPECT_EQ(client.answer().body, "later");
  EXPECT_EQ(said(client.answer(), "body"), "x");
  EXPECT_EQ(said(client.answer(), "captured id"), "2");
}

TEST(Server, expectations_are_answered) {
  ServerFixture fixture;
  Client client = fixture.client();
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";
  client.send(head + "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer().status, 100);
  client.send("{}");
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.ask(head + "Expect: a miracle\r\n\r\n{}").status, 417);
}

TEST(Server, streams_in_chunks_and_to_old_clients_without) {
  ServerFixture fixture;
  Client client = fixture.client(), old = fixture.client();
  client.send(get("/stream"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  old.send("GET /stream HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 2; }));
  const std::string large(100'000, 'x');
  fixture.at([&] {
    for (const auto& exchange : fixture.held) {
      exchange->write("data: 1\n\n");
      exchange->write("");
      exchange->write(large);
      exchange->end_stream();
    }
  });
  const Answer answer = client.answer();
  EXPECT_EQ(answer.headers.at("transfer-encoding"), "chunked");
  EXPECT_EQ(answer.headers.at("x-accel-buffering"), "no");
  EXPECT_EQ(answer.body, "data: 1\n\n" + large);
  EXPECT_EQ(client.ask(get("/echo")).status, 200);
  const Answer plain = old.answer();
  EXPECT_FALSE(plain.headers.contains("transfer-encoding"));
  EXPECT_EQ(plain.body, "data: 1\n\n" + large);
  EXPECT_EQ(fixture.gone, 0);
}

TEST(Server, a_stream_that_nobody_ends_is_cut) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.send(get("/stream"));
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  fixture.at([&] { fixture.held.clear(); });
  EXPECT_THAT(client.receive_all(), testing::Not(testing::EndsWith("0\r\n\r\n")));
}

TEST(Server, event_streams_are_kept_awake) {
  Settings settings = ServerFixture::quick();
  settings.ping_seconds = 0.02;
  ServerFixture fixture(settings);
  Client client = fixture.client();
  client.send(get("/stream"));
  EXPECT_TRUE(client.receive_until("8\r\n: ping\n\n\r\n8\r\n: ping\n\n\r\n"));
}

TEST(Server, a_client_that_leaves_is_noticed) {
  for (const char* path : {"/hold", "/stream"})
    for (const bool half : {false, true})
      for (const std::string& ahead : {std::string(), get("/echo"), std::string(100'000, 'x')}) {
        SCOPED_TRACE(std::string(path) + (half ? ", half" : ", reset") + ", ahead " + std::to_string(ahead.size()));
        ServerFixture fixture;
        Client client = fixture.client();
        client.send(get(path));
        ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
        client.send(ahead);
        half ? client.half_close() : client.reset();
        EXPECT_TRUE(fixture.becomes([&] { return fixture.gone == 1; }));
        fixture.at([&] {
          const ExchangePtr& exchange = fixture.held[0];
          if (path == std::string("/hold"))
            exchange->reply({});
          else
            exchange->write("x"), exchange->end_stream();
          exchange->on_gone([&] { ++fixture.gone; });
          EXPECT_EQ(exchange->unsent(), 0u);
        });
        EXPECT_TRUE(fixture.becomes([&] { return fixture.gone == 2; })) << "also who asks late is told";
        EXPECT_EQ(fixture.figures().connections, 0);
        EXPECT_EQ(fixture.figures().exchanges, 0);
      }
}

TEST(Server, who_has_answered_is_not_told_that_the_client_left) {
  ServerFixture fixture;
  {
    Client client = fixture.client();
    client.send(get("/hold"));
    ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
    fixture.at([&] { fixture.held[0]->reply({}); });
    EXPECT_EQ(client.answer().status, 200);
    EXPECT_ANY_THROW(fixture.at([&] { fixture.held[0]->reply({}); })) << "a second answer";
  }
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 0; }));
  EXPECT_EQ(fixture.gone, 0);
}

TEST(Server, a_last_request_before_a_half_close_is_answered) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.send(get("/jobs/1") + get("/jobs/2"));
  client.half_close();
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_TRUE(client.closed());
}

TEST(Server, drains) {
  ServerFixture fixture;
  Client resting = fixture.client(), working = fixture.client(), late = fixture.client();
  EXPECT_EQ(resting.ask(get("/echo")).status, 200);
  working.send(get("/hold"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  fixture.at([&] { fixture.server->drain(); });
  EXPECT_EQ(late.ask(get("/health/live")).headers.at("connection"), "close");
  EXPECT_EQ(fixture.client().ask(get("/health/live")).status, 200) << "still listening";
  fixture.at([&] { fixture.server->stop_accepting(); });
  EXPECT_TRUE(resting.closed());
  EXPECT_EQ(fixture.client().ask(get("/health/live")).status, 0);
  EXPECT_FALSE(fixture.at([&] { return fixture.server->idle(); }));
  fixture.at([&] { fixture.held[0]->reply({200, "text/plain", "done", {}}); });
  EXPECT_EQ(working.answer().body, "done");
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->idle(); }));
}

TEST(Server, close_ends_all_and_tells) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.send(get("/hold"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  fixture.at([&] { fixture.server->close(); });
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(fixture.becomes([&] { return fixture.gone == 1; }));
}

TEST(Server, a_taken_port_is_an_error_that_names_it_and_its_holder) {
  ServerFixture fixture;
  Settings settings = ServerFixture::quick();
  settings.port = fixture.port;
  boost::asio::io_context events;
  try {
    Server second(events, settings, Router());
    FAIL() << "it listens";
  } catch (const inkstone::Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("port " + std::to_string(fixture.port)));
    EXPECT_THAT(error.what(), HasSubstr("held by"));
  }
}

TEST(Server, counts_its_answers) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.ask(get("/echo"));
  client.ask(get("/echo"));
  client.ask(get("/nowhere"));
  const Figures figures = fixture.figures();
  EXPECT_EQ(figures.requests, 3);
  EXPECT_THAT(figures.answers, testing::ElementsAre(std::pair(200, 2), std::pair(404, 1)));
}

}  // namespace
}  // namespace inkstone::http
