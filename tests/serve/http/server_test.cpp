// What every client of the server can rely on: answers, keep-alive, streams, and that its leaving is noticed.
#include "serve/http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "serve/http/http_house.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

std::string said(const HttpAnswer& answer, const char* key) {
  const Json body = parse_json(answer.body, "answer");
  const auto* value = body.as_object().if_contains(key);
  return value ? std::string(value->as_string()) : "(nothing)";
}

TEST(HttpServer, says_who_asked_for_what) {
  HttpHouse house;
  HttpClient client = house.client();
  const HttpAnswer answer =
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

TEST(HttpServer, every_answer_has_its_headers) {
  HttpHouse house;
  for (const char* path : {"/health/live", "/nowhere", "/drop", "/a%00b"}) {
    const HttpAnswer answer = house.client().ask(get(path));
    SCOPED_TRACE(path);
    EXPECT_EQ(answer.headers.at("server"), "inkstone");
    EXPECT_EQ(answer.headers.at("x-content-type-options"), "nosniff");
    EXPECT_EQ(answer.headers.at("cache-control"), "no-store");
    EXPECT_EQ(answer.headers.at("x-request-id").size(), 24u);
    EXPECT_TRUE(answer.headers.contains("date"));
    EXPECT_FALSE(answer.headers.contains("access-control-allow-origin"));
  }
  EXPECT_EQ(house.client().ask("GET /picture HTTP/1.1\r\nHost: localhost\r\n\r\n").headers.at("cache-control"),
            "max-age=60");
}

TEST(HttpServer, a_request_id_that_is_not_plain_is_replaced) {
  HttpHouse house;
  for (const std::string& id :
       {std::string("a b"), std::string("<script>"), std::string(129, 'a'), std::string("\xff")}) {
    const HttpAnswer answer = house.client().ask(get("/health/live", "x-request-id: " + id + "\r\n"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.headers.at("x-request-id").size(), 24u);
  }
}

TEST(HttpServer, keeps_a_connection_as_the_client_wishes) {
  HttpHouse house;
  HttpClient client = house.client();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.ask(get("/echo")).status, 200);
  const HttpAnswer last = client.ask(get("/echo", "Connection: close\r\n"));
  EXPECT_EQ(last.headers.at("connection"), "close");
  EXPECT_TRUE(client.closed());
  HttpClient old = house.client();
  EXPECT_EQ(old.ask("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").headers.at("connection"), "keep-alive");
  EXPECT_EQ(old.ask("GET /echo HTTP/1.0\r\n\r\n").headers.at("connection"), "close");
  EXPECT_TRUE(old.closed());
  EXPECT_EQ(house.figures().accepted, 2);
}

TEST(HttpServer, head_is_get_without_the_body) {
  HttpHouse house;
  HttpClient client = house.client();
  client.send("HEAD /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const HttpAnswer answer = client.answer(true);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers.at("content-length"), "2");
  EXPECT_EQ(client.ask(get("/echo")).status, 200) << "nothing of a body came between";
  client.send("HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(client.answer(true).status, 200);
  house.at([&] {
    house.held[0]->write("data: 1\n\n");
    house.held[0]->end_stream();
  });
  EXPECT_EQ(client.ask(get("/echo")).status, 200);
}

TEST(HttpServer, says_what_an_address_takes) {
  HttpHouse house;
  HttpClient client = house.client();
  EXPECT_EQ(client.ask(get("/nowhere")).status, 404);
  const HttpAnswer wrong = client.ask(post("/jobs/7", ""));
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "DELETE, GET, HEAD, OPTIONS");
  const HttpAnswer options = client.ask("OPTIONS /jobs/7 HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("allow"), "DELETE, GET, HEAD, OPTIONS");
  EXPECT_FALSE(options.headers.contains("content-length"));
}

TEST(HttpServer, answers_whatever_a_handler_does) {
  HttpHouse house;
  HttpClient client = house.client();
  EXPECT_EQ(client.ask(get("/drop")).status, 500);
  const HttpAnswer thrown = client.ask(get("/throw"));
  EXPECT_EQ(thrown.status, 500);
  EXPECT_THAT(thrown.body, testing::Not(HasSubstr("0x1234")));
  const HttpAnswer usage = client.ask(get("/usage"));
  EXPECT_EQ(usage.status, 400);
  EXPECT_THAT(usage.body, HasSubstr("steps must be at least 1"));
}

TEST(HttpServer, no_header_is_split) {
  HttpHouse house;
  HttpClient client = house.client();
  for (const char* name : {"a%0d%0aSet-Cookie:%20b", "a%0ab", "a%0db"}) {
    client.send(get(std::string("/split?name=") + name));
    ASSERT_TRUE(client.receive_until("\r\n\r\n"));
    EXPECT_THAT(client.received(), testing::Not(HasSubstr("Set-Cookie")));
    EXPECT_EQ(client.answer().status, 500);
  }
  EXPECT_EQ(client.ask(get("/split?name=plain")).headers.at("x-name"), "plain");
}

TEST(HttpServer, pipelined_requests_are_answered_in_order) {
  HttpHouse house;
  HttpClient client = house.client();
  client.send(get("/jobs/1") + get("/hold") + post("/echo", "x") + get("/jobs/2"));
  EXPECT_EQ(said(client.answer(), "captured id"), "1");
  ASSERT_TRUE(house.becomes([&] { return house.held.size() == 1; }));
  house.at([&] { house.held[0]->reply({202, "text/plain", "later", {}}); });
  EXPECT_EQ(client.answer().body, "later");
  EXPECT_EQ(said(client.answer(), "body"), "x");
  EXPECT_EQ(said(client.answer(), "captured id"), "2");
}

TEST(HttpServer, expectations_are_answered) {
  HttpHouse house;
  HttpClient client = house.client();
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";
  client.send(head + "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.answer().status, 100);
  client.send("{}");
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.ask(head + "Expect: a miracle\r\n\r\n{}").status, 417);
}

TEST(HttpServer, streams_in_chunks_and_to_old_clients_without) {
  HttpHouse house;
  HttpClient client = house.client(), old = house.client();
  client.send(get("/stream"));
  ASSERT_TRUE(house.becomes([&] { return house.held.size() == 1; }));
  old.send("GET /stream HTTP/1.0\r\n\r\n");
  ASSERT_TRUE(house.becomes([&] { return house.held.size() == 2; }));
  const std::string large(100'000, 'x');
  house.at([&] {
    for (const auto& exchange : house.held) {
      exchange->write("data: 1\n\n");
      exchange->write("");
      exchange->write(large);
      exchange->end_stream();
    }
  });
  const HttpAnswer answer = client.answer();
  EXPECT_EQ(answer.headers.at("transfer-encoding"), "chunked");
  EXPECT_EQ(answer.headers.at("x-accel-buffering"), "no");
  EXPECT_EQ(answer.body, "data: 1\n\n" + large);
  EXPECT_EQ(client.ask(get("/echo")).status, 200);
  const HttpAnswer plain = old.answer();
  EXPECT_FALSE(plain.headers.contains("transfer-encoding"));
  EXPECT_EQ(plain.body, "data: 1\n\n" + large);
  EXPECT_EQ(house.gone, 0);
}

TEST(HttpServer, a_stream_that_nobody_ends_is_cut) {
  HttpHouse house;
  HttpClient client = house.client();
  client.send(get("/stream"));
  ASSERT_TRUE(client.receive_until("\r\n\r\n"));
  house.at([&] { house.held.clear(); });
  EXPECT_THAT(client.receive_all(), testing::Not(testing::EndsWith("0\r\n\r\n")));
}

TEST(HttpServer, event_streams_are_kept_awake) {
  HttpSettings settings = HttpHouse::quick();
  settings.ping_seconds = 0.02;
  HttpHouse house(settings);
  HttpClient client = house.client();
  client.send(get("/stream"));
  EXPECT_TRUE(client.receive_until("8\r\n: ping\n\n\r\n8\r\n: ping\n\n\r\n"));
}

TEST(HttpServer, a_client_that_leaves_is_noticed) {
  for (const char* path : {"/hold", "/stream"})
    for (const bool half : {false, true})
      for (const std::string& ahead : {std::string(), get("/echo"), std::string(100'000, 'x')}) {
        SCOPED_TRACE(std::string(path) + (half ? ", half" : ", reset") + ", ahead " + std::to_string(ahead.size()));
        HttpHouse house;
        HttpClient client = house.client();
        client.send(get(path));
        ASSERT_TRUE(house.becomes([&] { return house.held.size() == 1; }));
        client.send(ahead);
        half ? client.half_close() : client.reset();
        EXPECT_TRUE(house.becomes([&] { return house.gone == 1; }));
        house.at([&] {
          const ExchangePtr& exchange = house.held[0];
          if (path == std::string("/hold"))
            exchange->reply({});
          else
            exchange->write("x"), exchange->end_stream();
          exchange->on_gone([&] { ++house.gone; });
          EXPECT_EQ(exchange->unsent(), 0u);
        });
        EXPECT_TRUE(house.becomes([&] { return house.gone == 2; })) << "also who asks late is told";
        EXPECT_EQ(house.figures().connections, 0);
        EXPECT_EQ(house.figures().exchanges, 0);
      }
}

TEST(HttpServer, who_has_answered_is_not_told_that_the_client_left) {
  HttpHouse house;
  {
    HttpClient client = house.client();
    client.send(get("/hold"));
    ASSERT_TRUE(house.becomes([&] { return house.held.size() == 1; }));
    house.at([&] { house.held[0]->reply({}); });
    EXPECT_EQ(client.answer().status, 200);
    EXPECT_ANY_THROW(house.at([&] { house.held[0]->reply({}); })) << "a second answer";
  }
  EXPECT_TRUE(house.becomes([&] { return house.server->figures().connections == 0; }));
  EXPECT_EQ(house.gone, 0);
}

TEST(HttpServer, a_last_request_before_a_half_close_is_answered) {
  HttpHouse house;
  HttpClient client = house.client();
  client.send(get("/jobs/1") + get("/jobs/2"));
  client.half_close();
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_TRUE(client.closed());
}

TEST(HttpServer, drains) {
  HttpHouse house;
  HttpClient resting = house.client(), working = house.client(), late = house.client();
  EXPECT_EQ(resting.ask(get("/echo")).status, 200);
  working.send(get("/hold"));
  ASSERT_TRUE(house.becomes([&] { return house.held.size() == 1; }));
  house.at([&] { house.server->drain(); });
  EXPECT_EQ(late.ask(get("/health/live")).headers.at("connection"), "close");
  EXPECT_EQ(house.client().ask(get("/health/live")).status, 200) << "still listening";
  house.at([&] { house.server->stop_accepting(); });
  EXPECT_TRUE(resting.closed());
  EXPECT_EQ(house.client().ask(get("/health/live")).status, 0);
  EXPECT_FALSE(house.at([&] { return house.server->idle(); }));
  house.at([&] { house.held[0]->reply({200, "text/plain", "done", {}}); });
  EXPECT_EQ(working.answer().body, "done");
  EXPECT_TRUE(house.becomes([&] { return house.server->idle(); }));
}

TEST(HttpServer, close_ends_all_and_tells) {
  HttpHouse house;
  HttpClient client = house.client();
  client.send(get("/hold"));
  ASSERT_TRUE(house.becomes([&] { return house.held.size() == 1; }));
  house.at([&] { house.server->close(); });
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(house.becomes([&] { return house.gone == 1; }));
}

TEST(HttpServer, a_taken_port_is_an_error_that_names_it_and_its_holder) {
  HttpHouse house;
  HttpSettings settings = HttpHouse::quick();
  settings.port = house.port;
  boost::asio::io_context events;
  try {
    HttpServer second(events, settings, Router());
    FAIL() << "it listens";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("port " + std::to_string(house.port)));
    EXPECT_THAT(error.what(), HasSubstr("held by"));
  }
}

TEST(HttpServer, counts_its_answers) {
  HttpHouse house;
  HttpClient client = house.client();
  client.ask(get("/echo"));
  client.ask(get("/echo"));
  client.ask(get("/nowhere"));
  const HttpFigures figures = house.figures();
  EXPECT_EQ(figures.requests, 3);
  EXPECT_THAT(figures.answers, testing::ElementsAre(std::pair(200, 2), std::pair(404, 1)));
}

}  // namespace
}  // namespace inkstone
