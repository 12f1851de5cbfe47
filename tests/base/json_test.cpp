// What JSON is taken, and that what is refused is refused with its place.
#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_json(text, "a.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::string nested(int levels) { return std::string(levels, '[') + std::string(levels, ']'); }

TEST(Json, reads_every_kind_of_value) {
  const Json json =
      parse_json(R"({"a": [1, -2, 18446744073709551615, 1.5, true, null], "b\u00e9": "\ud83d\ude00"})", "a.json");
  const auto& a = json.at("a").as_array();
  EXPECT_EQ(a.at(0).as_int64(), 1);
  EXPECT_EQ(a.at(1).as_int64(), -2);
  EXPECT_EQ(a.at(2).as_uint64(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(a.at(3).as_double(), 1.5);
  EXPECT_TRUE(a.at(4).as_bool());
  EXPECT_TRUE(a.at(5).is_null());
  EXPECT_EQ(json.at("b\xc3\xa9").as_string(), "\xf0\x9f\x98\x80");
}

TEST(Json, a_decimal_is_the_nearest_double) {
  for (const double value :
       {0.00085, 0.012, 0.8272713896481413, 0.18215, 0.13025, 1e-05, 4.9406564584124654e-324, 1.7976931348623157e308}) {
    char text[40];
    std::snprintf(text, sizeof text, "%.17g", value);
    EXPECT_EQ(parse_json(std::string("[") + text + "]", "a.json").at(0).as_double(), value) << text;
  }
  // alone, at the end of the text
  EXPECT_EQ(parse_json("0.1", "a.json").as_double(), 0.1);
  EXPECT_EQ(parse_json("[1e-9999]", "a.json").at(0).as_double(), 0.0);
}

TEST(Json, malformed_text_is_refused_with_line_and_column) {
  const std::pair<std::string, std::string> rows[] = {
      {"", "a.json:1:1: the document ends"},
      {"{\"a\": 1,\n  \"b\": ?}", "a.json:2:8: malformed JSON at '?'"},
      {"{\"a\": 1,}", "a.json:1:9: malformed JSON at '}'"},
      {"{\"a\": 1", "the document ends before it is complete"},
      {"{\"a\": \"x", "the document ends before it is complete"},
      {"[1] [2]", "a.json:1:5: more text after the end"},
      {"[1]\n\nx", "a.json:3:1: more text after the end"},
      {"{\"a\": 1, \"b\": 2,\n \"a\": 3}", "the key \"a\" stands twice"},
      {"{\"o\": {\"k\": 1, \"\\u006b\": 2}}", "the key \"k\" stands twice"},
      {"[\"\xff\"]", "UTF-8"},
      {"[\"\xc0\xaf\"]", "UTF-8"},
      {"[\"\\ud800\"]", "malformed JSON"},
      {"[\"a\nb\"]", "control character"},
      {"\xef\xbb\xbf{}", "a.json:1:1: begins with a byte order mark"},
      {"[1e999]", "does not fit a double"},
      {"[-1e999]", "does not fit a double"},
      {"[NaN]", "malformed JSON at 'N'"},
      {"[01]", "malformed JSON"},
      {"// note\n{}", "malformed JSON"},
      {nested(65), "nested more than 64 levels"},
      {std::string(1000000, '['), "nested more than 64 levels"},
  };
  for (const auto& [text, want] : rows) EXPECT_THAT(error_of(text), HasSubstr(want)) << text.substr(0, 60);
}

TEST(Json, sixty_four_levels_are_taken) { EXPECT_EQ(error_of(nested(64)), "accepted"); }

TEST(Json, values_and_keys_are_counted_while_they_are_read) {
  const std::string five = R"({"a": [1, "x"]})";  // the object, a key, the array, two values
  EXPECT_NO_THROW(parse_json(five, "body", 5));
  EXPECT_THROW(parse_json(five, "body", 4), Error);
  // What follows the last value that is taken is not looked at.
  for (const char* many :
       {"[0,0,0,!", "[{},{},{},!", "[[],[],[],!", R"({"a":0,"b":!)", R"(["","","",!)", "[1.5,null,true,!"})
    try {
      parse_json(many, "body", 3);
      ADD_FAILURE() << many;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("more than 3 values and keys")) << many;
    }
}

TEST(Json, equal_keys_of_different_objects_are_taken) {
  EXPECT_EQ(error_of(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})"), "accepted");
}

TEST(Json, text_in_an_error_is_one_short_line_of_whole_characters) {
  EXPECT_EQ(shown("a\nb\x7f\xc3\xa9"), "a?b?\xc3\xa9");
  EXPECT_EQ(shown(std::string(120, 'x')), std::string(120, 'x'));
  EXPECT_EQ(shown(std::string(121, 'x')), std::string(117, 'x') + "...");
  EXPECT_EQ(shown(std::string(116, 'x') + "\xc3\xa9" + std::string(50, 'y')), std::string(116, 'x') + "...");
}

TEST(Json, a_file_is_read_and_named_in_errors) {
  const std::string model = INKSTONE_SOURCE_DIR "/demo/model/";
  EXPECT_EQ(read_json(model + "unet/config.json").at("_class_name").as_string(), "UNet2DConditionModel");
  EXPECT_THROW(read_json(model + "unet/config.json", 100), Error);
  EXPECT_THROW(read_json(model + "absent.json"), Error);
}

class JsonFile : public testing::Test {
 protected:
  ~JsonFile() override { std::filesystem::remove(path_); }
  const std::filesystem::path& write(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    return path_;
  }
  std::string error_of_file(const std::string& text) {
    try {
      read_json(write(text));
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }

 private:
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("inkstone_json_" + std::to_string(getpid()) + ".json");
};

TEST_F(JsonFile, of_pythons_may_say_infinity) {
  const Json json =
      read_json(write(R"({"low": -Infinity, "high":Infinity,"none": [NaN], "text": "NaN \" Infinity\\", "n": 3})"));
  EXPECT_EQ(json.at("low").as_string(), "-Infinity");
  EXPECT_EQ(json.at("high").as_string(), "Infinity");
  EXPECT_EQ(json.at("none").at(0).as_string(), "NaN");
  EXPECT_EQ(json.at("text").as_string(), "NaN \" Infinity\\");
  EXPECT_EQ(json.at("n").as_int64(), 3);
  EXPECT_THAT(error_of("[NaN]"), HasSubstr("malformed JSON at 'N'"));
  EXPECT_THAT(error_of_file("{\"a\": -Infinit}"), HasSubstr(":1:"));
  EXPECT_THAT(error_of_file("{\"a\": \"\\"), HasSubstr("ends before it is complete"));
}

TEST_F(JsonFile, of_windows_may_begin_with_a_byte_order_mark) {
  EXPECT_EQ(read_json(write("\xef\xbb\xbf{\"a\": 1}")).at("a").as_int64(), 1);
  EXPECT_THAT(error_of_file("\xef\xbb\xbf\xef\xbb\xbf{}"), HasSubstr("byte order mark"));
}

TEST_F(JsonFile, of_too_many_values_is_refused_before_any_is_built) {
  const auto list = [](size_t count, const std::string& item) {
    std::string text = "[" + item;
    for (size_t i = 1; i < count; ++i) text += "," + item;
    return text + "]";
  };
  EXPECT_EQ(error_of_file(list(900'000, "1")), "accepted");
  for (const std::string& text : {list(1'000'001, "1"), list(1'000'001, "NaN"), list(1'000'001, "[]")})
    EXPECT_THAT(error_of_file(text), HasSubstr("more than 1000000 values")) << text.substr(0, 20);
  EXPECT_EQ(error_of_file("[\"" + std::string(2'000'000, ',') + "\"]"), "accepted");
}

TEST(Json, numbers_are_written_as_short_as_they_are_exact) {
  const Json json{{"a", 0.1},
                  {"b", 2.0},
                  {"c", 1e300},
                  {"d", JsonArray{-0.0, 3, uint64_t{1} << 63, nullptr, true}},
                  {"\"e\n", JsonObject{}},
                  {"f", JsonArray{}},
                  {"g", std::nan("")},
                  {"h", JsonArray{JsonObject{{"i", ""}}}}};
  EXPECT_EQ(
      json_text(json),
      R"({"a":0.1,"b":2.0,"c":1e+300,"d":[-0.0,3,9223372036854775808,null,true],"\"e\n":{},"f":[],"g":null,"h":[{"i":""}]})");
  for (const double value : {1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789.125})
    EXPECT_EQ(parse_json(json_text(Json(value)), "x").as_double(), value);
}

}  // namespace
}  // namespace inkstone
