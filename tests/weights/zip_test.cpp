// Entries are found where they lie; a file that lies about them is refused with what is wrong.
#include "weights/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "weights/built_torch_file.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

ZipEntries entries_of(const std::string& file) { return zip_entries(std::as_bytes(std::span(file)), "a.zip"); }

std::string error_of(const std::string& file) {
  try {
    entries_of(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Zip, entries_are_views_of_the_file) {
  for (const bool zip64 : {false, true}) {
    std::vector<BuiltEntry> built = {{"a/one", "first"}, {"a/two", ""}, {"a/three", "the third"}};
    for (BuiltEntry& entry : built) entry.zip64 = zip64;
    const std::string file = built_zip(built, zip64).text;
    const ZipEntries entries = entries_of(file);
    ASSERT_EQ(entries.size(), 3u) << zip64;
    for (const BuiltEntry& entry : built) {
      const auto bytes = entries.at(entry.name);
      EXPECT_EQ(text_of(bytes), entry.bytes);
      EXPECT_GE(reinterpret_cast<const char*>(bytes.data()), file.data());
      EXPECT_LE(reinterpret_cast<const char*>(bytes.data()) + bytes.size(), file.data() + file.size());
    }
  }
}

TEST(Zip, a_comment_may_follow_and_no_entries_may_be_there) {
  std::string file = built_zip({{"a", "b"}}).text;
  file.replace(file.size() - 2, 2, little(5, 2));
  EXPECT_EQ(entries_of(file + "hello").size(), 1u);
  EXPECT_EQ(entries_of(built_zip({}).text).size(), 0u);
}

TEST(Zip, a_truncated_download_is_called_that_wherever_it_ends) {
  for (const bool zip64 : {false, true}) {
    const std::string file = built_zip({{"a/one", "first"}, {"a/two", std::string(100, 'x')}}, zip64).text;
    for (size_t size = 0; size < file.size(); ++size)
      EXPECT_THAT(error_of(file.substr(0, size)), AllOf(HasSubstr("ends at byte " + std::to_string(size)),
                                                        HasSubstr("download it again"), Not(HasSubstr("\n"))));
  }
}

TEST(Zip, a_list_that_lies_is_refused) {
  const auto with = [](auto change) {
    std::vector<BuiltEntry> entries = {{"a/one", "first"}, {"a/two", "second"}};
    change(entries[1]);
    return error_of(built_zip(entries).text);
  };
  EXPECT_THAT(with([](BuiltEntry& e) { e.method = 8; }),
              AllOf(HasSubstr("the entry a/two is compressed"), HasSubstr("zip -0")));
  EXPECT_THAT(with([](BuiltEntry& e) { e.flags = 1; }), HasSubstr("the entry a/two is encrypted"));
  EXPECT_THAT(with([](BuiltEntry& e) { e.size = 7; }), HasSubstr("7 bytes from byte 75, runs past byte 81"));
  EXPECT_THAT(with([](BuiltEntry& e) { e.begin = 1; }), HasSubstr("is not at byte 1, where it should be"));
  EXPECT_THAT(with([](BuiltEntry& e) { e.begin = 0xfffffff0; }), HasSubstr("is not at byte 4294967280"));
  EXPECT_THAT(with([](BuiltEntry& e) { e.begin = 0; }), HasSubstr("has another name at byte 0"));
  EXPECT_THAT(with([](BuiltEntry& e) { e.listed_name = "a/2"; }), HasSubstr("has another name at byte 40"));
  EXPECT_THAT(with([](BuiltEntry& e) { e.size = 0xffffffff; }), HasSubstr("lacks a 64-bit number"));
  for (const uint64_t huge : {uint64_t{1} << 63, UINT64_MAX}) {
    const auto far = [&](BuiltEntry& e) { e.zip64 = true, e.begin = huge; };
    const auto large = [&](BuiltEntry& e) { e.zip64 = true, e.size = huge; };
    EXPECT_THAT(with(far), HasSubstr("is not at byte " + std::to_string(huge)));
    EXPECT_THAT(with(large), HasSubstr(std::to_string(huge) + " bytes from byte 75"));
  }
}

TEST(Zip, entries_may_neither_overlap_nor_stand_twice) {
  EXPECT_THAT(error_of(built_zip({{"a", "bb"}, {"a", "cc"}}).text), HasSubstr("the entry a stands twice"));
  std::string inner = built_zip({{"b", "x"}}).text;
  const BuiltEntry outer{"a", inner.substr(0, inner.find("PK\x01\x02"))};
  const size_t begin = 30 + 1;  // in the entry before it
  EXPECT_THAT(error_of(built_zip({outer, {"b", "x", {}, begin}}).text),
              HasSubstr("the entries a and b overlap at byte 31"));
}

TEST(Zip, an_end_that_lies_is_refused) {
  const BuiltZip zip = built_zip({{"a/one", "first"}});
  const auto with_end = [&](const std::string& end) { return error_of(zip.text.substr(0, zip.end) + end); };
  const size_t bytes = zip.end - zip.list;
  ASSERT_EQ(with_end(zip_end(zip.list, bytes, 1)), "accepted");
  EXPECT_THAT(with_end(zip_end(zip.list, bytes + 1, 1)), HasSubstr("runs past byte"));
  EXPECT_THAT(with_end(zip_end(0xfffffffe, bytes, 1)), HasSubstr("runs past byte"));
  EXPECT_THAT(with_end(zip_end(zip.list, bytes, 2)), HasSubstr("has 2 entries listed in"));
  EXPECT_THAT(with_end(zip_end(zip.list + 1, bytes - 1, 1)), HasSubstr("list of entries is damaged"));
  const auto with_end64 = [&](const std::string& end64, uint64_t at) {
    return with_end(end64 + "PK\x06\x07" + little(0, 4) + little(at, 8) + little(1, 4) + zip_end(0, 0, 0));
  };
  ASSERT_EQ(with_end64(zip64_end(zip.list, bytes, 1), zip.end), "accepted");
  EXPECT_THAT(with_end64(zip64_end(zip.list, bytes, 1), UINT64_MAX), HasSubstr("zip64 record is not at byte"));
  EXPECT_THAT(with_end64(zip64_end(zip.list, bytes, 1), zip.end + 1), HasSubstr("zip64 record is not at byte"));
  EXPECT_THAT(with_end64(zip64_end(zip.list, UINT64_MAX, 1), zip.end), HasSubstr("runs past byte"));
  EXPECT_THAT(with_end64(zip64_end(UINT64_MAX, bytes, 1), zip.end), HasSubstr("runs past byte"));
  EXPECT_THAT(with_end64(zip64_end(zip.list, bytes, UINT64_MAX), zip.end), HasSubstr("at most 200000 are read"));
  EXPECT_THAT(with_end64(zip64_end(zip.list, bytes, 200'000), zip.end), HasSubstr("has 200000 entries listed in"));
}

}  // namespace
}  // namespace inkstone
