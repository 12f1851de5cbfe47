// Which part of a picture is drawn anew, and how the rest comes through unchanged.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/given_file.h"
#include "base/image.h"
#include "base/picture.h"

namespace inkstone {

// What stands under the mask before the steps.
enum class MaskFill {
  kOriginal,  // the picture
  kFill,      // the colours around it, blurred
  kNoise,
  kZeros  // of the latent
};
std::vector<std::string> mask_fills();
std::string name_of(MaskFill fill);
std::optional<MaskFill> find_mask_fill(std::string_view name);

struct Sides {  // pixels that a picture grows by
  int left = 0, top = 0, right = 0, bottom = 0;
  bool any() const { return left > 0 || top > 0 || right > 0 || bottom > 0; }
  bool operator==(const Sides&) const = default;
};
// "left=128,top=64"; nothing where it is malformed, or a side is negative or over kMaxImageSide.
std::optional<Sides> parse_sides(std::string_view text);
std::string text_of(const Sides& sides);

struct Repaint {
  std::optional<GivenFile> mask;  // white, or where it has transparency the opaque part: drawn anew
  bool invert = false;
  // Of the edge, in pixels: the new image fades in over them, inside the mask.
  int blur = 4;
  MaskFill fill = MaskFill::kOriginal;
  // The mask's surroundings, with so many pixels around it, are drawn at the image's size and put back.
  bool only_masked = false;
  int padding = 32;
  Sides outpaint;  // the picture grows, and what is new is drawn
  // The finished image is the picture at its own size, with what was drawn put back.
  bool keep_size = false;

  bool any() const { return mask.has_value() || outpaint.any(); }
};

// What an image begins with, of its size in pixels.
// Of a picture that is kept at its own size.
inline constexpr int64_t kMaxKeptPixels = int64_t{1} << 24;

struct SourcePixels {
  Image image;
  // A byte a pixel, 1: drawn anew. Empty: all of them are.
  std::vector<uint8_t> repainted;
};

struct ResolvedRequest;
// Of a request with an image. Throws UsageError where the mask leaves nothing to draw, Error for a file that cannot be
// read.
SourcePixels source_pixels(const ResolvedRequest& request);
// The drawn image in its place in the picture: every pixel outside the mask is the picture's. Without a mask it is the
// image itself.
Image put_back(const ResolvedRequest& request, Image drawn);

}  // namespace inkstone
