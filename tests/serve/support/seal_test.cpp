// What is sealed is read by who has the key, for the name that it was sealed for, or not at all.
#include "serve/support/seal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "support/scratch_folder.h"

namespace inkstone::serve {
namespace {

using testing::HasSubstr;

class Seals : public testing::Test {
 protected:
  std::string new_key(const std::string& name) {
    FleetKeys::make_file(folder_.path() / name);
    return text_of(folder_.path() / name);
  }
  std::filesystem::path file(const std::string& content, mode_t mode = 0600) {
    folder_.write("keys", content);
    std::filesystem::path path = folder_.path() / "keys";
    chmod(path.c_str(), mode);
    return path;
  }
  ScratchFolder folder_;
};

TEST_F(Seals, what_is_sealed_is_opened_and_shows_nothing) {
  new_key("key");
  const FleetKeys keys(folder_.path() / "key");
  for (const std::string& text :
       {std::string(), std::string("a\0b", 3), std::string("a fox on a teal background"), std::string(1 << 20, 'x')}) {
    const std::string sealed = keys.seal("order.00", text);
    EXPECT_EQ(sealed.size(), text.size() + FleetKeys::kOverhead);
    EXPECT_EQ(keys.open("order.00", sealed), text);
    EXPECT_NE(keys.seal("order.00", text), sealed) << "a nonce of its own";
    if (text.size() > 3) {
      EXPECT_EQ(sealed.find(text.substr(0, 4)), sealed.npos);
    }
  }
}

TEST_F(Seals, what_was_altered_moved_or_cut_is_not_opened) {
  new_key("key");
  const FleetKeys keys(folder_.path() / "key");
  const std::string sealed = keys.seal("order.00", "a fox");
  for (size_t i = 0; i < sealed.size(); i++)
    for (const int bit : {0, 7}) {
      std::string altered = sealed;
      altered[i] = static_cast<char>(altered[i] ^ 1 << bit);
      EXPECT_FALSE(keys.open("order.00", altered).has_value()) << i;
    }
  for (size_t size = 0; size < sealed.size(); size++)
    EXPECT_FALSE(keys.open("order.00", sealed.substr(0, size)).has_value()) << size;
  EXPECT_FALSE(keys.open("order.00", sealed + "x").has_value());
  EXPECT_FALSE(keys.open("order.01", sealed).has_value());
  EXPECT_TRUE(keys.open("order.00", sealed).has_value());
}

TEST_F(Seals, during_a_change_of_keys_both_open_and_the_first_seals) {
  const std::string old_key = new_key("old"), next_key = new_key("next");
  const FleetKeys before(folder_.path() / "old"), both(file(next_key + old_key)), after(folder_.path() / "next");
  EXPECT_EQ(both.open("n", before.seal("n", "old")), "old");
  EXPECT_EQ(after.open("n", both.seal("n", "new")), "new");
  EXPECT_FALSE(before.open("n", both.seal("n", "new")).has_value());
}

TEST_F(Seals, files_of_keys_are_read_strictly) {
  const std::string key = new_key("key");
  const auto refused = [&](const std::filesystem::path& path) -> std::string {
    try {
      const FleetKeys keys(path);
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused(file(key, 0644)), HasSubstr("chmod 600"));
  EXPECT_THAT(refused(file("")), HasSubstr("no key"));
  for (const std::string& wrong : {key.substr(1), key + "x", "x" + key.substr(1), key + key + key})
    EXPECT_THAT(refused(file(wrong)), HasSubstr("64 hexadecimal digits")) << wrong;
  EXPECT_THAT(refused(folder_.path() / "none"), HasSubstr("none"));
  EXPECT_THROW(FleetKeys::make_file(folder_.path() / "key"), Error) << "one is there";
  EXPECT_THROW(FleetKeys::make_file(folder_.path() / "none" / "key"), Error);
  struct stat state {};
  ASSERT_EQ(stat((folder_.path() / "key").c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace inkstone::serve
