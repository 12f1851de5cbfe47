// Weights by a formula that tools/fixtures knows too (taesd.py), so that goldens need no stored weights: splitmix64 from
// FNV-1a of the tensor's name, as -1 to 1, times sqrt(3 / inputs); a bias times a tenth.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"

namespace inkstone {

inline std::vector<float> formula_values(const std::string& name, const Shape& shape) {
  uint64_t seed = 0xcbf29ce484222325;
  for (const char letter : name) seed = (seed ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
  int64_t inputs = 1;
  for (size_t axis = 1; axis < shape.size(); ++axis) inputs *= shape[axis];
  const float scale = static_cast<float>(shape.size() > 1 ? std::sqrt(3.0 / static_cast<double>(inputs)) : 0.1);
  std::vector<float> values;
  for (int64_t i = 0; i < count(shape); ++i) {
    uint64_t z = seed + (static_cast<uint64_t>(i) + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    values.push_back(static_cast<float>(static_cast<double>(z >> 40) / (1 << 23) - 1) * scale);
  }
  return values;
}

}  // namespace inkstone
