// Checks that stored floating-point values are finite, and converts them to fp32, at about the
// speed of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/dtype.h"

namespace inkstone {

// The first element that is NaN or infinite. `bytes` may be unaligned; type is F32, F16 or BF16.
std::optional<int64_t> first_not_finite(DType type, std::span<const std::byte> bytes);

// Every value must be finite.
void finite_to_float(DType type, std::span<const std::byte> bytes, std::span<float> floats);

}  // namespace inkstone
