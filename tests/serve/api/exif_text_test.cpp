// The parameters in EXIF blocks, as this and other programs write them, and in broken ones.
#include "serve/api/exif_text.h"

#include <gtest/gtest.h>

namespace inkstone::serve {
namespace {

using namespace std::string_literals;

const std::string kUnicode("UNICODE\0", 8), kAscii("ASCII\0\0\0", 8), kNoCode(8, '\0'), kJis("JIS\0\0\0\0\0", 8);

struct ByteOrder {
  bool big;
  std::string number(uint32_t value, size_t size) const {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(value >> 8 * (big ? size - 1 - i : i));
    return bytes;
  }
  // One folder of one entry.
  std::string folder(uint32_t tag, uint32_t type, uint32_t count, uint32_t value) const {
    return number(1, 2) + number(tag, 2) + number(type, 2) + number(count, 4) + number(value, 4) + number(0, 4);
  }
};
constexpr ByteOrder kBig{true}, kLittle{false};

// A block whose EXIF folder has the comment alone.
std::string block(const ByteOrder& order, const std::string& comment) {
  return (order.big ? "MM" : "II") + order.number(42, 2) + order.number(8, 4) + order.folder(0x8769, 4, 1, 26) +
         order.folder(0x9286, 7, static_cast<uint32_t>(comment.size()), 44) + comment;
}

TEST(ExifText, of_each_code_and_byte_order_is_read_as_utf8) {
  for (const ByteOrder& order : {kBig, kLittle}) {
    EXPECT_EQ(exif_user_comment(block(order, kAscii + "a fox")), "a fox");
    EXPECT_EQ(exif_user_comment(block(order, kNoCode + "a fox")), "a fox");
    EXPECT_EQ(exif_user_comment(block(order, kAscii + "a fox\0\0 and more"s)), "a fox") << "it ends with a zero";
    EXPECT_EQ(exif_user_comment(block(order, kUnicode + "\0f\0\xf6\0x\xd8\x3e\xdd\x8a"s)),
              "f\xc3\xb6x\xf0\x9f\xa6\x8a");
    EXPECT_EQ(exif_user_comment(block(order, kUnicode + "f\0\xf6\0x\0\x3e\xd8\x8a\xdd"s)),
              "f\xc3\xb6x\xf0\x9f\xa6\x8a");
    EXPECT_EQ(exif_user_comment(block(order, kUnicode + "\0a\xd8\x3e\0b"s)),
              "a\xef\xbf\xbd"
              "b")
        << "half of a pair is no letter";
  }
}

TEST(ExifText, of_another_code_or_in_another_block_is_none) {
  EXPECT_EQ(exif_user_comment(block(kBig, kJis + "a fox")), "");
  EXPECT_EQ(exif_user_comment(block(kBig, kAscii)), "");
  EXPECT_EQ(exif_user_comment(block(kBig, kAscii.substr(0, 5))), "");
  EXPECT_EQ(exif_user_comment("XX" + block(kBig, kAscii + "a fox").substr(2)), "");
  EXPECT_EQ(exif_user_comment("II" + block(kBig, kAscii + "a fox").substr(2)), "") << "of the other byte order";
  const std::string head = "MM" + kBig.number(42, 2) + kBig.number(8, 4);
  EXPECT_EQ(exif_user_comment(head + kBig.folder(0x010E, 2, 4, 26)), "") << "there is no EXIF folder";
  EXPECT_EQ(exif_user_comment(head + kBig.folder(0x8769, 4, 1, 8)), "") << "it is its own EXIF folder";
}

TEST(ExifText, of_a_broken_block_is_what_there_is_of_it) {
  const std::string whole = block(kBig, kAscii + "a fox on a teal background");
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string part = whole.substr(0, size);  // of its own, so that a byte behind it is seen
    EXPECT_EQ(exif_user_comment(part), size <= 44 + 8 ? "" : whole.substr(44 + 8, size - 44 - 8)) << size;
  }
  std::string endless = block(kBig, kAscii + "a fox");
  endless.replace(26 + 2 + 4, 4, "\xff\xff\xff\xff");  // so long it says it is
  EXPECT_EQ(exif_user_comment(endless), "a fox");
  endless.replace(26 + 2 + 8, 4, "\xff\xff\xff\xff");  // and there it says it lies
  EXPECT_EQ(exif_user_comment(endless), "");
}

TEST(ExifText, is_bounded) {
  const std::string comment = exif_user_comment(block(kLittle, kAscii + std::string(2 << 20, 'x')));
  EXPECT_EQ(comment.size(), (1u << 20) - 8);
}

}  // namespace
}  // namespace inkstone::serve
