// The page's files come as they are, to be cached, under a policy that lets nothing foreign in.
#include <gtest/gtest.h>

#include "base/file.h"
#include "serve/api/fakes.h"
#include "serve/api/page_files.h"

namespace inkstone::serve {
namespace {

struct PageServer {
  std::string prefix;  // as a proxy shows the page below it
  PageServer() { add_page_routes(router, server.context); }
  std::shared_ptr<FakeExchange> get(const std::string& path, const std::string& tag = "") {
    auto exchange = std::make_shared<FakeExchange>();
    exchange->asked.method = "GET";
    exchange->asked.path = path;
    exchange->asked.prefix = prefix;
    if (!tag.empty()) exchange->asked.headers = {{"if-none-match", tag}};
    const http::Router::Match match = router.match("GET", path);
    if (match.route) match.route->handler(exchange);
    return exchange;
  }
  FakeServer server;
  http::Router router;
};

TEST(Page, every_file_of_the_folder_is_in_the_program_byte_by_byte) {
  PageServer server;
  ASSERT_GE(page_files().size(), 3u);
  for (const EmbeddedFile& file : page_files()) {
    const std::string name(file.name);
    const auto exchange = server.get(name == "index.html" ? "/" : "/" + name);
    ASSERT_TRUE(exchange->answer) << name;
    EXPECT_EQ(exchange->answer->body, read_file(INKSTONE_SOURCE_DIR "/src/serve/web/" + name, 1 << 20)) << name;
    EXPECT_EQ(exchange->header("x-content-type-options"), "nosniff");
  }
}

TEST(Page, nothing_foreign_and_nothing_inline_runs_in_it) {
  PageServer server;
  const auto page = server.get("/");
  ASSERT_TRUE(page->answer);
  EXPECT_EQ(page->answer->content_type, "text/html; charset=utf-8");
  const std::string policy = page->header("content-security-policy");
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_NE(policy.find("default-src 'self'"), std::string::npos);
  for (const char* word : {"onclick", "style=", "<style", "http://", "https://", "javascript:"})
    EXPECT_EQ(page->answer->body.find(word), std::string::npos) << word;
  for (const EmbeddedFile& file : page_files()) {
    const bool names_its_format = file.name.ends_with(".svg");  // by an address that nobody opens
    EXPECT_EQ(file.bytes.find("://") == std::string_view::npos, !names_its_format) << file.name;
  }
}

// What it loads lies below the same path, and its scripts name no address of their own: they go by where
// they were loaded from.
TEST(Page, works_below_a_path) {
  PageServer server;
  const std::string plain = server.get("/")->answer->body, plain_tag = server.get("/")->header("etag");
  server.prefix = "/ink/stone";
  const auto page = server.get("/");
  const std::string& html = page->answer->body;
  for (const char* link :
       {"href=\"/ink/stone/page.css\"", "src=\"/ink/stone/page.js\"", "href=\"/ink/stone/icon.svg\""})
    EXPECT_NE(html.find(link), std::string::npos) << link;
  for (const char* attribute : {"href=\"/", "src=\"/"})
    for (size_t at = html.find(attribute); at != html.npos; at = html.find(attribute, at + 1))
      EXPECT_EQ(html.substr(html.find('/', at), server.prefix.size()), server.prefix);
  EXPECT_NE(page->header("etag"), plain_tag);
  EXPECT_EQ(server.get("/", page->header("etag"))->answer->status, 304);
  for (const EmbeddedFile& file : page_files()) {
    if (!file.name.ends_with(".js")) continue;
    EXPECT_EQ(file.bytes.find("from \"/"), std::string_view::npos) << file.name;
    EXPECT_EQ(file.bytes.find("fetch(\"/"), std::string_view::npos) << file.name;
  }
  const JsonObject document = server.get("/openapi.json")->json().as_object();
  EXPECT_EQ(document.at("servers").at(0).at("url").as_string(), "/ink/stone");
  server.prefix.clear();
  EXPECT_EQ(server.get("/")->answer->body, plain);
  EXPECT_FALSE(server.get("/openapi.json")->json().as_object().contains("servers"));
}

TEST(Page, is_not_sent_again_to_who_has_it) {
  PageServer server;
  const std::string tag = server.get("/page.js")->header("etag");
  ASSERT_FALSE(tag.empty());
  const auto again = server.get("/page.js", tag);
  EXPECT_EQ(again->answer->status, 304);
  EXPECT_EQ(again->answer->body, "");
  EXPECT_EQ(server.get("/page.js", "\"other\"")->answer->status, 200);
}

TEST(Page, the_apis_description_is_beside_it) {
  PageServer server;
  const auto exchange = server.get("/openapi.json");
  ASSERT_TRUE(exchange->answer);
  EXPECT_TRUE(exchange->json().at("paths").get_object().contains("/generate"));
}

TEST(Page, docs_has_all_that_the_description_has_under_the_same_policy) {
  PageServer server;
  const auto page = server.get("/docs");
  ASSERT_TRUE(page->answer);
  EXPECT_EQ(page->answer->content_type, "text/html; charset=utf-8");
  EXPECT_EQ(page->header("content-security-policy"), server.get("/")->header("content-security-policy"));
  const std::string html = page->answer->body;
  const auto has = [&](const std::string& text) { return html.find(text) != html.npos; };
  const Json document = server.get("/openapi.json")->json();
  ASSERT_FALSE(document.at("paths").as_object().empty());
  int named = 0;
  for (const auto& [path, methods] : document.at("paths").as_object()) {
    EXPECT_TRUE(has(" " + std::string(path) + "</code></h3>")) << path;
    for (const auto& [method, about] : methods.as_object()) {
      const Json* body = about.as_object().if_contains("requestBody");
      if (!body) continue;
      const Json& fields = body->at("content").at("application/json").at("schema").at("properties");
      for (const auto& [name, field] : fields.as_object()) {
        EXPECT_TRUE(has("<td><code>" + std::string(name) + "</code></td>")) << name;
        ++named;
      }
    }
  }
  EXPECT_GT(named, 50);
  EXPECT_TRUE(has("&lt;lora:...&gt;"));
  EXPECT_TRUE(has("href=\"openapi.json\""));
  EXPECT_NE(server.get("/")->answer->body.find("href=\"docs\""), std::string::npos) << "the page has a link to it";
  for (const char* word : {"<script", "onclick", "style=", "<style", "://", "javascript:"})
    EXPECT_FALSE(has(word)) << word;
}

TEST(Page, needs_no_key) {
  PageServer server;
  for (const char* path : {"/", "/page.js", "/page.css", "/openapi.json", "/docs"}) {
    const http::Router::Match match = server.router.match("GET", path);
    ASSERT_TRUE(match.route) << path;
    EXPECT_TRUE(match.route->open) << path;
  }
}

}  // namespace
}  // namespace inkstone::serve
