// Reproducible numbers for kernels' tests.
#pragma once

#include <vector>

#include "base/tensor.h"

namespace inkstone {

class Numbers {  // in about [-2, 2]
 public:
  explicit Numbers(uint32_t seed) : state_(seed * 2654435761u + 12345) {}
  float operator()() {
    float sum = 0;
    for (int i = 0; i < 4; ++i) {
      state_ = state_ * 1664525u + 1013904223u;
      sum += static_cast<float>(state_ >> 8) * 0x1p-24f - 0.5f;
    }
    return 1.5f * sum;
  }
  std::vector<float> take(int64_t count, float factor = 1, float offset = 0) {
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = factor * (*this)() + offset;
    return values;
  }
  Tensor tensor(int64_t count, DType type, float factor = 1) {
    Tensor tensor({count}, type);
    const std::vector<float> values = take(count, factor);
    for (size_t i = 0; i < values.size(); ++i) {
      if (type == DType::kF32) {
        reinterpret_cast<float*>(tensor.data())[i] = values[i];
      } else {
        reinterpret_cast<uint16_t*>(tensor.data())[i] = type == DType::kBF16 ? to_bf16(values[i]) : to_f16(values[i]);
      }
    }
    return tensor;
  }

 private:
  uint32_t state_;
};

}  // namespace inkstone
