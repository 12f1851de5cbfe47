#include "adapters/arithmetic.h"

#include <algorithm>
#include <bit>
#include <cstring>

// The build says for which instruction sets the functions are compiled; they do the same.
#ifndef INKSTONE_CLONES
#define INKSTONE_CLONES
#endif

namespace inkstone {
namespace {

constexpr int64_t kLanes = 16;
// Lanes that the compiler makes of what the processor has. In memory they may lie anywhere, so they are copied.
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

constexpr int64_t kRows = 4, kVectors = 2, kWidth = kVectors * kLanes;  // of the block that is summed in registers

// One element at a time, in the same order.
inline void add_elements(const LowRankProduct& p, int64_t row, int64_t first, int64_t last) {
  for (int64_t column = first; column < last; ++column) {
    float sum = 0;
    for (int64_t k = 0; k < p.rank; ++k) sum += p.up[row * p.rank + k] * p.down[k * p.columns + column];
    p.out[row * p.columns + column] += p.scale * sum;
  }
}

// Without branches, so that it is done many at a time. A number below 2^-14 is rounded to units of 2^-24
// by adding 0.5, whose last bit is worth that much.
inline uint16_t rounded_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  const uint32_t usual = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000) >> 13;
  const uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
  const uint32_t is_small = 0u - static_cast<uint32_t>(magnitude < 0x38800000);
  const uint32_t is_large = 0u - static_cast<uint32_t>(magnitude >= 0x477ff000);
  const uint32_t half = (small & is_small) | (0x7c00 & is_large) | (usual & ~is_small & ~is_large);
  return static_cast<uint16_t>(half | ((bits >> 16) & 0x8000));
}

}  // namespace

INKSTONE_CLONES void add_product(const LowRankProduct& p, int64_t begin, int64_t end) {
  const int64_t wide = p.columns - p.columns % kWidth, tall = end - (end - begin) % kRows;
  for (int64_t column = 0; column < wide; column += kWidth) {
    for (int64_t row = begin; row < tall; row += kRows) {
      Lanes sums[kRows][kVectors] = {};
      for (int64_t k = 0; k < p.rank; ++k) {
        const float* down = p.down + k * p.columns + column;
        Lanes one, two;
        std::memcpy(&one, down, sizeof one);
        std::memcpy(&two, down + kLanes, sizeof two);
        for (int64_t r = 0; r < kRows; ++r) {
          const float up = p.up[(row + r) * p.rank + k];
          sums[r][0] += up * one;
          sums[r][1] += up * two;
        }
      }
      for (int64_t r = 0; r < kRows; ++r)
        for (int64_t v = 0; v < kVectors; ++v) {
          float* to = p.out + (row + r) * p.columns + column + v * kLanes;
          Lanes sum;
          std::memcpy(&sum, to, sizeof sum);
          sum += p.scale * sums[r][v];
          std::memcpy(to, &sum, sizeof sum);
        }
    }
  }
  for (int64_t row = begin; row < end; ++row) add_elements(p, row, row < tall ? wide : 0, p.columns);
}

INKSTONE_CLONES void round_to(DType type, const float* from, std::byte* to, int64_t count) {
  auto* halves = reinterpret_cast<uint16_t*>(to);
  switch (type) {
    case DType::kF16:
      for (int64_t i = 0; i < count; ++i) halves[i] = rounded_f16(from[i]);
      return;
    case DType::kBF16:
      for (int64_t i = 0; i < count; ++i) halves[i] = to_bf16(from[i]);
      return;
    case DType::kF32:
    case DType::kI32: std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float)); return;
  }
}

}  // namespace inkstone
