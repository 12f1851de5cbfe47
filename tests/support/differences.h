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

// Root mean square of the difference, over that of `right`. Infinity where sizes differ or there is nothing; NaN, which no
// bound allows, where a number is none.
inline double relative_rms(const Tensor& found, const Tensor& right) {
  if (found.size() != right.size() || right.size() == 0) return std::numeric_limits<double>::infinity();
  double difference = 0, size = 0;
  for (size_t i = 0; i < right.floats().size(); ++i) {
    difference += std::pow(static_cast<double>(found.floats()[i]) - right.floats()[i], 2);
    size += std::pow(static_cast<double>(right.floats()[i]), 2);
  }
  return size > 0 ? std::sqrt(difference / size) : std::sqrt(difference);
}

// [height, width, 3], 0 to 255.
inline double largest_difference(const Image& found, const Tensor& right) {
  if (right.shape() != Shape{found.height, found.width, 3}) return std::numeric_limits<double>::infinity();
  return largest_difference(found.rgb, right.floats());
}

}  // namespace inkstone
