// The arithmetic of merging, in fp32. No product and sum are fused and the order of a sum is fixed, so
// that every processor gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace inkstone {

struct LowRankProduct {
  const float* up;    // [rows, rank]
  const float* down;  // [rank, columns]
  float* out;         // [rows, columns]
  int64_t rank, columns;
  float scale;
};
// out += scale * up * down, of the rows from `begin` to before `end`.
void add_product(const LowRankProduct& product, int64_t begin, int64_t end);

// To nearest, ties to even; what is too large becomes infinite. Of finite values. `type` is F32, F16 or
// BF16.
void round_to(DType type, const float* from, std::byte* to, int64_t count);

}  // namespace inkstone
