// How far apart what was found is from what is right.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <ranges>

#include "base/image.h"
#include "base/tensor.h"

namespace inkstone {

// Of numbers at the same place. Infinity if that proves nothing: where one is NaN, where the sizes differ, where both are
// empty.
template <std::ranges::sized_range Found, std::ranges::sized_range Right>
double largest_difference(const Found& found, const Right& right) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (std::ranges::size(found) != std::ranges::size(right) || std::ranges::empty(found)) return kInfinity;
  double largest = 0;
  auto other = std::ranges::begin(right);
  for (const auto value : found) {
    const double difference = std::abs(static_cast<double>(value) - static_cast<double>(*other++));
    if (std::isnan(difference)) return kInfinity;
    largest = std::max(largest, difference);
  }
  return largest;
}

inline double largest_difference(const Tensor& found, const Tensor& right) {
  if (found.shape() != right.shape()) return std::numeric_limits<double>::infinity();
  return largest_difference(found.floats(), right.floats());
}

inline double largest_difference(const Image& found, const Image& right) {
  if (found.width != right.width || found.height != right.height) return std::numeric_limits<double>::infinity();
  return largest_difference(found.rgb, right.rgb);
}

// [height, width, 3], 0 to 255.
inline double largest_difference(const Image& found, const Tensor& right) {
  if (right.shape() != Shape{found.height, found.width, 3}) return std::numeric_limits<double>::infinity();
  return largest_difference(found.rgb, right.floats());
}

}  // namespace inkstone
