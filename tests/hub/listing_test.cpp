// What the hub says is checked before it is believed.
#include "hub/listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "hub/id.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

const std::string kCommit(40, 'c'), kSha1(40, 'a'), kSha256(64, 'b');

std::string answer(const std::string& siblings) {
  return R"({"sha":")" + kCommit + R"(","siblings":[)" + siblings + "]}";
}

std::string error_of(const std::string& text) {
  try {
    parse_hub_listing(text, "the hub");
    return "read";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Listing, a_file_is_named_by_git_or_if_large_by_its_sha256) {
  const HubListing listing =
      parse_hub_listing(answer(R"({"rfilename":"a.json","size":3,"blobId":")" + kSha1 + R"("},)" +
                               R"({"rfilename":"b.safetensors","size":5000000000,"blobId":")" + kSha1 +
                               R"(","lfs":{"sha256":")" + kSha256 + R"(","size":5000000000,"pointerSize":135}})"),
                        "the hub");
  EXPECT_EQ(listing.commit, kCommit);
  ASSERT_EQ(listing.files.size(), 2u);
  EXPECT_EQ(listing.find("a.json")->digest, kSha1);
  EXPECT_FALSE(listing.find("a.json")->large);
  EXPECT_EQ(listing.find("b.safetensors")->digest, kSha256);
  EXPECT_TRUE(listing.find("b.safetensors")->large);
  EXPECT_EQ(listing.find("b.safetensors")->size, 5000000000u);
  EXPECT_EQ(listing.find("c"), nullptr);
}

TEST(Listing, paths_that_lead_elsewhere_are_left_out) {
  for (const char* path : {"../x", "/x", "a/../x", "a//b", "a\\\\b", "a/./b", "", ".", "a/", "\\u0000", "a\\nb"})
    EXPECT_TRUE(parse_hub_listing(answer(R"({"rfilename":")" + std::string(path) + R"("})"), "the hub").files.empty())
        << path;
}

TEST(Listing, what_is_no_listing_is_refused) {
  const std::string file = R"({"rfilename":"a","size":)";
  const std::pair<std::string, const char*> rows[] = {
      {"<html>", "the hub:1:1"},
      {"[]", "not what a hub says"},
      {"{}", "\"sha\" is not a commit"},
      {R"({"sha":"../../../../../../../../../../../../../.."})", "\"sha\" is not a commit"},
      {R"({"sha":")" + kCommit + R"("})", "no list \"siblings\""},
      {answer("1"), "not described by an object"},
      {answer(file + "1}"), "of the file a it does not say size and checksum"},
      {answer(file + R"(-1,"blobId":")" + kSha1 + R"("})"), "size and checksum"},
      {answer(file + R"(1,"blobId":"../../x"})"), "size and checksum"},
      {answer(file + R"(1,"blobId":")" + kSha1 + R"(","lfs":{"sha256":"short","size":1}})"), "size and checksum"}};
  for (const auto& [text, message] : rows) EXPECT_THAT(error_of(text), HasSubstr(message)) << text;
}

TEST(HubIds, are_taken_apart_and_revisions_checked) {
  EXPECT_EQ(parse_hub_id("a/b@refs/pr/1").revision, "refs/pr/1");
  EXPECT_EQ(parse_hub_id("a/b").text(), "a/b");
  EXPECT_EQ(parse_hub_id("a/b@v1").text(), "a/b@v1");
  for (const char* text : {"a", "a/b/c", "../b", "a/..", "/b", "a/", "a b/c"})
    EXPECT_EQ(parse_hub_id(text).name, "") << text;
  for (const char* text : {"main", "refs/pr/1", "v1.5"}) EXPECT_TRUE(is_revision(text)) << text;
  for (const char* text : {"", "/x", "../x", "a..b", "a b", "a/", "a\nb"}) EXPECT_FALSE(is_revision(text)) << text;
  EXPECT_EQ(hub_id_in_url("https://huggingface.co/a/b/tree/main").text(), "a/b");
  EXPECT_EQ(hub_id_in_url("https://example.org/a/b").name, "");
}

}  // namespace
}  // namespace inkstone
