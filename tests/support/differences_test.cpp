#include "support/differences.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace inkstone {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

TEST(LargestDifference, is_that_of_the_two_numbers_that_are_furthest_apart) {
  EXPECT_EQ(largest_difference(std::vector<float>{1, -2, 3}, std::vector<float>{1, 2, 2.5f}), 4);
  EXPECT_EQ(largest_difference(std::vector<uint8_t>{0, 200}, std::vector<float>{255, 200}), 255);
  EXPECT_EQ(largest_difference(std::vector<float>{-0.0f, kInfinity - 1}, std::vector<float>{0, 0}), kInfinity);
  EXPECT_EQ(largest_difference(std::vector<float>{7}, std::vector<float>{7}), 0);
}

TEST(LargestDifference, is_infinite_if_any_number_is_none) {
  for (size_t at = 0; at < 3; ++at) {
    std::vector<float> with{1, 2, 3};
    const std::vector<float> without = with;
    with[at] = kNan;
    EXPECT_EQ(largest_difference(with, without), kInfinity);
    EXPECT_EQ(largest_difference(without, with), kInfinity);
    EXPECT_EQ(largest_difference(with, with), kInfinity);
  }
  EXPECT_EQ(largest_difference(std::vector<float>{kInfinity}, std::vector<float>{kInfinity}), kInfinity);
}

TEST(LargestDifference, is_infinite_if_the_shapes_differ_or_nothing_is_compared) {
  EXPECT_EQ(largest_difference(std::vector<float>{1, 2}, std::vector<float>{1}), kInfinity);
  EXPECT_EQ(largest_difference(std::vector<float>{1}, std::vector<float>{1, 2}), kInfinity);
  EXPECT_EQ(largest_difference(std::vector<float>{}, std::vector<float>{}), kInfinity);
  const Tensor wide({2, 3}), high({3, 2});
  EXPECT_EQ(largest_difference(wide, high), kInfinity);
  EXPECT_EQ(largest_difference(wide, wide), 0);
  const Image image{2, 1, {1, 2, 3, 4, 5, 6}}, turned{1, 2, {1, 2, 3, 4, 5, 6}}, other{2, 1, {1, 2, 3, 4, 5, 9}};
  EXPECT_EQ(largest_difference(image, turned), kInfinity);
  EXPECT_EQ(largest_difference(image, other), 3);
  const std::vector<float> numbers{1, 2, 3, 4, 5, 6};
  EXPECT_EQ(largest_difference(image, Tensor::of({1, 2, 3}, numbers)), 0);
  EXPECT_EQ(largest_difference(image, Tensor::of({2, 1, 3}, numbers)), kInfinity);
}

TEST(RelativeRms, is_the_differences_over_the_right_ones) {
  const Tensor right = Tensor::of({2}, std::vector<float>{3, 4}), found = Tensor::of({2}, std::vector<float>{3, 4.5f});
  EXPECT_NEAR(relative_rms(found, right), 0.1, 1e-9);
  EXPECT_EQ(relative_rms(right, right), 0);
  EXPECT_EQ(relative_rms(Tensor({2}), Tensor({2})), 0);
}

TEST(RelativeRms, allows_neither_nan_nor_other_sizes_nor_nothing) {
  const Tensor right = Tensor::of({2}, std::vector<float>{3, 4}), broken = Tensor::of({2}, std::vector<float>{3, kNan});
  EXPECT_FALSE(relative_rms(broken, right) <= 1e9);
  EXPECT_FALSE(relative_rms(right, broken) <= 1e9);
  EXPECT_EQ(relative_rms(Tensor({1}), right), kInfinity);
  EXPECT_EQ(relative_rms(Tensor({0}), Tensor({0})), kInfinity);
}

}  // namespace
}  // namespace inkstone
