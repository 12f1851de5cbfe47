// One instruction set's transform of the input of a Winograd convolution. x is normalised or
// doubled once for each pixel of a row of tiles, into six lines of fp32. The row of tiles below
// reuses two of them.
#include "backend/cpu/kernels/winograd.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

INKSTONE_INLINE Vec silu(Vec x) { return x * inverse(1.0f + exp_of(-x)); }

// x * factor + offset for kDepth channels of one image; channels beyond the last one stay 0.
struct Norm {
  alignas(64) float factor[kDepth] = {}, offset[kDepth] = {};

  Norm(const ConvolutionShape& shape, const ProductData& data, int64_t image, int64_t channel) {
    const int64_t width = shape.in / shape.groups;
    for (int64_t i = 0; i < smaller_of(kDepth, shape.in - channel); ++i) {
      const int64_t c = channel + i;
      const float* stats = data.stats + (image * shape.groups + c / width) * 2;
      factor[i] = stats[1] * data.scale[c];
      offset[i] = ((data.addend ? data.addend[image * shape.in + c] : 0.0f) - stats[0]) * factor[i] + data.shift[c];
    }
  }
};

// Converts one pixel's channels to kDepth floats, in whole vectors.
template <typename T, typename F>
INKSTONE_INLINE void fill_pixel(const T* x, int64_t channels, float* to, const F& f) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) store(to + c, f(load(x + c), c));
  if (c < channels) store(to + c, f(load_some(x + c, channels - c), c));
}

// Some pixels of a row of an image, some channels of each.
struct Line {
  // Its beginning. `first` counts the pixels of x, from the first image on.
  int64_t image, first, channel;
  int64_t pixels, channels;
  // elements of x from one pixel to the next
  int64_t stride;
  bool each_twice;  // each pixel of x gives two
  // The first pixel of x gives only the second of its two.
  bool from_second;
};

template <typename T, typename F>
INKSTONE_INLINE void fill_line(const Line& line, const T* x, float* to, const F& f) {
  int64_t twin = line.from_second;
  for (int64_t i = 0; i < line.pixels; ++i, to += kDepth) {
    fill_pixel(x, line.channels, to, f);
    if (!line.each_twice || ++twin == 2) {
      x += line.stride;
      twin = 0;
    }
  }
}

template <typename T>
void fill_plain(const Line& line, const T* x, float* to) {
  fill_line(line, x, to, [](Vec v, int64_t) INKSTONE_INLINE_LAMBDA { return v; });
}
template <typename T>
void fill_norm(const Line& line, const T* x, float* to, const Norm& norm) {
  fill_line(line, x, to,
            [&](Vec v, int64_t c) INKSTONE_INLINE_LAMBDA { return v * load(norm.factor + c) + load(norm.offset + c); });
}
template <typename T>
void fill_silu(const Line& line, const T* x, float* to, const Norm& norm) {
  fill_line(line, x, to, [&](Vec v, int64_t c) INKSTONE_INLINE_LAMBDA {
    return silu(v * load(norm.factor + c) + load(norm.offset + c));
  });
}

template <typename T>
void fill_pixels(const ConvolutionShape& shape, const ProductData& data, const Line& line, float* to) {
  const T* x = static_cast<const T*>(data.x) + line.first * shape.in + line.channel;
  if (shape.groups == 0) return fill_plain(line, x, to);
  const Norm norm(shape, data, line.image, line.channel);
  shape.silu ? fill_silu(line, x, to, norm) : fill_norm(line, x, to, norm);
}

// One tile, one vector of channels.
void transform_patch(const float* const (&lines)[kPatchSide], int64_t from, float* to, int64_t stride) {
  Vec columns[kPatchSide][kPatchSide];
  INKSTONE_UNROLL
  for (int j = 0; j < kPatchSide; ++j) {
    Vec d[kPatchSide];
    INKSTONE_UNROLL
    for (int i = 0; i < kPatchSide; ++i) d[i] = load(lines[i] + from + j * kDepth);
    transform_input(d, columns[j]);
  }
  INKSTONE_UNROLL
  for (int i = 0; i < kPatchSide; ++i) {
    Vec d[kPatchSide], r[kPatchSide];
    INKSTONE_UNROLL
    for (int j = 0; j < kPatchSide; ++j) d[j] = columns[j][i];
    transform_input(d, r);
    INKSTONE_UNROLL
    for (int j = 0; j < kPatchSide; ++j) store(to + (i * kPatchSide + j) * stride, r[j]);
  }
}

}  // namespace

void InputRows::fill(int64_t image, int64_t y, int64_t channel, float* line) {
  const int64_t count = block_.columns * kTileSide + 2, begin = block_.column * kTileSide - shape_.pad_left;
  const int64_t first = smaller_of(larger_of(begin, 0), begin + count);
  const int64_t last = larger_of(smaller_of(begin + count, shape_.width), first);
  const bool inside = y >= 0 && y < shape_.height;
  const int64_t before = inside ? first - begin : count;
  std::memset(line, 0, static_cast<size_t>(before * kDepth) * sizeof(float));
  if (!inside) return;
  std::memset(line + (last - begin) * kDepth, 0, static_cast<size_t>((begin + count - last) * kDepth) * sizeof(float));
  const int halved = shape_.doubled ? 1 : 0;
  const int64_t pixel = (image * shape_.x_height() + (y >> halved)) * shape_.x_width() + (first >> halved);
  const Line pixels = {.image = image,
                       .first = pixel,
                       .channel = channel,
                       .pixels = last - first,
                       .channels = smaller_of(kDepth, shape_.in - channel),
                       .stride = shape_.in,
                       .each_twice = shape_.doubled,
                       .from_second = shape_.doubled && first % 2 == 1};
  float* to = line + before * kDepth;
  if (shape_.x_type == DType::kF32) {
    fill_pixels<float>(shape_, data_, pixels, to);
  } else {
    fill_pixels<Bf16>(shape_, data_, pixels, to);
  }
}

void InputRows::transform(int64_t row, int64_t channel, float* to) {
  const int64_t image = block_.image + row / block_.rows, tile_row = block_.row + row % block_.rows;
  const int64_t line_floats = (block_.columns * kTileSide + 2) * kDepth, top = tile_row * kTileSide;
  const bool goes_on = channel == last_channel_ && row == last_row_ + 1 && row % block_.rows != 0;
  float* lines[kPatchSide];
  for (int64_t i = 0; i < kPatchSide; ++i) {
    lines[i] = lines_ + (top + i) % kPatchSide * line_floats;
    if (!goes_on || i >= 2) fill(image, top + i - shape_.pad_top, channel, lines[i]);
  }
  last_row_ = row;
  last_channel_ = channel;
  const int64_t channels = smaller_of(kDepth, shape_.in - channel), stride = block_.count() * kDepth + kPad;
  const float* const from[kPatchSide] = {lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]};
  for (int64_t column = 0; column < block_.columns; ++column) {
    float* tile = to + (row * block_.columns + column) * kDepth;
    for (int64_t c = 0; c < channels; c += kLanes) {
      transform_patch(from, column * kTileSide * kDepth + c, tile + c, stride);
    }
  }
}

}  // namespace inkstone::kernels::INKSTONE_ISA
