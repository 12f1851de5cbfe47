#include "base/utf8.h"

#include <gtest/gtest.h>

namespace inkstone {
namespace {

TEST(Utf8, well_formed_text_stays) {
  for (const std::string text :
       {"", "a fox", "\xC3\xA9t\xC3\xA9", "\xE7\x8B\x90\xE7\x8B\xB8", "\xF0\x9F\xA6\x8A", "\xF4\x8F\xBF\xBF"})
    EXPECT_EQ(clean_utf8(text), text);
}

TEST(Utf8, each_ill_formed_part_becomes_one_replacement) {
  const std::string kBad = "\xEF\xBF\xBD";
  const std::pair<std::string, std::string> rows[] = {
      {"a\x80z", "a" + kBad + "z"},
      {"\xC0\xAF", kBad + kBad},                        // overlong
      {"\xE0\x80\x80", kBad + kBad + kBad},             // overlong
      {"\xED\xA0\x80", kBad + kBad + kBad},             // a surrogate
      {"\xF4\x90\x80\x80", kBad + kBad + kBad + kBad},  // beyond U+10FFFF
      {"\xE7\x8B", kBad},                               // cut at the end
      {"\xF0\x9F\xA6z", kBad + "z"},
      {std::string("a\0b", 3), "a" + kBad + "b"},
  };
  for (const auto& [text, clean] : rows) EXPECT_EQ(clean_utf8(text), clean);
}

TEST(Utf8, one_line_has_no_breaks_and_no_escapes) { EXPECT_EQ(one_line("a\nb\tc\x1b[K\x7f"), "a b c [K "); }

}  // namespace
}  // namespace inkstone
