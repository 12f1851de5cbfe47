// Nobody can hold the server up: not by being slow, not by being large, not by being many, not by
// speaking in tongues.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "sanitized.h"
#include "serve/http/server_fixture.h"

namespace inkstone::http {
namespace {

size_t heap_bytes() { return mallinfo2().uordblks; }

void allow_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 16384);
  setrlimit(RLIMIT_NOFILE, &limit);
}

Settings many() {
  Settings settings = ServerFixture::quick();
  settings.max_connections = settings.max_per_address = 8192;
  settings.header_seconds = settings.body_seconds = settings.write_seconds = 60;
  return settings;
}

TEST(HttpLimits, slow_heads_and_bodies_end) {
  ServerFixture fixture;
  for (const std::string& begun : {std::string("G"), std::string("GET /echo HTTP/1.1\r\nHost: localhost\r\nX: "),
                                   post("/echo", "{}").substr(0, post("/echo", "{}").size() - 1)}) {
    Client client = fixture.client();
    client.send(begun);
    EXPECT_EQ(client.answer().status, 408) << begun;
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(fixture.figures().timed_out, 3);
}

TEST(HttpLimits, dripping_does_not_buy_time) {
  ServerFixture fixture;
  Client client = fixture.client();
  client.send("GET /echo HTTP/1.1\r\nX: ");
  client.set_limit(0.02);
  int drops = 0;
  while (!client.receive_until("408") && drops < 500) drops += client.send("x");
  EXPECT_LT(drops, 500);
}

TEST(HttpLimits, a_client_that_does_not_read_is_dropped) {
  ServerFixture fixture;
  Client client = fixture.client(4096);
  client.send(get("/image"));
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->figures().timed_out == 1; }));
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 0 && fixture.server->idle(); }));
}

TEST(HttpLimits, a_client_that_reads_slowly_gets_everything) {
  ServerFixture fixture;
  Client client = fixture.client(65536);
  client.send(get("/image"));
  for (size_t i = 1; i <= 15; ++i) {  // twice write_seconds in all
    std::this_thread::sleep_for(std::chrono::milliseconds(40));
    client.receive_until(std::string(1, '\0'));
    if (client.received().size() > (20u << 20)) break;
    client.set_limit(0.001);
  }
  client.set_limit(10);
  EXPECT_EQ(client.answer().body.size(), 32u << 20);
}

TEST(HttpLimits, a_stream_holds_no_more_than_max_unsent) {
  Settings settings = ServerFixture::quick();
  settings.write_seconds = 60;
  settings.max_unsent = 1 << 20;
  ServerFixture fixture(settings);
  Client client = fixture.client(4096);
  client.send(get("/stream"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  const size_t before = heap_bytes();
  size_t written = 0;
  const std::string chunk(100'000, 'x');
  ASSERT_TRUE(fixture.becomes([&] {
    if (fixture.gone == 0) fixture.held[0]->write(chunk);
    written += chunk.size();
    EXPECT_LT(fixture.held[0]->unsent(), settings.max_unsent + 2 * chunk.size());
    EXPECT_LT(heap_bytes(), before + settings.max_unsent + 8 * chunk.size());
    return fixture.gone == 1;
  }));
  EXPECT_GT(written, settings.max_unsent);
}

struct Malformed {
  const char* name;
  std::string bytes;
  int status;
};

std::string chunked(const std::string& chunks) {
  return "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: "
         "chunked\r\n\r\n" +
         chunks;
}

std::string lengths(const std::string& headers) {
  return "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + "\r\n{}";
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

std::vector<Malformed> malformed() {
  const std::string line = "GET /echo HTTP/1.1\r\n", host = "Host: localhost\r\n";
  return {
      {"length of 10 GB", lengths("Content-Length: 10000000000\r\n"), 413},
      {"length over the limit by one", lengths("Content-Length: 1048577\r\n"), 413},
      {"length beyond 64 bits", lengths("Content-Length: 99999999999999999999\r\n"), 400},
      {"two lengths", lengths("Content-Length: 2\r\nContent-Length: 3\r\n"), 400},
      {"the same length twice", lengths("Content-Length: 2\r\nContent-Length: 2\r\n"), 400},
      {"a list of lengths", lengths("Content-Length: 2, 2\r\n"), 400},
      {"length with plus", lengths("Content-Length: +2\r\n"), 400},
      {"length with minus", lengths("Content-Length: -2\r\n"), 400},
      {"length in hexadecimal", lengths("Content-Length: 0x2\r\n"), 400},
      {"empty length", lengths("Content-Length:\r\n"), 400},
      {"length and chunks", lengths("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"chunks and length", lengths("Transfer-Encoding: chunked\r\nContent-Length: 2\r\n"), 400},
      {"gzip and chunked", lengths("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {"chunked twice", lengths("Transfer-Encoding: chunked, chunked\r\n"), 501},
      {"two transfer-encodings", lengths("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"chunks in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"chunk of -2", chunked("-2\r\nab"), 400},
      {"chunk of 2^64-1", chunked("ffffffffffffffff\r\nab"), 413},
      {"chunk beyond 64 bits", chunked("10000000000000002\r\nab"), 400},
      {"chunk of 0x10", chunked("0x10\r\n0123456789abcdef\r\n0\r\n\r\n"), 400},
      {"chunk of +5", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400},
      {"chunk of nothing", chunked("\r\nab"), 400},
      {"chunk that ends elsewhere", chunked("2\r\nabcd\r\n0\r\n\r\n"), 400},
      {"bare line feeds in chunks", chunked("2\nab\n0\n\n"), 400},
      {"chunk with an endless extension", chunked("2;" + std::string(100'000, 'e')), 400},
      {"endless trailers", chunked("0\r\n" + repeated("a: b\r\n", 10'000)), 400},
      {"endless chunks", chunked(repeated("10000\r\n" + std::string(0x10000, 'x') + "\r\n", 20)), 413},
      {"tiny chunks", chunked(repeated("1\r\nx\r\n", 1'100'000)), 413},
      {"tiny chunks with large heads", chunked(repeated("1;" + std::string(1000, 'e') + "\r\nx\r\n", 20'000)), 413},
      {"100,000 headers", line + host + repeated("a: b\r\n", 100'000) + "\r\n", 431},
      {"65 headers", line + host + repeated("a: b\r\n", 64) + "\r\n", 431},
      {"a header of 1 MB", line + host + "a: " + std::string(1 << 20, 'b') + "\r\n\r\n", 431},
      {"a target of 1 MB", get("/" + std::string(1 << 20, 'b')), 431},
      {"folded header", line + host + "a: b\r\n c\r\n\r\n", 400},
      {"header without colon", line + host + "abc\r\n\r\n", 400},
      {"header without name", line + host + ": abc\r\n\r\n", 400},
      {"space before the colon", line + "Host : localhost\r\n\r\n", 400},
      {"control character in a header", line + host + "a: b\x01\r\n\r\n", 400},
      {"NUL in a header", line + host + std::string("a: b\0c\r\n\r\n", 10), 400},
      {"bare line feeds", "GET /echo HTTP/1.1\nHost: localhost\n\n", 400},
      {"bare carriage return", line + host + "a: b\rc: d\r\n\r\n", 400},
      {"HTTP/0.9", "GET /echo\r\n", 400},
      {"HTTP/1.2", "GET /echo HTTP/1.2\r\n" + host + "\r\n", 505},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"TLS", "\x16\x03\x01\x02\r\n", 400},
      {"bad method", "G@T /echo HTTP/1.1\r\n" + host + "\r\n", 400},
      {"no method", " /echo HTTP/1.1\r\n" + host + "\r\n", 400},
      {"unknown method", "BREW /echo HTTP/1.1\r\n" + host + "\r\n", 405},
      {"two spaces", "GET  /echo HTTP/1.1\r\n" + host + "\r\n", 400},
      {"no slash", get("echo"), 400},
      {"space in the path", get("/ec ho"), 400},
      {"NUL in the path", "GET /ec" + std::string(1, '\0') + "ho HTTP/1.1\r\n" + host + "\r\n", 400},
      {"%00", get("/echo%00"), 400},
      {"%00 in the query", get("/echo?a=%00"), 400},
      {"..", get("/jobs/../echo"), 400},
      {"..%2f", get("/jobs/..%2fecho"), 400},
      {"%2e%2e", get("/jobs/%2e%2e/echo"), 400},
      {"backslash", get("/jobs/..%5cecho"), 400},
      {"escaped line end", get("/echo%0d%0a"), 400},
      {"overlong UTF-8", get("/jobs/%c0%ae"), 400},
      {"surrogate", get("/jobs/%ed%a0%80"), 400},
      {"half an escape", get("/echo%4"), 400},
      {"no hexadecimal digits", get("/echo%zz"), 400},
      {"101 parameters", get("/echo?" + repeated("a=b&", 101)), 400},
      {"no host", "GET /echo HTTP/1.1\r\n\r\n", 400},
      {"two hosts", line + host + host + "\r\n", 400},
      {"two origins, the first empty", line + host + "Origin:\r\nOrigin: http://localhost\r\n\r\n", 400},
      {"two hosts in HTTP/1.0, the first empty", "GET /echo HTTP/1.0\r\nHost:\r\nHost: localhost\r\n\r\n", 400},
      {"two encodings, the first empty", post("/echo", "{}", "Content-Encoding:\r\nContent-Encoding: gzip\r\n"), 400},
      {"two expectations, the first empty", get("/echo", "Expect:\r\nExpect: 100-continue\r\n"), 400},
      {"two keys, the first empty", get("/echo", "Authorization:\r\nAuthorization: Bearer x\r\n"), 400},
      {"gzip", post("/echo", "{}", "Content-Encoding: gzip\r\n"), 415},
      {"form", "POST /echo HTTP/1.1\r\n" + host + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415},
      {"no content type", "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n{}", 415},
      {"latin-1",
       "POST /echo HTTP/1.1\r\n" + host +
           "Content-Type: application/json; charset=latin1\r\nContent-Length: 2\r\n\r\n{}",
       415},
  };
}

TEST(HttpLimits, what_is_malformed_is_refused_and_nothing_else_happens) {
  ServerFixture fixture(many());
  for (const Malformed& row : malformed())
    for (const bool dripped : {false, true}) {
      if (dripped && row.bytes.size() > 1000) continue;
      SCOPED_TRACE(row.name);
      Client client = fixture.client();
      if (dripped) {
        for (const char c : row.bytes) client.send({&c, 1});
      } else {
        client.send(row.bytes);  // may be refused in the middle
      }
      EXPECT_EQ(client.answer().status, row.status);
      EXPECT_TRUE(row.status != 400 || client.closed());
    }
  EXPECT_EQ(fixture.client().ask(get("/echo")).status, 200);
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 0; }));
  EXPECT_GT(fixture.figures().malformed, 50);
}

TEST(HttpLimits, what_only_looks_odd_is_served) {
  Settings settings = ServerFixture::quick();
  settings.header_seconds = settings.body_seconds = 10;
  ServerFixture fixture(settings);
  Client drop = fixture.client();
  for (const char c : chunked("0\r\n\r\n")) {
    drop.send({&c, 1});
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(drop.answer().status, 200);
  Client client = fixture.client();
  for (const std::string& bytes :
       {chunked("2;a=b\r\n{}\r\n0\r\nTrailer: x\r\n\r\n"), chunked("0002\r\n{}\r\n0\r\n\r\n"), "\r\n" + get("/echo"),
        post("/echo", ""), std::string("POST /echo?prompt=a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        get("/echo", "Content-Encoding: identity\r\n"),
        std::string("GET http://localhost/echo HTTP/1.1\r\nHost: elsewhere\r\n\r\n"), get("/jobs/a..b"),
        std::string("POST /echo HTTP/1.1\r\nHost: [::1]:80\r\nContent-Type: application/json; "
                    "charset=UTF-8\r\nContent-Length: 2\r\n\r\n{}"),
        post("/pictures", std::string(4 << 20, ' '))})
    EXPECT_EQ(client.ask(bytes).status, 200) << bytes.substr(0, 200);
}

TEST(HttpLimits, routes_with_pictures_take_forms_and_larger_bodies) {
  Settings settings = ServerFixture::quick();
  settings.max_body = 1000;
  settings.max_image_body = 2000;
  ServerFixture fixture(settings);
  const auto sent = [&](const std::string& path, size_t bytes, const std::string& head) {
    return fixture.client()
        .ask("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + head + "Content-Length: " + std::to_string(bytes) +
             "\r\n\r\n" + std::string(bytes, ' '))
        .status;
  };
  const std::string json = "Content-Type: application/json\r\n",
                    form = "Content-Type: multipart/form-data; boundary=X\r\n";
  for (const std::string& head : {json, form}) {
    EXPECT_EQ(sent("/pictures", 2000, head), 200);
    EXPECT_EQ(sent("/pictures", 2001, head), 413);
  }
  EXPECT_EQ(sent("/echo", 1001, json), 413);
  EXPECT_EQ(sent("/echo", 1000, form), 415);
  EXPECT_EQ(sent("/pictures", 10, form + "Origin: http://evil.example\r\n"), 403);
  EXPECT_EQ(sent("/pictures", 10, form + "Sec-Fetch-Site: cross-site\r\n"), 403);
  EXPECT_EQ(sent("/pictures", 10, form + "Sec-Fetch-Site: same-origin\r\n"), 200);
}

TEST(HttpLimits, ten_thousand_pipelined_requests_take_no_memory) {
  ServerFixture fixture;
  const std::string all = get("/hold") + repeated(get("/jobs/1"), 10'000);
  Client client = fixture.client();
  client.ask(get("/echo"));
  const size_t before = heap_bytes();
  std::thread sender([&] { client.send(all); });
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  for (int i = 0; i < 20; ++i) {
    EXPECT_LT(fixture.at([] { return heap_bytes(); }), before + (256 << 10));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  fixture.at([&] { fixture.held[0]->reply({}); });
  int answered = 0;
  while (answered <= 10'000 && client.answer().status == 200) ++answered;
  sender.join();
  EXPECT_EQ(answered, 10'001);
}

TEST(HttpLimits, connections_are_counted_for_each_address) {
  Settings settings = ServerFixture::quick();
  settings.max_per_address = 3;
  ServerFixture fixture(settings);
  std::vector<Client> clients;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(clients.emplace_back(fixture.port).ask(get("/echo")).status, 200);
  EXPECT_EQ(fixture.client().answer().status, 503);
  EXPECT_EQ(fixture.figures().turned_away, 1);
  clients.pop_back();
  EXPECT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 2; }));
  EXPECT_EQ(fixture.client().ask(get("/echo")).status, 200);
}

TEST(HttpLimits, who_rests_longest_gives_way) {
  Settings settings = ServerFixture::quick();
  settings.max_connections = 3;
  ServerFixture fixture(settings);
  Client working = fixture.client();
  working.send(get("/hold"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  Client first = fixture.client(), second = fixture.client();
  EXPECT_EQ(second.ask(get("/echo")).status, 200);
  EXPECT_EQ(first.ask(get("/echo")).status, 200);
  Client third = fixture.client();
  EXPECT_EQ(third.ask(get("/echo")).status, 200);
  EXPECT_TRUE(second.closed());
  EXPECT_EQ(first.ask(get("/echo")).status, 200);
  EXPECT_EQ(fixture.gone, 0) << "who works is let be";
}

TEST(HttpLimits, without_descriptors_it_neither_spins_nor_stops) {
  if (kSanitized) GTEST_SKIP() << "the sanitizers look at memory through a pipe, for which there is no descriptor";
  ServerFixture fixture;
  Client known = fixture.client();
  known.send(get("/hold"));
  ASSERT_TRUE(fixture.becomes([&] { return fixture.held.size() == 1; }));
  std::promise<void> go;
  boost::asio::post(fixture.events, [&] { go.get_future().wait(); });
  std::vector<Client> waiting;
  for (int i = 0; i < 10; ++i) waiting.emplace_back(fixture.port);
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const int next = dup(0);
  close(next);
  rlimit none = limit;
  none.rlim_cur = static_cast<rlim_t>(next);
  setrlimit(RLIMIT_NOFILE, &none);
  const int64_t before = fixture.turns;
  go.set_value();
  for (Client& client : waiting) EXPECT_TRUE(client.closed()) << "none is left hanging";
  EXPECT_LT(fixture.turns - before, 100);
  setrlimit(RLIMIT_NOFILE, &limit);
  EXPECT_EQ(fixture.figures().turned_away, 10);
  fixture.at([&] { fixture.held[0]->reply({}); });
  EXPECT_EQ(known.answer().status, 200) << "who works is let be";
  EXPECT_EQ(fixture.client().ask(get("/echo")).status, 200);
}

TEST(HttpLimits, a_thousand_idle_connections_are_cheap) {
  allow_descriptors();
  constexpr int kCount = 1000;
  ServerFixture fixture(many());
  std::vector<Client> clients;
  clients.reserve(kCount);
  const size_t before = heap_bytes();
  for (int i = 0; i < kCount; ++i) clients.emplace_back(fixture.port);
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == kCount; }));
  const size_t fresh = (heap_bytes() - before) / kCount;
  for (Client& client : clients) ASSERT_EQ(client.ask(get("/echo")).status, 200);
  const size_t used = (heap_bytes() - before) / kCount;
  EXPECT_LT(fresh, 8u << 10);
  EXPECT_LT(used, 8u << 10) << "what a request took is given back";
  RecordProperty("bytes_fresh", static_cast<int>(fresh));
  RecordProperty("bytes_used", static_cast<int>(used));
  const int64_t turns = fixture.turns;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_LT(fixture.turns - turns, 10) << "idle connections cost no time";
}

TEST(HttpLimits, a_thousand_idle_and_a_thousand_slow_do_not_hold_up_health) {
  allow_descriptors();
  ServerFixture fixture(many());
  std::vector<Client> idle, slow;
  for (int i = 0; i < 1000; ++i) {
    idle.emplace_back(fixture.port);
    slow.emplace_back(fixture.port).send(i % 2 ? "GET /echo HTTP/1.1\r\nX: " : post("/echo", "{    }").substr(0, 100));
  }
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().connections == 2000; }));
  Client probe = fixture.client();
  std::vector<double> micros;
  for (int i = 0; i < 2000; ++i) {
    for (int k = 0; k < 5; ++k) slow[static_cast<size_t>(i * 10 + 2 * k + 1) % 1000].send("x");
    const int64_t turns = fixture.turns;
    const auto start = std::chrono::steady_clock::now();
    ASSERT_EQ(probe.ask(get("/health/live")).status, 200);
    micros.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
    EXPECT_LT(fixture.turns - turns, 40) << "an answer waits for what came before it and no more";
  }
  std::ranges::sort(micros);
  RecordProperty("p50_micros", static_cast<int>(micros[micros.size() / 2]));
  RecordProperty("p99_micros", static_cast<int>(micros[micros.size() * 99 / 100]));
  EXPECT_EQ(fixture.figures().timed_out, 0);
}

}  // namespace
}  // namespace inkstone::http
