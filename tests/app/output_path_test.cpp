#include "app/output_path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(OutputPath, names_come_from_the_prompt) {
  EXPECT_EQ(name_of_prompt("A red apple!"), "a-red-apple");
  EXPECT_EQ(name_of_prompt("  two   bees -- side by side, 4k "), "two-bees-side-by-side-4k");
  EXPECT_EQ(name_of_prompt("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(name_of_prompt("\xE4\xB8\x80\xE5\x8F\xAA\xE7\x8B\x90\xE7\x8B\xB8\xE3\x80\x82"),
            "\xE4\xB8\x80\xE5\x8F\xAA\xE7\x8B\x90\xE7\x8B\xB8");
  EXPECT_EQ(name_of_prompt(""), "image");
  EXPECT_EQ(name_of_prompt("?!\xF0\x9F\xA6\x8A"), "image");
  EXPECT_LE(name_of_prompt(std::string(1000, 'a')).size(), 60u);
}

TEST(OutputPath, a_name_that_is_taken_gets_a_number_and_a_given_one_does_not) {
  const ScratchFolder folder;
  const std::string out = folder.path().string() + "/";
  EXPECT_EQ(image_path(out, "A bee", 42, false), folder.path() / "a-bee-42.png");
  folder.write("a-bee-42.png", "");
  EXPECT_EQ(image_path(out, "A bee", 42, false), folder.path() / "a-bee-42-2.png");
  folder.write("a-bee-42-2.png", "");
  EXPECT_EQ(image_path(out, "A bee", 42, true), folder.path() / "a-bee-42-3.png");
  EXPECT_EQ(image_path(folder.path().string(), "A bee", 43, false), folder.path() / "a-bee-43.png");
  const fs::path given = folder.path() / "a-bee-42.png";
  EXPECT_EQ(image_path(given.string(), "A bee", 42, false), given);
}

TEST(OutputPath, several_images_have_their_seed_in_the_name) {
  EXPECT_EQ(image_path("bee.png", "x", 7, true), "bee-7.png");
  EXPECT_EQ(image_path("in/bee.v2.png", "x", 7, true), "in/bee.v2-7.png");
  EXPECT_EQ(image_path("bee", "x", 7, true), "bee-7");
}

TEST(OutputPath, a_link_stays_a_link) {
  const ScratchFolder folder;
  folder.write("real.png", "");
  fs::create_symlink(folder.path() / "real.png", folder.path() / "link.png");
  EXPECT_EQ(image_path((folder.path() / "link.png").string(), "x", 7, false), folder.path() / "real.png");
  fs::create_symlink("new.png", folder.path() / "nothing.png");
  EXPECT_EQ(image_path((folder.path() / "nothing.png").string(), "x", 7, false), folder.path() / "new.png");
  fs::create_symlink("new-7.png", folder.path() / "many-7.png");
  EXPECT_EQ(image_path((folder.path() / "many.png").string(), "x", 7, true), folder.path() / "new-7.png");
  fs::create_symlink("circle.png", folder.path() / "circle.png");
  EXPECT_THROW(image_path((folder.path() / "circle.png").string(), "x", 7, false), Error);
}

std::string refusal(const fs::path& path, uint64_t bytes) {
  try {
    check_writable(path, bytes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(OutputPath, what_cannot_be_written_is_found_before) {
  const ScratchFolder folder;
  folder.write("file", "");
  fs::create_directory(folder.path() / "inner.png");
  EXPECT_EQ(refusal(folder.path() / "bee.png", 1000), "");
  EXPECT_EQ(refusal(folder.path() / "file", 1000), "");
  EXPECT_THAT(refusal(folder.path() / "none" / "bee.png", 1000), HasSubstr("does not exist"));
  EXPECT_THAT(refusal(folder.path() / "file" / "bee.png", 1000), HasSubstr("cannot write "));
  EXPECT_THAT(refusal(folder.path() / "inner.png", 1000), HasSubstr("no ordinary file"));
  fs::create_symlink("none/bee.png", folder.path() / "link.png");
  EXPECT_THAT(refusal(folder.path() / "link.png", 1000), HasSubstr("none does not exist"));
  fs::create_symlink("/dev/null", folder.path() / "device.png");
  const fs::path device = image_path((folder.path() / "device.png").string(), "x", 7, false);
  EXPECT_EQ(device, folder.path() / "device.png");
  EXPECT_THAT(refusal(device, 0), HasSubstr("no ordinary file"));
  EXPECT_THAT(refusal("/dev/null", 0), HasSubstr("no ordinary file"));
  EXPECT_THAT(refusal(folder.path() / "bee.png", uint64_t{1} << 60), HasSubstr("left, and it may take"));
}

}  // namespace
}  // namespace inkstone
