// Who may come in: by host name, by page, by key; and what a page may read.
#include "serve/http/request_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "serve/http/keys.h"
#include "serve/http/server_fixture.h"

namespace inkstone::http {
namespace {

using testing::HasSubstr;

std::string from(std::string_view method, std::string_view host, std::string_view origin) {
  std::string text = std::string(method) + " /echo HTTP/1.1\r\nHost: " + std::string(host) + "\r\n";
  if (!origin.empty()) text += "Origin: " + std::string(origin) + "\r\n";
  return text + "\r\n";
}

TEST(RequestPolicy, what_is_asked_every_few_seconds_is_no_line_of_the_log) {
  for (const char* path : {"/health", "/healthz", "/health/live", "/v2/health/ready", "/metrics", "/ping", "/queue"})
    EXPECT_TRUE(is_routine(path)) << path;
  for (const char* path : {"/", "/generate", "/jobs/1", "/queues", "/v1/info"}) EXPECT_FALSE(is_routine(path)) << path;
}

TEST(RequestPolicy, on_loopback_only_its_names_are_known) {
  Settings settings = ServerFixture::quick();
  settings.host_names = {"images.lan"};
  ServerFixture fixture(settings);
  const std::pair<const char*, int> rows[] = {{"localhost", 200},
                                              {"LOCALHOST:8080", 200},
                                              {"127.0.0.1:1", 200},
                                              {"127.9.9.9", 200},
                                              {"[::1]:8080", 200},
                                              {"images.lan:80", 200},
                                              {"evil.example", 421},
                                              {"192.168.1.2", 421},
                                              {"localhost.evil.example", 421},
                                              {"127.0.0.1.evil.example", 421},
                                              {"[::2]", 421},
                                              {"0.0.0.0", 421},
                                              {"ok@evil.example", 400},
                                              {"[::1].evil.example", 400},
                                              {"[::1]evil.example", 400},
                                              {"[::1]:80.evil.example", 400},
                                              {"localhost:evil.example", 400},
                                              {"localhost:80:80", 400},
                                              {"[::1", 400},
                                              {"localhost:", 200},
                                              {"a b", 400},
                                              {"", 400}};
  for (const auto& [host, status] : rows) EXPECT_EQ(fixture.client().ask(from("GET", host, "")).status, status) << host;
}

// A page may let its own name point to the server, but no address.
TEST(RequestPolicy, elsewhere_addresses_are_known_and_names_only_with_keys_or_if_listed) {
  Settings open;
  open.host = "0.0.0.0";
  Settings with_keys = open, listed = open;
  with_keys.key_file = "keys.txt";
  listed.host_names = {"images.lan"};
  struct Row {
    const char* host;
    bool open, with_keys, listed;
  };
  for (const Row& row : std::vector<Row>{{"evil.example", false, true, false},
                                         {"evil.example:8080", false, true, false},
                                         {"192.168.1.2:8080", true, true, false},
                                         {"[2001:db8::1]:8080", true, true, false},
                                         {"localhost:8080", true, true, true},
                                         {"127.0.0.1", true, true, true},
                                         {"1.2.3.4.evil.example", false, true, false},
                                         {"0x7f.1", false, true, false},
                                         {"images.lan", false, true, true}}) {
    Request request;
    request.headers = {{"host", row.host}};
    const auto known = [&](const Settings& settings) {
      try {
        RequestPolicy(settings, false).check_host(request, 11);
        return true;
      } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr("--host-names"));
        return false;
      }
    };
    EXPECT_EQ(known(open), row.open) << row.host;
    EXPECT_EQ(known(with_keys), row.with_keys) << row.host;
    EXPECT_EQ(known(listed), row.listed) << row.host;
  }
}

TEST(RequestPolicy, foreign_pages_may_not_post) {
  Settings settings = ServerFixture::quick();
  settings.origins = {"https://app.example"};
  ServerFixture fixture(settings);
  struct Row {
    const char *method, *host, *origin;
    int status;
  };
  const Row rows[] = {{"POST", "localhost:8080", "", 200},
                      {"POST", "localhost:8080", "http://localhost:8080", 200},
                      {"POST", "localhost", "http://localhost:80", 200},
                      {"POST", "localhost", "https://app.example", 200},
                      {"POST", "localhost:8080", "http://localhost:9090", 403},
                      {"POST", "localhost", "https://evil.example", 403},
                      {"POST", "localhost", "null", 403},
                      {"OPTIONS", "localhost", "https://evil.example", 403},
                      {"GET", "localhost", "https://evil.example", 200}};
  for (const Row& row : rows) {
    const Answer answer = fixture.client().ask(from(row.method, row.host, row.origin));
    EXPECT_EQ(answer.status, row.status) << row.method << " " << row.origin;
    EXPECT_EQ(answer.headers.contains("access-control-allow-origin"), row.origin == settings.origins[0]) << row.origin;
  }
}

TEST(RequestPolicy, listed_pages_are_told_what_they_may) {
  Settings settings = ServerFixture::quick();
  settings.origins = {"https://app.example"};
  ServerFixture fixture(settings);
  const Answer answer = fixture.client().ask(from("OPTIONS", "localhost", "https://app.example"));
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.headers.at("access-control-allow-origin"), "https://app.example");
  EXPECT_THAT(answer.headers.at("access-control-allow-methods"), HasSubstr("POST"));
  EXPECT_THAT(answer.headers.at("access-control-allow-headers"), HasSubstr("content-type"));
}

TEST(RequestPolicy, a_listed_page_may_come_from_another_network) {
  Settings settings = ServerFixture::quick();
  settings.origins = {"https://app.example"};
  ServerFixture fixture(settings);
  for (const auto& [origin, allowed] : {std::pair("https://app.example", true), {"http://localhost", false}}) {
    const Answer answer =
        fixture.client().ask("OPTIONS /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: " + std::string(origin) +
                             "\r\nAccess-Control-Request-Private-Network: true\r\n\r\n");
    EXPECT_EQ(answer.status, 204);
    EXPECT_EQ(answer.headers.contains("access-control-allow-private-network"), allowed) << origin;
  }
  EXPECT_FALSE(fixture.client()
                   .ask(from("OPTIONS", "localhost", "https://app.example"))
                   .headers.contains("access-control-allow-private-network"));
}

TEST(RequestPolicy, any_origin_needs_keys) {
  Settings settings;
  settings.origins = {"*"};
  EXPECT_THROW(RequestPolicy(settings, true), UsageError);
  settings.key_file = "keys.txt";
  const RequestPolicy policy(settings, true);
  Request request;
  request.method = "POST";
  request.headers = {{"host", "localhost"}, {"origin", "https://anywhere.example"}};
  EXPECT_NO_THROW(policy.check_origin(request));
  EXPECT_TRUE(policy.listed_origin(request));
}

class KeyFile {
 public:
  explicit KeyFile(const std::string& text) { write(text); }
  ~KeyFile() { std::remove(path_.c_str()); }
  void write(const std::string& text) {
    std::ofstream(path_) << text;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "inkstone_keys_" + std::to_string(getpid());
};

TEST(HttpKeys, who_has_one_comes_in_by_name) {
  KeyFile file("# keys\nanna:first-key-of-many\n\nbob:second:key:with:colons\r\n");
  Settings settings = ServerFixture::quick();
  settings.key_file = file.path();
  ServerFixture fixture(settings);
  Client client = fixture.client();
  // base64 of anna:first-key-of-many, bob:second:key:with:colons, bob:first-key-of-many
  const std::pair<const char*, const char*> rows[] = {{"Bearer first-key-of-many", "key:anna"},
                                                      {"bearer second:key:with:colons", "key:bob"},
                                                      {"Basic YW5uYTpmaXJzdC1rZXktb2YtbWFueQ==", "key:anna"},
                                                      {"Basic Ym9iOnNlY29uZDprZXk6d2l0aDpjb2xvbnM=", "key:bob"}};
  for (const auto& [authorization, name] : rows) {
    const Answer answer = client.ask(get("/echo", std::string("Authorization: ") + authorization + "\r\n"));
    EXPECT_EQ(answer.status, 200) << authorization;
    EXPECT_THAT(answer.body, HasSubstr("\"client\":\"" + std::string(name) + "\""));
  }
  EXPECT_EQ(client.ask(get("/health/live")).status, 200) << "it is open";
  EXPECT_EQ(client.ask(get("/health/live", "Authorization: Bearer wrong-key\r\n")).status, 200);
}

TEST(HttpKeys, without_one_nobody_comes_in_and_learns_why) {
  KeyFile file("anna:first-key-of-many\n");
  Settings settings = ServerFixture::quick();
  settings.key_file = file.path();
  ServerFixture fixture(settings);
  EXPECT_EQ(fixture.client().ask(get("/sdapi/v1/txt2img")).headers.at("www-authenticate"), "Basic realm=\"inkstone\"");
  const std::string first = fixture.client().ask(get("/v1/images/generations")).body;
  EXPECT_THAT(first, HasSubstr("authentication_error"));
  const Keys keys = Keys::read(file.path());
  for (const char* authorization :
       {"", "Bearer ", "Bearer first-key-of-man", "Bearer first-key-of-many2", "first-key-of-many",
        "Basic first-key-of-many", "Basic Ym9iOmZpcnN0LWtleS1vZi1tYW55", "Basic !!!!",
        "Basic YW5uYTo=", "Digest first-key-of-many", "Bearer anna:first-key-of-many"})
    EXPECT_EQ(keys.client(authorization), std::nullopt) << authorization;
}

TEST(HttpKeys, the_file_is_read_again_and_a_bad_one_changes_nothing) {
  KeyFile file("anna:first-key-of-many\n");
  Settings settings = ServerFixture::quick();
  settings.key_file = file.path();
  ServerFixture fixture(settings);
  const std::string old_key = get("/echo", "Authorization: Bearer first-key-of-many\r\n");
  const std::string new_key = get("/echo", "Authorization: Bearer other-key-of-many\r\n");
  file.write("anna other-key-of-many\n");
  EXPECT_THROW(fixture.at([&] { fixture.server->reload_keys(); }), inkstone::Error);
  EXPECT_EQ(fixture.client().ask(old_key).status, 200);
  file.write("anna:other-key-of-many\n");
  fixture.at([&] { fixture.server->reload_keys(); });
  EXPECT_EQ(fixture.client().ask(old_key).status, 401);
  EXPECT_EQ(fixture.client().ask(new_key).status, 200);
}

TEST(HttpKeys, errors_name_the_line_and_not_the_key) {
  const std::pair<const char*, const char*> rows[] = {
      {"anna:first-key\nsecretsecret\n", ":2: a line must be NAME:KEY"},
      {":secretsecret\n", ":1: a line must be"},
      {"anna:secret secret\n", ":1: a line must be"},
      {"\n\nanna:secret\n", ":3: the key is shorter"},
      {"a:secretsecret\na:othersecret\n", ":2: the name a stands twice"},
      {"a:secretsecret\nb:secretsecret\n", ":2: the key is a's too"},
      {"# nothing\n", "no key in it"}};
  for (const auto& [text, expected] : rows) {
    KeyFile file(text);
    try {
      Keys::read(file.path());
      ADD_FAILURE() << text;
    } catch (const inkstone::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(expected));
      EXPECT_THAT(error.what(), HasSubstr(file.path()));
      EXPECT_THAT(error.what(), testing::Not(HasSubstr("secretsecret")));
    }
  }
  EXPECT_THROW(Keys::read("/nowhere/keys"), inkstone::Error);
}

TEST(HttpKeys, wrong_keys_are_answered_later_and_later_and_nobody_else_waits) {
  using namespace std::chrono_literals;
  WrongKeys wrong;
  WrongKeys::Clock::time_point now{1h};
  std::vector<std::chrono::milliseconds> delays;
  for (int i = 0; i < 12; ++i) delays.push_back(wrong.delay("1.2.3.4", now));
  EXPECT_THAT(delays, testing::ElementsAre(0ms, 0ms, 0ms, 250ms, 500ms, 1s, 2s, 4s, 8s, 8s, 8s, 8s));
  EXPECT_EQ(wrong.delay("1.2.3.5", now), 0ms);
  EXPECT_EQ(wrong.delay("1.2.3.4", now + 61s), 0ms) << "it is forgotten";
  for (int i = 0; i < 100'000; ++i) wrong.delay(std::to_string(i), now);  // bounded; sanitizers and memory would tell

  KeyFile file("anna:first-key-of-many\n");
  Settings settings = ServerFixture::quick();
  settings.key_file = file.path();
  ServerFixture fixture(settings);
  const std::string guess = get("/echo", "Authorization: Bearer wrong-key\r\n");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(fixture.client().ask(guess).status, 401);
  Client late = fixture.client();
  late.send(guess);
  ASSERT_TRUE(fixture.becomes([&] { return fixture.server->figures().exchanges == 1; })) << "its answer waits";
  EXPECT_EQ(fixture.client().ask(get("/echo", "Authorization: Bearer first-key-of-many\r\n")).status, 200);
  EXPECT_EQ(late.answer().status, 401);
}

}  // namespace
}  // namespace inkstone::http
