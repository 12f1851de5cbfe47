#include "upscale/pixels.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "base/error.h"
#include "base/parallel.h"

namespace inkstone {
namespace {

constexpr int64_t kRowsAtATime = 16;

// The place of `i` in a mirror that stands on the last of `size` pixels.
int64_t mirrored(int64_t i, int64_t size) { return i < size ? i : std::max<int64_t>(0, 2 * (size - 1) - i); }

}  // namespace

Tensor unshuffled(const Image& image, int k) {
  const int64_t width = image.width, height = image.height;
  INKSTONE_CHECK(width > 0 && height > 0, "an image of ", width, "x", height);
  const int64_t wide = (width + k - 1) / k, high = (height + k - 1) / k;
  Tensor result({1, 3 * k * k, high, wide});
  const std::span<float> to = result.floats();
  parallel_for(high * k, kRowsAtATime, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* row = image.rgb.data() + mirrored(y, height) * width * 3;
      for (int64_t x = 0; x < wide * k; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          const int64_t channel = c * k * k + y % k * k + x % k;
          to[static_cast<size_t>((channel * high + y / k) * wide + x / k)] =
              static_cast<float>(row[mirrored(x, width) * 3 + c]) / 255;
        }
    }
  });
  return result;
}

Image image_of(const Tensor& pixels, int width, int height, const std::string& source) {
  const int64_t wide = pixels.dim(3), area = pixels.dim(2) * wide;
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3)};
  const std::span<const float> from = pixels.floats();
  std::atomic<bool> finite = true;
  parallel_for(height, kRowsAtATime, [&](int64_t begin, int64_t end) {
    for (int64_t y = begin; y < end; ++y)
      for (int64_t x = 0; x < width; ++x)
        for (int64_t c = 0; c < 3; ++c) {
          const float value = from[static_cast<size_t>(c * area + y * wide + x)];
          if (!std::isfinite(value)) finite = false;
          image.rgb[static_cast<size_t>((y * width + x) * 3 + c)] =
              static_cast<uint8_t>(std::nearbyint(std::clamp(value, 0.0f, 1.0f) * 255));
        }
  });
  if (!finite)
    throw Error(source + ": the upscaler gives NaN or infinity: its weights are broken", INKSTONE_HERE,
                Error::Kind::kNotFinite);
  return image;
}

}  // namespace inkstone
