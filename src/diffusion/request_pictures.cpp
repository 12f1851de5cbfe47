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

// Places `picture` with its corner at (left, top) of an image of that size. What is left free repeats the picture's
// nearest pixel; what lies outside is cut off.
Image placed(const Image& picture, int width, int height, int left, int top) {
  Image image{width, height, {}};
  image.rgb.reserve(3 * static_cast<size_t>(width) * static_cast<size_t>(height));
  for (int y = 0; y < height; ++y) {
    const auto row =
        static_cast<size_t>(std::clamp(y - top, 0, picture.height - 1)) * static_cast<size_t>(picture.width);
    for (int x = 0; x < width; ++x) {
      const size_t at = 3 * (row + static_cast<size_t>(std::clamp(x - left, 0, picture.width - 1)));
      image.rgb.insert(image.rgb.end(), picture.rgb.begin() + static_cast<ptrdiff_t>(at),
                       picture.rgb.begin() + static_cast<ptrdiff_t>(at + 3));
    }
  }
  return image;
}

// Half of what is free, rounded down, as Python divides.
int half_of(int free) { return free >= 0 ? free / 2 : -((1 - free) / 2); }

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

Image fitted(const Image& picture, int width, int height, ResizeMode mode) {
  if (mode == ResizeMode::kStretch) return resize(picture, width, height);
  const int64_t across = int64_t{picture.width} * height, down = int64_t{picture.height} * width;
  const bool wide = across > down;  // the picture is the wider one
  const bool whole_width = wide == (mode == ResizeMode::kFill);
  const int to_width = whole_width ? width : static_cast<int>(std::max<int64_t>(1, across / picture.height));
  const int to_height = whole_width ? static_cast<int>(std::max<int64_t>(1, down / picture.width)) : height;
  return placed(resize(picture, to_width, to_height), width, height, half_of(width - to_width),
                half_of(height - to_height));
}

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
