#include "weights/finite.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>

#include "base/parallel.h"

namespace inkstone {
namespace {

constexpr int64_t kGrain = int64_t{1} << 16;  // elements for one thread at least
constexpr int64_t kBlock = 4096;              // elements between looks

template <typename Bits>
Bits load(const std::byte* data, int64_t index) {
  Bits bits;
  std::memcpy(&bits, data + index * static_cast<int64_t>(sizeof(Bits)), sizeof bits);
  return bits;
}

// A value is NaN or infinite when all bits of its exponent are set.
template <typename Bits, Bits kExponent>
int64_t first_bad(const std::byte* data, int64_t begin, int64_t end) {
  for (int64_t block = begin; block < end; block += kBlock) {
    const int64_t stop = std::min(end, block + kBlock);
    Bits bad = 0;
    for (int64_t i = block; i < stop; ++i) bad |= static_cast<Bits>((load<Bits>(data, i) & kExponent) == kExponent);
    if (!bad) continue;
    for (int64_t i = block; i < stop; ++i)
      if ((load<Bits>(data, i) & kExponent) == kExponent) return i;
  }
  return std::numeric_limits<int64_t>::max();
}

int64_t first_bad(DType type, const std::byte* data, int64_t begin, int64_t end) {
  switch (type) {
    case DType::kF32: return first_bad<uint32_t, 0x7f800000>(data, begin, end);
    case DType::kF16: return first_bad<uint16_t, 0x7c00>(data, begin, end);
    case DType::kBF16: return first_bad<uint16_t, 0x7f80>(data, begin, end);
    case DType::kI32: break;
  }
  return std::numeric_limits<int64_t>::max();
}

// Without branches or subnormal arithmetic. The exponent's bias is changed from 15 to 127. A
// subnormal has exponent 0 but means 1; it is computed as (2^-14 + value) - 2^-14, which is exact.
inline float finite_f16(uint16_t half) {
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13;
  const float small = std::bit_cast<float>(magnitude + (113u << 23)) - std::bit_cast<float>(113u << 23);
  const uint32_t is_small = 0u - static_cast<uint32_t>(magnitude < (1u << 23));
  const uint32_t bits = (std::bit_cast<uint32_t>(small) & is_small) | ((magnitude + (112u << 23)) & ~is_small);
  return std::bit_cast<float>(bits | static_cast<uint32_t>(half & 0x8000) << 16);
}

}  // namespace

std::optional<int64_t> first_not_finite(DType type, std::span<const std::byte> bytes) {
  const auto count = static_cast<int64_t>(bytes.size() / size_of(type));
  std::atomic<int64_t> first = std::numeric_limits<int64_t>::max();
  parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
    const int64_t here = first_bad(type, bytes.data(), begin, end);
    for (int64_t had = first; here < had && !first.compare_exchange_weak(had, here);) {
    }
  });
  if (first == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return first.load();
}

void finite_to_float(DType type, std::span<const std::byte> bytes, std::span<float> floats) {
  parallel_for(static_cast<int64_t>(floats.size()), kGrain, [&](int64_t begin, int64_t end) {
    const std::byte* from = bytes.data();
    float* to = floats.data();
    switch (type) {
      case DType::kF16:
        for (int64_t i = begin; i < end; ++i) to[i] = finite_f16(load<uint16_t>(from, i));
        return;
      case DType::kBF16:
        for (int64_t i = begin; i < end; ++i) to[i] = from_bf16(load<uint16_t>(from, i));
        return;
      case DType::kF32:
      case DType::kI32: to_float(type, from + 4 * begin, to + begin, static_cast<size_t>(end - begin)); return;
    }
  });
}

}  // namespace inkstone
