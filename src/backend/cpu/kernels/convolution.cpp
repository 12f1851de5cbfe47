// One instruction set's convolutions: for a block of output pixels, the input that each of them
// needs is copied into a row, and the rows are multiplied by the weight as in a linear. A 1x1
// convolution's pixels already are such rows.
#include "backend/cpu/kernels/product.h"
#include "backend/cpu/kernels/variant.h"
#include "backend/cpu/kernels/whole_numbers.h"
#include "base/parallel.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

// Rows are made for so many bytes at a time, but for at least kBlockTiles tiles, so that
// rearranging the weight pays off.
constexpr int64_t kBlockBytes = 4 << 20;
constexpr int64_t kBlockTiles = 32;
// bytes copied; less is not worth another thread
constexpr int64_t kGrain = 32 << 10;

struct Range {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};

class Convolution {
 public:
  explicit Convolution(const ConvolutionShape& shape)
      : s_(shape),
        taps_(shape.kernel * shape.kernel),
        layout_(row_layout(shape.in, taps_, shape.x_type)),
        source_height_(shape.x_height()),
        source_width_(shape.x_width()),
        out_width_(shape.out_width()),
        pixels_(shape.images * shape.out_height() * out_width_),
        size_(static_cast<int64_t>(size_of(shape.x_type))) {
    contiguous_ = layout_.chunk >= shape.in && layout_.channels == shape.in && !shape.doubled;
    pointwise_ = shape.kernel == 1 && shape.stride == 1 && !shape.doubled && pixels_ == shape.images * image_pixels();
    const int64_t tiles = divide_up(kBlockBytes / (row() * size_), kTileRows);
    block_ = pointwise_ && shape.groups == 0 ? pixels_ : smaller_of(pixels_, larger_of(kBlockTiles, tiles) * kTileRows);
  }

  size_t scratch() const {
    return static_cast<size_t>(rows_bytes() + band_bytes()) + product_scratch(s_.in, taps_, s_.x_type);
  }

  void run(const ProductData& data) const {
    std::byte *const rows = data.scratch, *const band = rows + rows_bytes();
    for (Range block = {0, block_}; block.begin < pixels_; block = {block.end, block.end + block_}) {
      block.end = smaller_of(block.end, pixels_);
      const auto* x = static_cast<const std::byte*>(data.x);  // where source row `first` lies
      int64_t first = 0;
      if (s_.groups > 0) {
        const Range seen = source_rows(block);
        normalise(data, seen, band);
        x = band;
        first = seen.begin;
      }
      if (!pointwise_) {
        parallel_for(block.count(), kGrain / (row() * size_) + 1, [&](int64_t begin, int64_t end) {
          for (; begin < end; ++begin) lay_out(x, first, block.begin + begin, rows + begin * row() * size_);
        });
        x = rows;
      } else if (s_.groups > 0) {
        x += (block.begin - first * source_width_) * s_.in * size_;
      }
      product(data, block, x, band + band_bytes());
    }
  }

 private:
  int64_t row() const { return taps_ * layout_.channels; }
  int64_t image_pixels() const { return source_height_ * source_width_; }
  int64_t rows_bytes() const { return pointwise_ ? 0 : divide_up(block_ * row() * size_, 64) * 64; }
  int64_t band_bytes() const {
    if (s_.groups == 0) return 0;
    int64_t rows = 0;
    for (int64_t begin = 0; begin < pixels_; begin += block_) {
      rows = larger_of(rows, source_rows({begin, smaller_of(begin + block_, pixels_)}).count());
    }
    return divide_up(rows * source_width_ * s_.in * size_, 64) * 64;
  }

  // The rows of x, counted over all images, that some output pixels need.
  Range source_rows(Range pixels) const {
    const int64_t height = s_.out_height(), halved = s_.doubled ? 2 : 1;
    const int64_t first = pixels.begin / out_width_, last = (pixels.end - 1) / out_width_;
    const int64_t top = first % height * s_.stride - s_.pad_top;
    const int64_t bottom = last % height * s_.stride - s_.pad_top + s_.kernel;
    const auto clamped = [&](int64_t y) { return smaller_of(larger_of(y, 0), s_.height); };
    return {first / height * source_height_ + clamped(top) / halved,
            last / height * source_height_ + divide_up(clamped(bottom), halved)};
  }

  void normalise(const ProductData& data, Range rows, std::byte* to) const {
    while (rows.begin < rows.end) {
      const int64_t image = rows.begin / source_height_;
      const int64_t count = smaller_of(rows.end, (image + 1) * source_height_) - rows.begin;
      group_apply({1, count * source_width_, s_.in, s_.groups, 0, s_.silu}, s_.x_type,
                  {.x = static_cast<const std::byte*>(data.x) + rows.begin * source_width_ * s_.in * size_,
                   .addend = data.addend ? data.addend + image * s_.in : nullptr,
                   .scale = data.scale,
                   .shift = data.shift,
                   .stats = const_cast<float*>(data.stats) + image * s_.groups * 2,
                   .out = to,
                   .scratch = nullptr});
      rows.begin += count;
      to += count * source_width_ * s_.in * size_;
    }
  }

  // Copies the input of one output pixel into a row of a product.
  void lay_out(const std::byte* x, int64_t first_row, int64_t pixel, std::byte* to) const {
    const int64_t height = s_.out_height(), image = pixel / (height * out_width_);
    const int64_t top = pixel / out_width_ % height * s_.stride - s_.pad_top;
    const int64_t left = pixel % out_width_ * s_.stride - s_.pad_left;
    x += (image * source_height_ - first_row) * source_width_ * s_.in * size_;
    if (contiguous_) return copy_window(x, top, left, to);
    for (int64_t tap = 0; tap < taps_; ++tap) {
      const int64_t iy = top + tap / s_.kernel, ix = left + tap % s_.kernel;
      const bool inside = iy >= 0 && iy < s_.height && ix >= 0 && ix < s_.width;
      const int64_t at = s_.doubled ? iy / 2 * source_width_ + ix / 2 : iy * source_width_ + ix;
      copy_tap(inside ? x + at * s_.in * size_ : nullptr, tap, to);
    }
  }

  // As above, if a row of the window is one contiguous piece of x.
  void copy_window(const std::byte* x, int64_t top, int64_t left, std::byte* to) const {
    const int64_t pixel = s_.in * size_, first = smaller_of(s_.kernel, larger_of(0, -left));
    const int64_t last = larger_of(first, smaller_of(s_.kernel, s_.width - left));
    for (int64_t iy = top; iy < top + s_.kernel; ++iy, to += s_.kernel * pixel) {
      const bool inside = iy >= 0 && iy < s_.height;
      const int64_t begin = inside ? first : 0, end = inside ? last : 0;
      if (begin > 0) std::memset(to, 0, static_cast<size_t>(begin * pixel));
      if (end > begin) {
        const std::byte* from = x + (iy * source_width_ + left + begin) * pixel;
        std::memcpy(to + begin * pixel, from, static_cast<size_t>((end - begin) * pixel));
      }
      if (end < s_.kernel) std::memset(to + end * pixel, 0, static_cast<size_t>((s_.kernel - end) * pixel));
    }
  }

  void copy_tap(const std::byte* from, int64_t tap, std::byte* to) const {
    for (int64_t c = 0; c < layout_.channels; c += layout_.chunk) {
      const int64_t held = smaller_of(layout_.chunk, layout_.channels - c);
      const int64_t there = from ? smaller_of(held, s_.in - c) : 0;
      std::byte* const at = to + (c * taps_ + tap * held) * size_;
      if (there > 0) std::memcpy(at, from + c * size_, static_cast<size_t>(there * size_));
      if (there < held) std::memset(at + there * size_, 0, static_cast<size_t>((held - there) * size_));
    }
  }

  void product(const ProductData& data, Range block, const std::byte* x, std::byte* scratch) const {
    const int64_t at = block.begin * s_.out * static_cast<int64_t>(size_of(s_.out_type));
    multiply({.rows = block.count(),
              .out = s_.out,
              .channels = s_.in,
              .taps = taps_,
              .x = x,
              .stride = row(),
              .x_type = s_.x_type,
              .out_type = s_.out_type,
              .activation = s_.activation,
              .geglu = false,
              .weight = data.weight,
              .bias = data.bias,
              .residual = data.residual ? static_cast<const std::byte*>(data.residual) + at : nullptr,
              .out_data = static_cast<std::byte*>(data.out) + at,
              .scratch = scratch});
  }

  const ConvolutionShape& s_;
  const int64_t taps_;
  const RowLayout layout_;
  const int64_t source_height_, source_width_, out_width_, pixels_, size_;
  bool contiguous_, pointwise_;
  int64_t block_;  // output pixels at a time
};

}  // namespace

size_t convolution_scratch(const ConvolutionShape& shape) { return Convolution(shape).scratch(); }

void convolution(const ConvolutionShape& shape, const ProductData& data) { Convolution(shape).run(data); }

}  // namespace inkstone::kernels::INKSTONE_ISA
