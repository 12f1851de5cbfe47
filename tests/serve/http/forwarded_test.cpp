// Who asks, and how the client called the server, where proxies stand between: believed of listed
// proxies alone.
#include "serve/http/forwarded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "serve/http/server_fixture.h"

namespace inkstone::http {
namespace {

using Address = TrustedProxies::Address;
using Headers = std::vector<std::pair<std::string, std::string>>;

Address address(const char* text) { return boost::asio::ip::make_address(text); }

TEST(TrustedProxies, are_addresses_networks_and_words) {
  const TrustedProxies proxies({"192.0.2.7", "10.0.0.0/8", "fd00::/8", "2001:db8::1", "loopback"});
  for (const char* in : {"192.0.2.7", "10.255.1.2", "::ffff:10.1.2.3", "fdab::1", "2001:db8::1", "127.0.0.9", "::1"})
    EXPECT_TRUE(proxies.contains(address(in))) << in;
  for (const char* out : {"192.0.2.8", "11.0.0.1", "fe00::1", "2001:db8::2", "128.0.0.1", "::2", "192.168.0.1"})
    EXPECT_FALSE(proxies.contains(address(out))) << out;
  const TrustedProxies local({"private", "198.51.100.64/26"});
  for (const char* in : {"172.31.0.1", "192.168.7.7", "10.0.0.1", "fd00::1", "198.51.100.127"})
    EXPECT_TRUE(local.contains(address(in))) << in;
  for (const char* out : {"172.32.0.1", "198.51.100.63", "198.51.100.128", "127.0.0.1"})
    EXPECT_FALSE(local.contains(address(out))) << out;
  EXPECT_TRUE(TrustedProxies({"0.0.0.0/0"}).contains(address("203.0.113.1")));
  EXPECT_FALSE(TrustedProxies({"0.0.0.0/0"}).contains(address("2001:db8::1")));
  EXPECT_FALSE(TrustedProxies().contains(address("127.0.0.1")));
}

TEST(TrustedProxies, what_is_none_is_refused_by_name) {
  for (const char* word :
       {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "proxy.example.org", "", "::1/129", "10.0.0"}) {
    try {
      TrustedProxies({word});
      ADD_FAILURE() << word;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(std::string("--trusted-proxies ") + word + ":"));
    }
  }
}

// The client that these headers name to whom trusts 10.0.0.0/8; "" if none.
std::string client_of(Headers headers) {
  Request request;
  request.headers = std::move(headers);
  const auto client = read_forwarded(request, TrustedProxies({"10.0.0.0/8"})).client;
  return client ? client->to_string() : "";
}

TEST(Forwarded, the_client_is_the_nearest_that_is_no_proxy) {
  const std::string x = "x-forwarded-for";
  EXPECT_EQ(client_of({{x, "203.0.113.5"}}), "203.0.113.5");
  EXPECT_EQ(client_of({{x, "198.51.100.1, 203.0.113.5"}}), "203.0.113.5") << "what a client writes itself stands left";
  EXPECT_EQ(client_of({{x, "198.51.100.1"}, {x, "203.0.113.5"}}), "203.0.113.5") << "lines are one list";
  EXPECT_EQ(client_of({{x, "203.0.113.5, 10.0.0.2,10.3.0.1"}}), "203.0.113.5");
  EXPECT_EQ(client_of({{x, "10.0.0.9, 10.0.0.2"}}), "10.0.0.9") << "a client of the inside";
  EXPECT_EQ(client_of({{x, "203.0.113.5:4711"}}), "203.0.113.5");
  EXPECT_EQ(client_of({{x, "[2001:db8::5]:80, 10.0.0.1"}}), "2001:db8::5");
  EXPECT_EQ(client_of({{x, "2001:db8::5"}}), "2001:db8::5");
  EXPECT_EQ(client_of({{x, "nonsense, 203.0.113.5"}}), "203.0.113.5");
}

TEST(Forwarded, is_read_as_rfc_7239_says) {
  const std::string f = "forwarded";
  EXPECT_EQ(client_of({{f, "for=203.0.113.5"}}), "203.0.113.5");
  EXPECT_EQ(client_of({{f, "For=\"[2001:db8:cafe::17]:4711\""}}), "2001:db8:cafe::17");
  EXPECT_EQ(client_of({{f, "for=198.51.100.1;by=203.0.113.60 , proto=http;for=203.0.113.5, for=10.0.0.1"}}),
            "203.0.113.5");
  EXPECT_EQ(client_of({{f, R"(for="198.51.100.1, for=203.0.113.9")"}}), "")
      << "a comma within quotes separates nothing";
}

TEST(Forwarded, what_cannot_be_read_names_nobody) {
  for (const char* text : {"", ",", "unknown", "_hidden", "203.0.113.5,", "203.0.113.5, x", "203.0.113.5:", "300.1.1.1",
                           "[2001:db8::5", "203.0.113.5 198.51.100.1", "203.0.113.5;80"})
    EXPECT_EQ(client_of({{"x-forwarded-for", text}}), "") << text;
  for (const char* text : {"for=unknown", "by=203.0.113.5", "for=", "for=\"", "203.0.113.5"})
    EXPECT_EQ(client_of({{"forwarded", text}}), "") << text;
}

// A proxy that writes one of the two passes the other on as its client sent it.
TEST(Forwarded, two_headers_that_disagree_name_nobody) {
  EXPECT_EQ(client_of({{"x-forwarded-for", "203.0.113.5"}, {"forwarded", "for=203.0.113.5"}}), "203.0.113.5");
  EXPECT_EQ(client_of({{"x-forwarded-for", "203.0.113.5"}, {"forwarded", "for=198.51.100.1"}}), "");
  EXPECT_EQ(client_of({{"x-forwarded-for", "nonsense"}, {"forwarded", "for=198.51.100.1"}}), "");
}

TEST(Forwarded, tells_scheme_host_and_prefix) {
  Request request;
  request.headers = {{"x-forwarded-proto", "https, http"},
                     {"x-forwarded-host", "pictures.example.org"},
                     {"x-forwarded-prefix", "/ink/"}};
  Forwarded found = read_forwarded(request, {});
  EXPECT_EQ(found.scheme + found.host + found.prefix, "httpspictures.example.org/ink");
  request.headers = {
      {"forwarded", "for=203.0.113.5;proto=https;host=\"pictures.example.org:444\", for=10.0.0.1;proto=http"}};
  found = read_forwarded(request, {});
  EXPECT_EQ(found.scheme + found.host + found.prefix, "httpspictures.example.org:444");
  request.headers = {{"x-forwarded-proto", "gopher"}, {"x-forwarded-prefix", "https://evil.example/"}};
  found = read_forwarded(request, {});
  EXPECT_EQ(found.scheme + found.host + found.prefix, "");
}

TEST(PathPrefix, is_a_plain_path_or_none) {
  EXPECT_EQ(path_prefix("/inkstone/"), "/inkstone");
  EXPECT_EQ(path_prefix("/a/b-c_d.e"), "/a/b-c_d.e");
  EXPECT_EQ(path_prefix("/"), "");
  EXPECT_EQ(path_prefix(""), "");
  for (const char* text :
       {"inkstone", "//evil.example", "/a//b", "/../a", "/a/..", "/a b", "/a\"><script>", "/a?b", "/%2e"})
    EXPECT_FALSE(path_prefix(text)) << text;
  EXPECT_EQ(below("/ink", "/ink/jobs/7"), "/jobs/7");
  EXPECT_EQ(below("/ink", "//ink//jobs"), "/jobs");
  EXPECT_EQ(below("/ink", "/ink"), "/");
  for (const char* path : {"/inkstone/jobs", "/jobs/ink", "/"}) EXPECT_FALSE(below("/ink", path)) << path;
  EXPECT_FALSE(below("", "/jobs"));
}

TEST(Trace, is_that_of_a_valid_traceparent) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736", parent = "00f067aa0ba902b7";
  EXPECT_EQ(trace_id("00-" + trace + "-" + parent + "-01"), trace);
  EXPECT_EQ(trace_id("cc-" + trace + "-" + parent + "-01-more"), trace) << "a later version";
  const std::string zeros(32, '0');
  for (const std::string& text :
       {std::string(), "00-" + trace + "-" + parent, "00-" + trace + "-" + parent + "-01-more",
        "ff-" + trace + "-" + parent + "-01", "00-" + zeros + "-" + parent + "-01",
        "00-" + trace + "-" + zeros.substr(16) + "-01", "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01",
        "00_" + trace + "-" + parent + "-01", "0x-" + trace + "-" + parent + "-01"})
    EXPECT_EQ(trace_id(text), "") << text;
}

// ---- the same by requests ---------------------------------------------------------------------------------------

Settings behind(const std::string& proxies) {
  Settings settings = ServerFixture::quick();
  settings.trusted_proxies = {proxies};
  settings.host_names = {"pictures.example.org"};
  return settings;
}

Json asked(ServerFixture& fixture, const std::string& headers, const std::string& path = "/echo") {
  const Answer answer = fixture.client().ask(get(path, headers));
  EXPECT_EQ(answer.status, 200) << answer.body;
  return parse_json(answer.body, "answer");
}

std::string text(const Json& json, const char* name) { return std::string(json.at(name).as_string()); }

TEST(Proxy, that_is_listed_says_who_asks) {
  ServerFixture fixture(behind("127.0.0.1"));
  const Json first = asked(fixture, "X-Forwarded-For: 198.51.100.9, 203.0.113.5\r\n");
  EXPECT_EQ(text(first, "client"), "ip:203.0.113.5");
  EXPECT_EQ(text(first, "address"), "203.0.113.5") << "wrong keys are counted by it";
  EXPECT_EQ(text(asked(fixture, "X-Forwarded-For: 2001:db8:1:2:3::4\r\n"), "client"), "ip:2001:db8:1:2::/64");
  EXPECT_EQ(text(asked(fixture, "X-Forwarded-For: hidden\r\n"), "client"), "ip:127.0.0.1");
  EXPECT_EQ(text(asked(fixture, ""), "client"), "ip:127.0.0.1");
}

TEST(Proxy, that_is_not_listed_says_nothing) {
  ServerFixture fixture(behind("192.0.2.1"));
  const Json echoed = asked(fixture,
                            "X-Forwarded-For: 203.0.113.5\r\nForwarded: for=203.0.113.5;proto=https\r\n"
                            "X-Forwarded-Host: pictures.example.org\r\nX-Forwarded-Prefix: /ink\r\n");
  EXPECT_EQ(text(echoed, "client"), "ip:127.0.0.1");
  EXPECT_EQ(text(echoed, "base"), "http://localhost");
  // Believed of anybody, because it changes links in the sender's own answers alone.
  EXPECT_EQ(text(asked(fixture, "X-Forwarded-Proto: https\r\n"), "base"), "https://localhost");
}

TEST(Proxy, its_clients_on_one_connection_are_told_apart) {
  ServerFixture fixture(behind("loopback"));
  Client client = fixture.client();
  for (const char* from : {"203.0.113.5", "203.0.113.6"})
    EXPECT_EQ(
        text(parse_json(client.ask(get("/echo", std::string("X-Forwarded-For: ") + from + "\r\n")).body, "answer"),
             "client"),
        std::string("ip:") + from);
  EXPECT_EQ(text(parse_json(client.ask(get("/echo")).body, "answer"), "client"), "ip:127.0.0.1");
}

TEST(Proxy, the_name_that_its_client_called_must_be_known_too) {
  ServerFixture fixture(behind("loopback"));
  EXPECT_EQ(text(asked(fixture, "X-Forwarded-Host: pictures.example.org\r\nX-Forwarded-Proto: https\r\n"), "base"),
            "https://pictures.example.org");
  EXPECT_EQ(fixture.client().ask(get("/echo", "X-Forwarded-Host: evil.example\r\n")).status, 421);
  const std::string post_of = "X-Forwarded-Host: pictures.example.org\r\nOrigin: https://";
  EXPECT_EQ(fixture.client().ask(post("/echo", "{}", post_of + "pictures.example.org\r\n")).status, 200);
  EXPECT_EQ(fixture.client().ask(post("/echo", "{}", post_of + "evil.example\r\n")).status, 403);
}

TEST(Proxy, is_not_held_to_the_connections_of_one_address) {
  Settings settings = behind("127.0.0.2");
  settings.max_per_address = 2;
  settings.header_seconds = 60;
  ServerFixture fixture(settings);
  std::vector<Client> held;
  for (const uint8_t from : {1, 1, 2, 2, 2}) {
    held.emplace_back(fixture.port, 0, from);
    EXPECT_EQ(held.back().ask(get("/echo")).status, 200);
  }
  EXPECT_EQ(Client(fixture.port, 0, 1).ask(get("/echo")).status, 503);
  EXPECT_EQ(Client(fixture.port, 0, 2).ask(get("/echo")).status, 200);
}

TEST(RootPath, is_answered_with_and_without_it_and_known_to_handlers) {
  Settings settings = ServerFixture::quick();
  settings.root_path = "/ink/stone/";
  ServerFixture fixture(settings);
  for (const char* path : {"/ink/stone/jobs/7", "/jobs/7", "/ink/stone//jobs/7/"}) {
    const Json echoed = asked(fixture, "", path);
    EXPECT_EQ(text(echoed, "path"), std::string(path).ends_with('/') ? "/jobs/7/" : "/jobs/7") << path;
    EXPECT_EQ(text(echoed, "base"), "http://localhost/ink/stone");
  }
  EXPECT_EQ(fixture.client().ask(get("/ink/stones/jobs/7")).status, 404);
  EXPECT_EQ(fixture.client().ask("POST /ink/stone/jobs/7 HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 405);
  settings.root_path = "//evil.example";
  EXPECT_THROW(ServerFixture{settings}, UsageError);
}

TEST(RootPath, that_begins_as_a_route_does_hides_none) {
  Settings settings = ServerFixture::quick();
  settings.root_path = "/jobs";
  ServerFixture fixture(settings);
  EXPECT_EQ(text(asked(fixture, "", "/jobs/7"), "path"), "/jobs/7");
  EXPECT_EQ(text(asked(fixture, "", "/jobs/jobs/7"), "path"), "/jobs/7");
  EXPECT_EQ(text(asked(fixture, "", "/jobs/echo"), "path"), "/echo");
}

TEST(RootPath, of_a_listed_proxy_stands_before_the_operators) {
  Settings settings = behind("loopback");
  settings.root_path = "/ink";
  ServerFixture fixture(settings);
  EXPECT_EQ(text(asked(fixture, "X-Forwarded-Prefix: /stone\r\n", "/echo"), "base"), "http://localhost/stone");
  EXPECT_EQ(text(asked(fixture, "X-Forwarded-Prefix: /stone\r\n", "/stone/echo"), "path"), "/echo");
  EXPECT_EQ(text(asked(fixture, "X-Forwarded-Prefix: \"></a>\r\n", "/echo"), "base"), "http://localhost/ink");
}

}  // namespace
}  // namespace inkstone::http
