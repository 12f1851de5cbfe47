#include "app/byte_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace inkstone {
namespace {

TEST(ByteSize, every_form_is_read) {
  const std::pair<const char*, uint64_t> rows[] = {
      {"1", 1},
      {"1073741824", uint64_t{1} << 30},
      {"2GiB", uint64_t{2} << 30},
      {"2gib", uint64_t{2} << 30},
      {"2 GiB", uint64_t{2} << 30},
      {"512MiB", uint64_t{512} << 20},
      {"3KiB", 3072},
      {"1.5GiB", uint64_t{3} << 29},
      {"2GB", 2'000'000'000},
      {"500MB", 500'000'000},
      {"64KB", 64'000},
  };
  for (const auto& [text, bytes] : rows) EXPECT_EQ(parse_byte_size(text, "x").bytes, bytes) << text;
}

TEST(ByteSize, what_is_no_size_is_refused_with_the_forms) {
  for (const char* text :
       {"", "0", "0GiB", "-1", "GiB", "2G", "2TiB", "2GiBs", "nan", "inf", "1e3", "0x10", "9999999999GiB", "2 2"}) {
    try {
      parse_byte_size(text, "--memory-budget here");
      ADD_FAILURE() << text;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), testing::StartsWith("--memory-budget here: ")) << text;
      EXPECT_THAT(error.what(), testing::HasSubstr("2GiB, 512MiB")) << text;
    }
  }
}

TEST(ByteSize, texts_have_about_three_digits) {
  EXPECT_EQ(byte_text(0), "0 bytes");
  EXPECT_EQ(byte_text(1023), "1023 bytes");
  EXPECT_EQ(byte_text(1024), "1.00 KiB");
  EXPECT_EQ(byte_text(12'800), "12.5 KiB");
  EXPECT_EQ(byte_text(uint64_t{512} << 20), "512 MiB");
  EXPECT_EQ(byte_text(uint64_t{3} << 30), "3.00 GiB");
}

}  // namespace
}  // namespace inkstone
