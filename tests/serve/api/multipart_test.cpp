// Forms: read as they were written, or refused with a line.
#include "serve/api/multipart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/api/cut_texts.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

const std::string kType = "multipart/form-data; boundary=XX";

std::string part(const std::string& disposition, const std::string& content) {
  return "--XX\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n";
}

TEST(Multipart, parts_come_as_they_were_sent) {
  const std::string bytes("\r\n--X\0\xff\r\n--XY--\r", 16);
  const std::string body = part("name=\"prompt\"", "a fox") +
                           "--XX\r\nContent-Type: image/png\r\ncontent-disposition: form-data; name=image; "
                           "filename=\"a;\\\"b\\\".png\"\r\n\r\n" +
                           bytes + "\r\n" + part("name=\"empty\"", "") + "--XX--\r\n";
  const std::vector<FormPart> parts = parse_form(body, kType);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].name, "prompt");
  EXPECT_EQ(parts[0].content, "a fox");
  EXPECT_FALSE(parts[0].is_file);
  EXPECT_EQ(parts[1].name, "image");
  EXPECT_EQ(parts[1].content, bytes);
  EXPECT_TRUE(parts[1].is_file);
  EXPECT_EQ(parts[2].content, "");
  EXPECT_TRUE(parse_form("--XX--", kType).empty());
  EXPECT_TRUE(parse_form("--a b--", "Multipart/Form-Data; charset=utf-8; boundary=\"a b\"").empty());
}

TEST(Multipart, what_is_no_form_is_refused_with_a_line) {
  const std::string good = part("name=a", "1");
  const std::pair<std::string, const char*> rows[] = {
      {"", "begin"},
      {"\r\n" + good + "--XX--", "begin"},
      {good + "--XX", "line's end"},
      {good + "--XX--more", "follows"},
      {good.substr(0, good.size() - 3), "ends within the part a"},
      {"--XX\r\n\r\n\r\n1\r\n--XX--", "content-disposition"},
      {"--XX\n" + good.substr(6), "line's end"},
      {part("filename=x", "1") + "--XX--", "a name"},
      {part("name=\"\"", "1") + "--XX--", "a name"},
      {part("name=" + std::string(129, 'n'), "1") + "--XX--", "a name"},
      {part("name=\"\xff\"", "1") + "--XX--", "a name"},
      {part("name=a; name=b", "1") + "--XX--", "two names"},
      {part("name=\"a", "1") + "--XX--", "no end"},
      {part("name", "1") + "--XX--", "no value"},
      {part("name=a\r\n folded: b", "1") + "--XX--", "NAME: VALUE"},
      {part("name=a\r\nContent-Transfer-Encoding: base64", "1") + "--XX--", "base64"},
      {part("name=a\r\nX: " + std::string(5000, 'x'), "1") + "--XX--", "4096"},
      {"--XX\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--XX--", "form-data"}};
  for (const auto& [body, what] : rows) {
    try {
      parse_form(body, kType);
      ADD_FAILURE() << body;
    } catch (const ApiFault& fault) {
      EXPECT_EQ(fault.error().status, 400);
      EXPECT_THAT(fault.error().message, HasSubstr(what)) << body;
    }
  }
  std::string many;
  for (int i = 0; i < 129; ++i) many += good;
  EXPECT_THROW(parse_form(many + "--XX--", kType), ApiFault);
  for (const char* type : {"multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=a;b",
                           "multipart/form-data; boundary=XX; boundary=XX", "multipart/form-data; boundary=\"a\nb\""})
    EXPECT_THROW(parse_form("--XX--", type), ApiFault) << type;
}

TEST(CutTexts, long_ones_are_taken_out_and_the_rest_is_bounded) {
  const std::string picture(kLongText, 'A');
  const std::string text = "{\"a\": [\"" + picture + "\", \"b\\\"\"], \"" + picture + "\": \"c\"}";
  const CutJson cut = cut_texts(text, 100);
  EXPECT_EQ(cut.rest, R"({"a": ["\u00000", "b\""], "\u00001": "c"})");
  ASSERT_EQ(cut.texts.size(), 2u);
  EXPECT_EQ(cut.texts[0], picture);
  EXPECT_EQ(cut.texts[0].data(), text.data() + 8);
  EXPECT_EQ(cut_text_number(std::string_view("\0001", 2), 2), 1u);
  EXPECT_EQ(cut_text_number(std::string_view("\0002", 2), 2), std::nullopt);
  EXPECT_EQ(cut_text_number("1", 2), std::nullopt);
  EXPECT_EQ(cut_texts("\"" + picture, SIZE_MAX).rest, "\"" + picture);
  const std::string escaped = "\"" + picture + "\\/\"";
  EXPECT_EQ(cut_texts(escaped, SIZE_MAX).rest, escaped);
  for (const std::string& large : {std::string(200, '['), "\"" + std::string(200, 'x') + "\"", escaped, "\"" + picture})
    EXPECT_THROW(cut_texts(large, 100), ApiFault);
}

}  // namespace
}  // namespace inkstone::serve
