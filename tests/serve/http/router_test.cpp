// Routes, targets and the shapes of errors, without a socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "serve/http/http.h"
#include "serve/http/target.h"

namespace inkstone::http {
namespace {

using testing::ElementsAre;
using testing::Pair;

Router router() {
  Router router;
  router.add({"GET", "/", {}, ErrorShape::kOwn});
  router.add({"GET", "/jobs/{id}", {}, ErrorShape::kOwn});
  router.add({"DELETE", "/jobs/{id}", {}, ErrorShape::kOwn});
  router.add({"GET", "/jobs/{id}/images/{n}", {}, ErrorShape::kOwn});
  router.add({"GET", "/jobs/all", {}, ErrorShape::kOwn});
  router.add({"POST", "/v1/images/generations", {}, ErrorShape::kOpenAi});
  router.add({"POST", "/sdapi/v1/txt2img", {}, ErrorShape::kA1111});
  router.add({"GET", "/v2/models/{model}", {}, ErrorShape::kOip});
  return router;
}

TEST(Router, finds_routes_and_what_their_names_stand_for) {
  const Router routes = router();
  const auto match = routes.match("GET", "/jobs/a b/images/2");
  ASSERT_TRUE(match.route);
  EXPECT_THAT(match.captured, ElementsAre(Pair("id", "a b"), Pair("n", "2")));
  EXPECT_EQ(routes.match("GET", "/jobs/all").route->pattern, "/jobs/all") << "words come before names";
  EXPECT_EQ(routes.match("HEAD", "/jobs/all").route->pattern, "/jobs/all");
  EXPECT_EQ(routes.match("GET", "/").route->pattern, "/");
  for (const char* path :
       {"/jobs", "/jobs/", "/Jobs/1", "/jobs/1/images", "/jobs/1/images//", "/jobs/1/images/2/3", "", "jobs/1"})
    EXPECT_FALSE(routes.match("GET", path).route) << path;
  for (const char* path : {"/jobs/1/", "//jobs/1", "/jobs//1", "//jobs///1//"}) {
    const auto slashes = routes.match("GET", path);
    ASSERT_TRUE(slashes.route) << path;
    EXPECT_THAT(slashes.captured, ElementsAre(Pair("id", "1"))) << path;
  }
}

TEST(Router, says_which_methods_there_are) {
  const Router routes = router();
  EXPECT_THAT(routes.match("POST", "/jobs/1").methods, ElementsAre("GET", "HEAD", "DELETE"));
  EXPECT_THAT(routes.match("GET", "/v1/images/generations").methods, ElementsAre("POST"));
  EXPECT_THAT(routes.match("GET", "/jobs/1").methods, ElementsAre());
  EXPECT_THAT(routes.match("POST", "/nowhere").methods, ElementsAre());
}

TEST(Router, where_nothing_is_the_nearest_family_answers) {
  const Router routes = router();
  EXPECT_EQ(routes.match("POST", "/v1/images/edits").errors, ErrorShape::kOpenAi);
  EXPECT_EQ(routes.match("GET", "/v1").errors, ErrorShape::kOpenAi);
  EXPECT_EQ(routes.match("GET", "/sdapi/v1/nothing").errors, ErrorShape::kA1111);
  EXPECT_EQ(routes.match("GET", "/sdapi/v1/txt2img").errors, ErrorShape::kA1111) << "405";
  EXPECT_EQ(routes.match("GET", "/v2/models").errors, ErrorShape::kOip);
  EXPECT_EQ(routes.match("GET", "/nowhere").errors, ErrorShape::kOwn);
}

TEST(Router, a_route_twice_is_our_mistake) {
  Router routes = router();
  EXPECT_THROW(routes.add({"GET", "/", {}, ErrorShape::kOwn}), inkstone::Error);
}

TEST(Target, text_is_utf8_or_refused) {
  for (const char* good : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x8a", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
    EXPECT_TRUE(valid_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xe2\x82"})
    EXPECT_FALSE(valid_utf8(bad)) << testing::PrintToString(bad);
}

TEST(Target, is_path_and_query) {
  const Target target = parse_target("/a%20b/c+d?x=1%2B1&y=a+b&x=2&&z");
  EXPECT_EQ(target.path, "/a b/c+d");
  EXPECT_THAT(target.query, ElementsAre(Pair("x", "1+1"), Pair("y", "a b"), Pair("x", "2"), Pair("z", "")));
  EXPECT_EQ(parse_target("http://host:80?a=b").path, "/");
  EXPECT_EQ(parse_target("http://host:80?a=b").authority, "host:80");
}

TEST(ErrorReply, has_the_shape_of_its_api) {
  const Error error{429, "queue_full", "the queue is full", "prompt", 2.1};
  const auto body = [&](ErrorShape shape) { return error_reply(shape, error, "id-1").body; };
  EXPECT_EQ(
      body(ErrorShape::kOwn),
      R"({"error":{"message":"the queue is full","type":"rate_limit_error","param":"prompt","code":"queue_full","request_id":"id-1"}})");
  EXPECT_EQ(
      body(ErrorShape::kOpenAi),
      R"({"error":{"message":"the queue is full","type":"rate_limit_error","param":"prompt","code":"queue_full"}})");
  EXPECT_EQ(body(ErrorShape::kA1111),
            R"({"error":"queue_full","detail":"the queue is full","body":"","errors":"the queue is full"})");
  EXPECT_EQ(body(ErrorShape::kOip), R"({"error":"the queue is full"})");
  EXPECT_THAT(error_reply(ErrorShape::kOpenAi, {400, "", "no", "", 0}, "").body,
              testing::HasSubstr(R"("type":"invalid_request_error","param":null,"code":null)"));
}

TEST(ErrorReply, says_when_to_try_again) {
  const auto headers = [](ErrorShape shape, int status, double after) {
    return error_reply(shape, {status, "x", "x", "", after}, "").headers;
  };
  EXPECT_THAT(headers(ErrorShape::kOwn, 429, 2.1), ElementsAre(Pair("retry-after", "3")));
  EXPECT_THAT(headers(ErrorShape::kOwn, 503, 0.01), ElementsAre(Pair("retry-after", "1")));
  EXPECT_THAT(headers(ErrorShape::kOwn, 503, 0), ElementsAre());
  EXPECT_THAT(headers(ErrorShape::kOpenAi, 503, 1e300), ElementsAre(Pair("retry-after", "86400")));
  EXPECT_THAT(headers(ErrorShape::kOpenAi, 500, 0), ElementsAre(Pair("x-should-retry", "false")));
  EXPECT_THAT(headers(ErrorShape::kOpenAi, 400, 0), ElementsAre());
}

}  // namespace
}  // namespace inkstone::http
