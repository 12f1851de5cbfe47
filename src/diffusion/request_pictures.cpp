#include "diffusion/request_pictures.h"

#include <algorithm>
#include <cmath>

namespace inkstone {
namespace {

struct NamedMode {
  ResizeMode mode;
  const char* name;
};
constexpr NamedMode kModes[] = {
    {ResizeMode::kStretch, "stretch"}, {ResizeMode::kCrop, "crop"}, {ResizeMode::kFill, "fill"}};

std::vector<uint8_t>& bytes_of(Image& image) { return image.rgb; }
std::vector<uint8_t>& bytes_of(Greys& greys) { return greys.values; }
const std::vector<uint8_t>& bytes_of(const Image& image) { return image.rgb; }
const std::vector<uint8_t>& bytes_of(const Greys& greys) { return greys.values; }

template <typename Pixels>
Pixels place(const Pixels& picture, size_t channels, const PictureSize& size, int left, int top) {
  Pixels result{static_cast<int>(size.width), static_cast<int>(size.height), {}};
  std::vector<uint8_t>& to = bytes_of(result);
  const std::vector<uint8_t>& from = bytes_of(picture);
  to.reserve(channels * static_cast<size_t>(size.width) * static_cast<size_t>(size.height));
  for (int y = 0; y < result.height; ++y) {
    const size_t row =
        static_cast<size_t>(std::clamp(y - top, 0, picture.height - 1)) * static_cast<size_t>(picture.width);
    for (int x = 0; x < result.width; ++x) {
      const size_t at = channels * (row + static_cast<size_t>(std::clamp(x - left, 0, picture.width - 1)));
      for (size_t c = 0; c < channels; ++c) to.push_back(from[at + c]);
    }
  }
  return result;
}

// Half of what is free, rounded down, as Python divides.
int half_of(int free) { return free >= 0 ? free / 2 : -((1 - free) / 2); }

// A side of the shape `wanted` to `other_wanted` beside `other`.
int side_of(int64_t wanted, int64_t other_wanted, int64_t other) {
  return static_cast<int>(std::max<int64_t>(1, wanted * other / other_wanted));
}

template <typename Pixels>
Pixels fit(const Pixels& picture, int width, int height, ResizeMode mode) {
  if (mode == ResizeMode::kStretch) return resize(picture, width, height);
  const bool wide = int64_t{picture.width} * height > int64_t{picture.height} * width;  // wider than the image
  if (mode == ResizeMode::kCrop) {
    const int to_width = wide ? side_of(width, height, picture.height) : picture.width;
    const int to_height = wide ? picture.height : side_of(height, width, picture.width);
    return resize(
        placed(picture, to_width, to_height, half_of(to_width - picture.width), half_of(to_height - picture.height)),
        width, height);
  }
  const int to_width = wide ? width : side_of(picture.width, picture.height, height);
  const int to_height = wide ? side_of(picture.height, picture.width, width) : height;
  return placed(resize(picture, to_width, to_height), width, height, half_of(width - to_width),
                half_of(height - to_height));
}

}  // namespace

std::vector<std::string> resize_modes() {
  std::vector<std::string> names;
  for (const NamedMode& mode : kModes) names.emplace_back(mode.name);
  return names;
}

std::string name_of(ResizeMode mode) { return std::ranges::find(kModes, mode, &NamedMode::mode)->name; }

std::optional<ResizeMode> find_resize_mode(std::string_view name) {
  for (const NamedMode& mode : kModes)
    if (name == mode.name) return mode.mode;
  return std::nullopt;
}

Image placed(const Image& picture, int width, int height, int left, int top) {
  return place(picture, 3, {width, height}, left, top);
}

Greys placed(const Greys& picture, int width, int height, int left, int top) {
  return place(picture, 1, {width, height}, left, top);
}

Image fitted(const Image& picture, int width, int height, ResizeMode mode) { return fit(picture, width, height, mode); }
Greys fitted(const Greys& picture, int width, int height, ResizeMode mode) { return fit(picture, width, height, mode); }

PictureSize size_for(const PictureSize& picture, std::optional<int> width, std::optional<int> height,
                     const SizeRules& rules) {
  const auto rounded = [&](double side) {
    const int64_t whole = static_cast<int64_t>(std::min(side, static_cast<double>(rules.max_side)));
    return std::max<int64_t>(whole / rules.multiple * rules.multiple, rules.multiple);
  };
  const double aspect = static_cast<double>(picture.width) / static_cast<double>(picture.height);
  if (width) return {*width, rounded(*width / aspect)};
  if (height) return {rounded(*height * aspect), *height};
  const double pixels = static_cast<double>(picture.width) * static_cast<double>(picture.height);
  double scale = std::min(1.0, std::sqrt(static_cast<double>(rules.max_pixels) / pixels));
  scale = std::min(scale, rules.max_side / static_cast<double>(std::max(picture.width, picture.height)));
  const PictureSize size{rounded(scale * static_cast<double>(picture.width)),
                         rounded(scale * static_cast<double>(picture.height))};
  return size;
}

}  // namespace inkstone
