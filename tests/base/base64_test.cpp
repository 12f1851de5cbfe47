#include "base/base64.h"

#include <gtest/gtest.h>

namespace inkstone {
namespace {

// RFC 4648, section 10, and all bytes.
TEST(Base64, is_that_of_the_rfc_and_comes_back) {
  const std::pair<const char*, const char*> kVectors[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : kVectors) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(unbase64(text), bytes);
  }
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(unbase64(base64(all)), all);
}

TEST(Base64, of_anything_else_is_nothing) {
  for (const char* text : {"Z", "Zg", "Zg=", "Z===", "Zg==Zg==", "Zm 9", "Zm9-", "Zm9_", "Zh==", "Zm9=", "\xC3\xA4=="})
    EXPECT_EQ(unbase64(text), std::nullopt) << text;
}

}  // namespace
}  // namespace inkstone
