// What the pictures of a request become before a model sees them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/image.h"
#include "base/picture.h"

namespace inkstone {

// How a picture of another shape gets an image's size, by Lanczos.
enum class ResizeMode {
  kStretch,
  kCrop,  // covers the image; what sticks out on both sides is cut off
  kFill   // lies in the image whole; its border rows or columns go on to the image's border
};
std::vector<std::string> resize_modes();
std::string name_of(ResizeMode mode);
std::optional<ResizeMode> find_resize_mode(std::string_view name);

Image fitted(const Image& picture, int width, int height, ResizeMode mode);
Greys fitted(const Greys& picture, int width, int height, ResizeMode mode);

// `picture` with its corner at (left, top) of an image of that size. What is left free repeats the picture's nearest pixel;
// what lies outside is cut off.
Image placed(const Image& picture, int width, int height, int left, int top);
Greys placed(const Greys& picture, int width, int height, int left, int top);

// The size of an image that begins with a picture, where not both sides are said: the picture's, each side a multiple of
// `multiple`, with at most `max_pixels` and `max_side`. One side that is said gives the other.
struct SizeRules {
  int multiple = 8, max_side = 0;
  int64_t max_pixels = 0;
};
PictureSize size_for(const PictureSize& picture, std::optional<int> width, std::optional<int> height,
                     const SizeRules& rules);

}  // namespace inkstone
