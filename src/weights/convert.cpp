#include "weights/convert.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/parallel.h"

namespace inkstone {
namespace {

constexpr int64_t kConvertGrain = int64_t{1} << 16;  // elements for one thread at least

void check_f16_range(const WeightView& view, std::span<const float> values, int64_t first, const char* way_out) {
  const auto large =
      std::ranges::find_if(values, [](float v) { return std::isfinite(v) && std::fabs(v) > kLargestF16; });
  INKSTONE_CHECK(large == values.end(), "the weight ", view.name, " has ", *large, " at element ",
                 first + (large - values.begin()), " of ", to_string(view.shape),
                 ", more than fp16 holds (65504): ", way_out);
}

}  // namespace

std::vector<std::byte> converted(const WeightView& view, int64_t begin, int64_t end, DType type, const char* way_out) {
  const size_t size = size_of(view.type), elements = static_cast<size_t>(end - begin);
  const auto from = view.bytes.subspan(static_cast<size_t>(begin) * size, elements * size);
  if (view.type == type) return {from.begin(), from.end()};
  std::vector<std::byte> result(elements * size_of(type));
  std::vector<float> floats(type == DType::kF32 ? 0 : elements);
  auto* to = type == DType::kF32 ? reinterpret_cast<float*>(result.data()) : floats.data();
  parallel_for(end - begin, kConvertGrain, [&](int64_t first, int64_t last) {
    to_float(view.type, from.data() + static_cast<size_t>(first) * size, to + first, static_cast<size_t>(last - first));
  });
  if (type == DType::kF32) return result;
  if (type == DType::kF16) check_f16_range(view, floats, begin, way_out);
  auto* halves = reinterpret_cast<uint16_t*>(result.data());
  parallel_for(end - begin, kConvertGrain, [&](int64_t first, int64_t last) {
    std::transform(floats.begin() + first, floats.begin() + last, halves + first,
                   type == DType::kF16 ? to_f16 : to_bf16);
  });
  return result;
}

}  // namespace inkstone
