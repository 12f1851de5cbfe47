#include "diffusion/repaint.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "diffusion/resolved_request.h"

namespace inkstone {
namespace {

struct NamedFill {
  MaskFill fill;
  const char* name;
};
constexpr NamedFill kFills[] = {{MaskFill::kOriginal, "original"},
                                {MaskFill::kFill, "fill"},
                                {MaskFill::kNoise, "noise"},
                                {MaskFill::kZeros, "zeros"}};

struct NamedSide {
  const char* name;
  int Sides::*member;
};
constexpr NamedSide kSides[] = {
    {"left", &Sides::left}, {"top", &Sides::top}, {"right", &Sides::right}, {"bottom", &Sides::bottom}};

constexpr uint8_t kWhite = 128;  // and brighter: drawn anew

size_t place_of(const auto& map, int x, int y) {
  return static_cast<size_t>(y) * static_cast<size_t>(map.width) + static_cast<size_t>(x);
}

struct Box {  // pixels [left, right) x [top, bottom)
  int left = 0, top = 0, right = 0, bottom = 0;
  int width() const { return right - left; }
  int height() const { return bottom - top; }
};

// A picture at its own size, grown where it is outpainted, and its mask.
struct Canvas {
  Image picture;
  Greys mask;
};

Greys read_mask(const Repaint& repaint, int width, int height) {
  const Picture file = read_picture(repaint.mask->bytes, repaint.mask->source);
  Greys mask = luma(file.image);
  for (size_t i = 0; i < file.alpha.size(); ++i) mask.values[i] = file.alpha[i] > kWhite ? 255 : 0;
  if (mask.width != width || mask.height != height) mask = resize(mask, width, height);
  if (repaint.invert)
    for (uint8_t& value : mask.values) value = static_cast<uint8_t>(255 - value);
  return mask;
}

// The picture on a larger canvas, whose free part goes on with the picture's border; the mask has that part, and a strip of
// the picture over which the two fade into one another.
Canvas grown(const Canvas& from, const Sides& sides, int strip) {
  const int width = from.picture.width + sides.left + sides.right,
            height = from.picture.height + sides.top + sides.bottom;
  Canvas to{placed(from.picture, width, height, sides.left, sides.top), {width, height, {}}};
  const Box kept{sides.left > 0 ? sides.left + strip : 0, sides.top > 0 ? sides.top + strip : 0,
                 sides.right > 0 ? width - sides.right - strip : width,
                 sides.bottom > 0 ? height - sides.bottom - strip : height};
  to.mask.values.reserve(static_cast<size_t>(width) * static_cast<size_t>(height));
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const bool inside = x >= kept.left && x < kept.right && y >= kept.top && y < kept.bottom;
      to.mask.values.push_back(inside ? from.mask.values[place_of(from.mask, x - sides.left, y - sides.top)] : 255);
    }
  return to;
}

Canvas canvas_of(const ResolvedRequest& request) {
  const Repaint& repaint = request.repaint;
  Canvas canvas{flatten(read_picture(request.image->bytes, request.image->source)), {}};
  const int width = canvas.picture.width, height = canvas.picture.height;
  if (repaint.mask)
    canvas.mask = read_mask(repaint, width, height);
  else
    canvas.mask = {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height))};
  const Sides& more = repaint.outpaint;
  const int64_t pixels = (int64_t{width} + more.left + more.right) * (int64_t{height} + more.top + more.bottom);
  INKSTONE_CHECK_USAGE(pixels <= PictureLimits{}.max_pixels, request.image->source, ": outpainted it has ", pixels,
                       " pixels; at most ", PictureLimits{}.max_pixels);
  if (more.any()) canvas = grown(canvas, more, 2 * repaint.blur);
  INKSTONE_CHECK_USAGE(std::ranges::any_of(canvas.mask.values, [](uint8_t value) { return value >= kWhite; }),
                       repaint.mask->source, ": the mask leaves nothing to draw anew: none of it is white",
                       repaint.invert ? " after mask_invert" : "");
  return canvas;
}

Box around(const Greys& mask, int padding) {
  Box box{mask.width, mask.height, 0, 0};
  for (int y = 0; y < mask.height; ++y)
    for (int x = 0; x < mask.width; ++x) {
      if (mask.values[place_of(mask, x, y)] < kWhite) continue;
      box = {std::min(box.left, x), std::min(box.top, y), std::max(box.right, x + 1), std::max(box.bottom, y + 1)};
    }
  return {std::max(box.left - padding, 0), std::max(box.top - padding, 0), std::min(box.right + padding, mask.width),
          std::min(box.bottom + padding, mask.height)};
}

// [begin, end) becomes `length` long, as far as `most` allows, by half on both sides.
void widen(int& begin, int& end, double length, int most) {
  const int more = static_cast<int>(length - (end - begin));
  begin -= more / 2;
  end += more - more / 2;
  if (end > most) begin -= end - most, end = most;
  if (begin < 0) end -= begin, begin = 0;
  end = std::min(end, most);
}

// The part of the picture that is drawn: of the shape of the image, where the picture has room for it, or all of it.
Box box_of(const Canvas& canvas, const ResolvedRequest& request) {
  if (!request.repaint.only_masked) return {0, 0, canvas.picture.width, canvas.picture.height};
  Box box = around(canvas.mask, request.repaint.padding);
  const double shape = static_cast<double>(request.width) / request.height;
  if (static_cast<double>(box.width()) / box.height() > shape)
    widen(box.top, box.bottom, box.width() / shape, canvas.picture.height);
  else
    widen(box.left, box.right, box.height() * shape, canvas.picture.width);
  return box;
}

Image cut(const Image& from, const Box& box) { return placed(from, box.width(), box.height(), -box.left, -box.top); }
Greys cut(const Greys& from, const Box& box) { return placed(from, box.width(), box.height(), -box.left, -box.top); }

// What the image is drawn over, at its size.
Canvas at_size(const ResolvedRequest& request, const Canvas& canvas) {
  const int width = request.width, height = request.height;
  if (!request.repaint.keep_size)
    return {fitted(canvas.picture, width, height, request.resize_mode),
            fitted(canvas.mask, width, height, request.resize_mode)};
  const Box box = box_of(canvas, request);
  return {resize(cut(canvas.picture, box), width, height), resize(cut(canvas.mask, box), width, height)};
}

std::vector<float> gauss(int sigma) {
  const int reach = static_cast<int>(2.5 * sigma + 0.5);
  std::vector<float> kernel;
  double sum = 0;
  for (int i = -reach; i <= reach; ++i) sum += std::exp(-0.5 * i * i / (sigma * sigma));
  for (int i = -reach; i <= reach; ++i)
    kernel.push_back(static_cast<float>(std::exp(-0.5 * i * i / (sigma * sigma)) / sum));
  return kernel;
}

// Along one axis of a map; what is beyond its border counts as the border.
std::vector<float> blurred(const std::vector<float>& map, int width, int height, const std::vector<float>& kernel,
                           bool down) {
  std::vector<float> to;
  to.reserve(map.size());
  const int reach = static_cast<int>(kernel.size()) / 2;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      float sum = 0;
      for (int i = -reach; i <= reach; ++i) {
        const int at_x = down ? x : std::clamp(x + i, 0, width - 1), at_y = down ? std::clamp(y + i, 0, height - 1) : y;
        sum += kernel[static_cast<size_t>(i + reach)] *
               map[static_cast<size_t>(at_y) * static_cast<size_t>(width) + static_cast<size_t>(at_x)];
      }
      to.push_back(sum);
    }
  return to;
}

// How much of the new image each pixel has: none outside the mask, and inside it more with the distance from the edge.
std::vector<float> shares(const Greys& mask, int blur) {
  std::vector<float> inside;
  inside.reserve(mask.values.size());
  for (const uint8_t value : mask.values) inside.push_back(value >= kWhite ? 1.0f : 0.0f);
  if (blur == 0) return inside;
  const std::vector<float> kernel = gauss(blur);
  const std::vector<float> across = blurred(inside, mask.width, mask.height, kernel, false);
  std::vector<float> soft = blurred(across, mask.width, mask.height, kernel, true);
  for (size_t i = 0; i < soft.size(); ++i) soft[i] = inside[i] > 0 ? std::clamp(2 * soft[i] - 1, 0.0f, 1.0f) : 0.0f;
  return soft;
}

// Puts the image, drawn for a box of the picture, into the picture.
void mix(Image& picture, const Image& drawn, const Greys& mask, int blur, const Box& box) {
  const Box white = around(mask, 3 * blur + 1);  // no share anywhere else, and none depends on what is beyond
  const Greys part = cut(mask, white);
  const std::vector<float> share = shares(part, blur);
  for (int y = std::max(white.top, box.top); y < std::min(white.bottom, box.bottom); ++y)
    for (int x = std::max(white.left, box.left); x < std::min(white.right, box.right); ++x) {
      const float of_drawn = share[place_of(part, x - white.left, y - white.top)];
      const size_t from = place_of(drawn, x - box.left, y - box.top), to = place_of(picture, x, y);
      for (size_t c = 0; c < 3; ++c) {
        const float old = picture.rgb[3 * to + c], now = drawn.rgb[3 * from + c];
        picture.rgb[3 * to + c] = static_cast<uint8_t>(std::nearbyint(old + of_drawn * (now - old)));
      }
    }
}

// The colours around the mask run into it: those of coarser pictures without the masked pixels, from the coarsest on, where
// the finer ones have nothing. Each is half as large.
void fill_masked(Image& image, const std::vector<uint8_t>& repainted) {
  struct Layer {
    int width, height;
    std::vector<float> colour, weight;  // 3 and 1 a pixel; the colours are times their weight
  };
  std::vector<Layer> layers(1, {image.width, image.height, {}, {}});
  for (size_t i = 0; i < repainted.size(); ++i) {
    const float weight = repainted[i] ? 0.0f : 1.0f;
    layers[0].weight.push_back(weight);
    for (size_t c = 0; c < 3; ++c) layers[0].colour.push_back(weight * image.rgb[3 * i + c]);
  }
  while (layers.back().width > 1 || layers.back().height > 1) {
    const Layer& fine = layers.back();
    Layer coarse{(fine.width + 1) / 2, (fine.height + 1) / 2, {}, {}};
    const size_t pixels = static_cast<size_t>(coarse.width) * static_cast<size_t>(coarse.height);
    coarse.colour.resize(3 * pixels);
    coarse.weight.resize(pixels);
    for (int y = 0; y < fine.height; ++y)
      for (int x = 0; x < fine.width; ++x) {
        const size_t from = place_of(fine, x, y), to = place_of(coarse, x / 2, y / 2);
        coarse.weight[to] += fine.weight[from] / 4;
        for (size_t c = 0; c < 3; ++c) coarse.colour[3 * to + c] += fine.colour[3 * from + c] / 4;
      }
    layers.push_back(std::move(coarse));
  }
  for (size_t level = layers.size() - 1; level-- > 0;) {
    const Layer& coarse = layers[level + 1];
    Layer& fine = layers[level];
    for (int y = 0; y < fine.height; ++y)
      for (int x = 0; x < fine.width; ++x) {
        const size_t to = place_of(fine, x, y), from = place_of(coarse, x / 2, y / 2);
        const float missing = 1 - fine.weight[to], there = coarse.weight[from];
        if (missing <= 0 || there <= 0) continue;
        for (size_t c = 0; c < 3; ++c) fine.colour[3 * to + c] += missing * coarse.colour[3 * from + c] / there;
        fine.weight[to] = 1;
      }
  }
  for (size_t i = 0; i < repainted.size(); ++i)
    for (size_t c = 0; c < 3 && repainted[i] && layers[0].weight[i] > 0; ++c)
      image.rgb[3 * i + c] =
          static_cast<uint8_t>(std::clamp(std::nearbyint(layers[0].colour[3 * i + c]), 0.0f, 255.0f));
}

}  // namespace

std::vector<std::string> mask_fills() {
  std::vector<std::string> names;
  for (const NamedFill& fill : kFills) names.emplace_back(fill.name);
  return names;
}

std::string name_of(MaskFill fill) { return std::ranges::find(kFills, fill, &NamedFill::fill)->name; }

std::optional<MaskFill> find_mask_fill(std::string_view name) {
  for (const NamedFill& fill : kFills)
    if (name == fill.name) return fill.fill;
  return std::nullopt;
}

std::optional<Sides> parse_sides(std::string_view text) {
  Sides sides;
  for (bool more = true; more;) {
    const size_t comma = text.find(','), equals = text.find('=');
    if (equals >= std::min(comma, text.size())) return std::nullopt;
    const std::string_view name = text.substr(0, equals), number = text.substr(equals + 1, comma - equals - 1);
    const auto* side =
        std::ranges::find_if(kSides, [&, &name = name](const NamedSide& one) { return name == one.name; });
    if (side == std::end(kSides)) return std::nullopt;
    int& value = sides.*(side->member);
    const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (fault != std::errc() || end != number.data() + number.size() || value < 0 || value > kMaxImageSide)
      return std::nullopt;
    more = comma != text.npos;
    if (more) text.remove_prefix(comma + 1);
  }
  return sides;
}

std::string text_of(const Sides& sides) {
  std::string text;
  for (const NamedSide& side : kSides)
    if (sides.*side.member > 0)
      text += (text.empty() ? "" : ",") + std::string(side.name) + "=" + std::to_string(sides.*side.member);
  return text;
}

SourcePixels source_pixels(const ResolvedRequest& request) {
  if (!request.repaint.any())
    return {fitted(flatten(read_picture(request.image->bytes, request.image->source)), request.width, request.height,
                   request.resize_mode),
            {}};
  Canvas canvas = at_size(request, canvas_of(request));
  SourcePixels pixels{std::move(canvas.picture), {}};
  for (const uint8_t value : canvas.mask.values) pixels.repainted.push_back(value >= kWhite ? 1 : 0);
  if (request.repaint.fill == MaskFill::kFill) fill_masked(pixels.image, pixels.repainted);
  return pixels;
}

Image put_back(const ResolvedRequest& request, Image drawn) {
  if (!request.image || !request.repaint.any()) return drawn;
  Canvas canvas = canvas_of(request);
  if (!request.repaint.keep_size) {
    canvas = at_size(request, canvas);
    mix(canvas.picture, drawn, canvas.mask, request.repaint.blur, {0, 0, drawn.width, drawn.height});
    return std::move(canvas.picture);
  }
  const Box box = box_of(canvas, request);
  if (drawn.width != box.width() || drawn.height != box.height()) drawn = resize(drawn, box.width(), box.height());
  mix(canvas.picture, drawn, canvas.mask, request.repaint.blur, box);
  return std::move(canvas.picture);
}

}  // namespace inkstone
