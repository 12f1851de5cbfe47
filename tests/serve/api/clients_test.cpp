// What programs that exist send (tests/serve/api/clients/*.json: their fields, none of their code),
// and what must come back for them to work.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/file.h"
#include "diffusion/request_json.h"
#include "fakes.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

const Json* at(const Json& json, std::string_view pointer) {
  boost::system::error_code none;
  return json.find_pointer(pointer, none);
}

std::vector<std::string> texts(const JsonObject& row, std::string_view name) {
  std::vector<std::string> all;
  if (const Json* list = row.if_contains(name))
    for (const Json& text : list->as_array()) all.emplace_back(text.as_string());
  return all;
}

std::vector<std::pair<std::string, std::string>> pairs(const JsonObject& row, std::string_view name) {
  std::vector<std::pair<std::string, std::string>> all;
  if (const Json* object = row.if_contains(name))
    for (const auto& [key, value] : object->as_object()) all.emplace_back(key, value.as_string());
  return all;
}

class Session {
 public:
  explicit Session(const JsonObject& client) {
    for (const std::string& alias : texts(client, "aliases")) server_.settings.model_aliases.push_back(alias);
  }

  void ask(const JsonObject& row) {
    SCOPED_TRACE(std::string(row.at("about").as_string()) + " " + std::string(row.at("path").as_string()));
    const Json* status = row.if_contains("status");
    const std::string method(row.at("method").as_string()), path(row.at("path").as_string());
    if (!server_.router.match(method, path).route) {
      ASSERT_TRUE(status && *status == 404) << "no such route";
      answers_.emplace_back();
      return;
    }
    const auto exchange = server_.ask({method, path, body_of(row), pairs(row, "query"), pairs(row, "headers")});
    EXPECT_TRUE(!exchange->answer || !row.contains("draws")) << "nothing was ordered";
    if (!exchange->answer) {
      check_image(row);
      server_.service.finish_all();
    }
    ASSERT_TRUE(exchange->answer);
    EXPECT_EQ(exchange->answer->status, status ? status->as_int64() : 200) << exchange->answer->body;
    const Json answer = exchange->json();
    answers_.push_back(answer);
    check(row, answer);
  }

 private:
  // With what an earlier answer said, where the client sends that back.
  std::string body_of(const JsonObject& row) const {
    JsonObject body;
    if (const Json* earlier = row.if_contains("body_of")) body = answers_.at(earlier->to_number<size_t>()).as_object();
    const Json* own = row.if_contains("body");
    if (own)
      for (const auto& [name, value] : own->as_object()) body[name] = value;
    return own ? json_text(body) : "";
  }

  void check_image(const JsonObject& row) {
    const JsonObject image = request_json(server_.service.last().order.images.front()->said());
    if (const Json* wanted = row.if_contains("draws")) {
      for (const auto& [name, value] : wanted->as_object()) EXPECT_EQ(image.at(name), value) << name;
    }
  }

  static void check(const JsonObject& row, const Json& answer) {
    for (const std::string& pointer : texts(row, "has")) EXPECT_TRUE(at(answer, pointer)) << pointer;
    for (const std::string& pointer : texts(row, "lacks")) EXPECT_FALSE(at(answer, pointer)) << pointer;
    EXPECT_TRUE(!row.contains("array") || answer.is_array());
    if (const Json* wanted = row.if_contains("is"))
      for (const auto& [pointer, value] : wanted->as_object()) {
        ASSERT_TRUE(at(answer, pointer)) << pointer;
        EXPECT_EQ(*at(answer, pointer),
                  value.is_int64() && at(answer, pointer)->is_double() ? Json(value.to_number<double>()) : value)
            << pointer;
      }
    if (const Json* says = row.if_contains("says")) {
      EXPECT_THAT(std::string(answer.at("errors").as_string()), HasSubstr(std::string(says->as_string())));
    }
    if (!row.contains("info") && !row.contains("warns")) return;
    const Json info = parse_json(answer.at("info").as_string(), "info");
    for (const std::string& pointer : texts(row, "info")) EXPECT_TRUE(at(info, pointer)) << pointer;
    for (const std::string& word : texts(row, "warns")) EXPECT_THAT(json_text(info.at("warnings")), HasSubstr(word));
  }

  FakeServer server_;
  std::vector<Json> answers_;
};

TEST(Clients, get_what_they_read) {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(INKSTONE_SOURCE_DIR "/tests/serve/api/clients"))
    files.insert(entry.path());
  ASSERT_GE(files.size(), 4u);
  for (const std::string& file : files) {
    SCOPED_TRACE(file);
    const Json client = read_json(file);
    Session session(client.as_object());
    for (const Json& row : client.at("requests").as_array()) session.ask(row.as_object());
  }
}

}  // namespace
}  // namespace inkstone::serve
