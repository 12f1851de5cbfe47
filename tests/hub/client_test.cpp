// What the client asks whom, what it tries again, and how often; by a network that is made up.
#include "hub/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "hub/url.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kHub = "https://hub.example";

// Answers with what it was told, one after the other; the last one again and again.
class FakeNetwork : public HttpTransport {
 public:
  struct Line {
    int status = 200;
    std::map<std::string, std::string> headers{};
    std::string body{};
    std::optional<TransportError::Failure> failure{};
  };
  std::vector<Line> lines;
  std::vector<HttpRequest> asked;

  HttpAnswer get(const HttpRequest& request, const OnHead& on_head, const OnBytes& on_bytes) override {
    asked.push_back(request);
    const Line line = lines[std::min(asked.size(), lines.size()) - 1];
    if (line.failure) throw TransportError("broken", *line.failure);
    const HttpAnswer answer{line.status, line.headers};
    if (on_head(answer)) on_bytes(std::as_bytes(std::span(line.body)));
    return answer;
  }
};

class Client : public testing::Test {
 protected:
  std::string text(size_t most = 1000) { return client_.text(std::string(kHub) + "/x", most); }
  std::string error() {
    try {
      return "got " + text();
    } catch (const Error& error) {
      return error.what();
    }
  }

  FakeNetwork network_;
  std::vector<double> pauses_;
  HubClient client_{
      network_, {kHub, "secret", "HF_TOKEN"}, {"org", "name", "main"}, [this](const std::string&, double seconds) {
        pauses_.push_back(seconds);
      }};
};

TEST_F(Client, the_token_is_for_the_hubs_own_origin) {
  const char* kElsewhere[] = {"https://cdn.example/x", "https://hub.example:444/x", "https://hub.example.evil/x",
                              "https://hub.example@evil/x", "//evil/x"};
  for (const char* target : kElsewhere) {
    network_.asked.clear();
    network_.lines = {{302, {{"location", target}}}, {200, {}, "there"}};
    EXPECT_EQ(text(), "there");
    ASSERT_EQ(network_.asked.size(), 2u);
    EXPECT_EQ(network_.asked[0].bearer, "secret");
    EXPECT_EQ(network_.asked[1].bearer, "") << target;
  }
  for (const char* target : {"/y", "y", "https://HUB.example:443/y"}) {
    network_.asked.clear();
    network_.lines = {{307, {{"location", target}}}, {200, {}, "here"}};
    EXPECT_EQ(text(), "here");
    EXPECT_EQ(network_.asked[1].bearer, "secret") << target;
  }
}

TEST_F(Client, encryption_is_not_left) {
  network_.lines = {{302, {{"location", "http://cdn.example/x"}}}};
  EXPECT_THAT(error(), HasSubstr("hub.example redirects to cdn.example without encryption"));
  EXPECT_EQ(network_.asked.size(), 1u);
}

TEST_F(Client, busy_servers_are_asked_again_with_pauses_that_grow_and_a_last_time) {
  network_.lines = {{503}};
  EXPECT_THAT(error(), HasSubstr("hub.example answered 503, it has a problem (5 tries)"));
  EXPECT_THAT(pauses_, ElementsAre(1, 2, 4, 8));
  EXPECT_EQ(network_.asked.size(), 5u);

  pauses_.clear();
  network_.asked.clear();
  network_.lines = {{429, {{"retry-after", "7"}}}, {200, {}, "", TransportError::Failure::kCut}, {200, {}, "fine"}};
  EXPECT_EQ(text(), "fine");
  EXPECT_THAT(pauses_, ElementsAre(7, 2));
}

TEST_F(Client, what_waiting_does_not_help_is_said_at_once) {
  for (const auto& [line, message] : std::vector<std::pair<FakeNetwork::Line, const char*>>{
           {{404, {}}, "look at the spelling of org/name"},
           {{401, {{"x-error-code", "GatedRepo"}}}, "asks for its terms to be accepted (with HF_TOKEN)"},
           {{401, {}}, "or it is private, or the token is not valid (with HF_TOKEN)"},
           {{429, {{"retry-after", "3600"}}}, "it asks to wait 3600 s"},
           {{200, {}, "", TransportError::Failure::kTls}, "broken"},
           {{302, {{"location", "ftp://x/"}}}, "redirects to no address"},
           {{200, {}, std::string(1001, 'x')}, "answered more than 1000 bytes"}}) {
    network_.asked.clear();
    network_.lines = {line};
    EXPECT_THAT(error(), AllOf(HasSubstr(message), testing::Not(HasSubstr("secret"))));
    EXPECT_EQ(network_.asked.size(), 1u) << message;
  }
  EXPECT_THAT(pauses_, testing::IsEmpty());
}

TEST(UnreachableHub, is_tried_again_only_if_somebody_answered_before) {
  FakeNetwork network;
  int pauses = 0;
  HubClient client(network, {kHub, "", ""}, {"org", "name", "main"}, [&](const std::string&, double) { ++pauses; });
  network.lines = {{200, {}, "", TransportError::Failure::kUnreachable}};
  EXPECT_THROW(client.text(kHub, 10), TransportError);
  EXPECT_EQ(pauses, 0);
  network.lines = {{200, {}, "", TransportError::Failure::kUnreachable}, {200, {}, "one"}};
  EXPECT_EQ(client.text(kHub, 10), "one");
  network.asked.clear();
  EXPECT_EQ(client.text(kHub, 10), "one");
  EXPECT_EQ(pauses, 1);
}

TEST(HubUrls, are_quoted_and_resolved) {
  EXPECT_EQ(url_quoted("refs/pr/1", false), "refs%2Fpr%2F1");
  EXPECT_EQ(url_quoted("a b/\xC3\xA9?#%", true), "a%20b/%C3%A9%3F%23%25");
  EXPECT_EQ(url_origin("HTTPS://Hub.example/x"), "https://hub.example:443");
  EXPECT_EQ(url_origin("http://[::1]:8080"), "http://[::1]:8080");
  for (const char* text : {"", "x", "ftp://x/", "file:///x", "https://", "//x"})
    EXPECT_EQ(url_origin(text), "") << text;
  EXPECT_EQ(url_resolved("https://a/b/c?d", "/e"), "https://a/e");
}

}  // namespace
}  // namespace inkstone
