// Elements of a tensor in another type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "weights/weight_view.h"

namespace inkstone {

// Elements [begin, end), in order, of a plain view; `type` is F32, F16 or BF16, rounded to nearest.
// Throws Error naming the tensor and the element if one is more than fp16 holds; `way_out` says
// what to do then.
std::vector<std::byte> converted(const WeightView& view, int64_t begin, int64_t end, DType type, const char* way_out);

}  // namespace inkstone
