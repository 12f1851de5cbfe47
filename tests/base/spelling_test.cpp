#include "base/spelling.h"

#include <gtest/gtest.h>

#include <vector>

namespace inkstone {
namespace {

TEST(Spelling, finds_the_word_that_was_meant) {
  const std::vector<std::string> words{"steps", "seed", "scheduler", "euler", "euler-ancestral", "fp32"};
  EXPECT_EQ(nearest("stpes", words), "steps");
  EXPECT_EQ(nearest("Sed", words), "seed");
  EXPECT_EQ(nearest("eular", words), "euler");
  EXPECT_EQ(nearest("euler_ancestral", words), "euler-ancestral");
  EXPECT_EQ(nearest("bogus", words), "");
  EXPECT_EQ(nearest("", words), "");
  EXPECT_EQ(nearest(std::string(100000, 'a'), words), "");
}

TEST(Spelling, lists_words) { EXPECT_EQ(listed(std::vector<std::string>{"a", "b"}), "a, b"); }

}  // namespace
}  // namespace inkstone
