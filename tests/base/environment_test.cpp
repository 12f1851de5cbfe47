// The environment's table, what unset and empty mean, and the folders that follow from it.
#include "base/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "base/cache_folder.h"

namespace inkstone {
namespace {

// These variables for one test, none of them set at first.
class Environment : public testing::Test {
 protected:
  void SetUp() override {
    for (const Variable variable : kUsed) {
      before_.push_back(environment(variable));
      unsetenv(name_of(variable));
    }
  }
  void TearDown() override {
    for (size_t i = 0; i < before_.size(); ++i)
      before_[i] ? setenv(name_of(kUsed[i]), before_[i]->c_str(), 1) : unsetenv(name_of(kUsed[i]));
  }
  static void set(Variable variable, const char* value) { setenv(name_of(variable), value, 1); }

 private:
  static constexpr Variable kUsed[] = {Variable::kVerify, Variable::kCache, Variable::kXdgCacheHome, Variable::kHome};
  std::vector<std::optional<std::string>> before_;
};

TEST_F(Environment, unset_empty_and_set_are_three_things) {
  EXPECT_EQ(environment(Variable::kVerify), std::nullopt);
  EXPECT_EQ(nonempty_environment(Variable::kVerify), std::nullopt);
  set(Variable::kVerify, "");
  EXPECT_EQ(environment(Variable::kVerify), "");
  EXPECT_EQ(nonempty_environment(Variable::kVerify), std::nullopt);
  set(Variable::kVerify, "1");
  EXPECT_EQ(environment(Variable::kVerify), "1");
  EXPECT_EQ(nonempty_environment(Variable::kVerify), "1");
  EXPECT_EQ(flag_environment("INKSTONE_VERIFY"), "1");
}

TEST_F(Environment, every_variable_is_listed_once_with_what_it_does_and_who_reads_it) {
  std::set<std::string> names;
  for (const VariableInfo& info : environment_variables()) {
    EXPECT_STREQ(name_of(info.variable), info.name);
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(std::string(info.effect).empty() || std::string(info.readers).empty()) << info.name;
  }
}

TEST_F(Environment, the_nearest_cache_folder_is_taken) {
  EXPECT_EQ(cache_folder("om"), "");
  set(Variable::kHome, "/home/anna");
  EXPECT_EQ(cache_folder("om"), "/home/anna/.cache/inkstone/om");
  set(Variable::kXdgCacheHome, "/caches");
  EXPECT_EQ(cache_folder("om"), "/caches/inkstone/om");
  set(Variable::kCache, "/mine");
  EXPECT_EQ(cache_folder("hashes"), "/mine/hashes");
  set(Variable::kCache, "");
  EXPECT_EQ(cache_folder("hashes"), "/caches/inkstone/hashes");
}

}  // namespace
}  // namespace inkstone
