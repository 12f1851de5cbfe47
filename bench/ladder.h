// What the ladders share: a clock, the least of several calls, numbers to multiply.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/tensor.h"

namespace inkstone {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The fastest of as many calls as fit, at least three.
inline double best_of(double seconds, const std::function<void()>& call) {
  double best = 1e9;
  const double end = now() + seconds;
  for (int i = 0; i < 3 || now() < end; ++i) {
    const double begin = now();
    call();
    best = std::min(best, now() - begin);
  }
  return best;
}

// Even in (-1, 1); fp32, bf16 or fp16.
inline Tensor random(int64_t count, DType type, uint32_t seed = 1) {
  Tensor tensor({count}, type);
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    const float value = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
    if (type == DType::kF32) {
      reinterpret_cast<float*>(tensor.data())[i] = value;
    } else {
      reinterpret_cast<uint16_t*>(tensor.data())[i] = type == DType::kF16 ? to_f16(value) : to_bf16(value);
    }
  }
  return tensor;
}

}  // namespace inkstone
