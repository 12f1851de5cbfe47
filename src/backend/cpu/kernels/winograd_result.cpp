// One instruction set's transform of the sums of a Winograd convolution into results.
#include "backend/cpu/kernels/activations.h"
#include "backend/cpu/kernels/winograd.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

constexpr int kResults = kTileSide * kTileSide;

void transform_tile(const float* sums, int64_t stride, Vec (&y)[kResults]) {
  Vec columns[kPatchSide][kTileSide];
  INKSTONE_UNROLL
  for (int j = 0; j < kPatchSide; ++j) {
    Vec m[kPatchSide];
    INKSTONE_UNROLL
    for (int i = 0; i < kPatchSide; ++i) m[i] = load(sums + (i * kPatchSide + j) * stride);
    transform_result(m, columns[j]);
  }
  INKSTONE_UNROLL
  for (int i = 0; i < kTileSide; ++i) {
    Vec m[kPatchSide], r[kTileSide];
    INKSTONE_UNROLL
    for (int j = 0; j < kPatchSide; ++j) m[j] = columns[j][i];
    transform_result(m, r);
    INKSTONE_UNROLL
    for (int j = 0; j < kTileSide; ++j) y[i * kTileSide + j] = r[j] * kLeft[i + j];
  }
}

template <typename T>
class Results {
 public:
  Results(const ConvolutionShape& shape, const ProductData& data)
      : shape_(shape), data_(data), height_(shape.out_height()), width_(shape.out_width()) {}

  // One tile, one vector of channels from `channel` on.
  void write(int64_t image, int64_t row, int64_t column, int64_t channel, const Vec (&y)[kResults]) const {
    const int64_t lanes = smaller_of(kLanes, shape_.out - channel);
    Vec bias = {};
    if (data_.bias) bias = lanes == kLanes ? load(data_.bias + channel) : load_some(data_.bias + channel, lanes);
    const int64_t rows = smaller_of(kTileSide, height_ - row * kTileSide);
    const int64_t columns = smaller_of(kTileSide, width_ - column * kTileSide);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t first = ((image * height_ + row * kTileSide + i) * width_ + column * kTileSide) * shape_.out;
      for (int64_t j = 0; j < columns; ++j) {
        write_pixel(first + j * shape_.out + channel, lanes, activated(shape_.activation, y[i * kTileSide + j] + bias));
      }
    }
  }

 private:
  INKSTONE_INLINE void write_pixel(int64_t at, int64_t lanes, Vec y) const {
    const T* residual = static_cast<const T*>(data_.residual);
    T* out = static_cast<T*>(data_.out) + at;
    if (lanes == kLanes) return store(out, residual ? y + load(residual + at) : y);
    store_some(out, residual ? y + load_some(residual + at, lanes) : y, lanes);
  }

  const ConvolutionShape& shape_;
  const ProductData& data_;
  const int64_t height_, width_;
};

template <typename T>
void finish(const ConvolutionShape& shape, const ProductData& data, const Tiles& block, const Part& part,
            const float* sums) {
  const Results<T> results(shape, data);
  const int64_t stride = block.count() * part.width + kPad;
  for (int64_t tile = part.first_tile; tile < part.last_tile; ++tile) {
    const int64_t column = block.column + tile % block.columns, line = tile / block.columns;
    const int64_t row = block.row + line % block.rows, image = block.image + line / block.rows;
    for (int64_t v = 0; v < part.width; v += kLanes) {
      Vec y[kResults];
      transform_tile(sums + tile * part.width + v, stride, y);
      results.write(image, row, column, part.first + v, y);
    }
  }
}

}  // namespace

void winograd_result(const ConvolutionShape& shape, const ProductData& data, const Tiles& block, const Part& part,
                     const float* sums) {
  if (shape.out_type == DType::kF32) {
    finish<float>(shape, data, block, part, sums);
  } else {
    finish<Bf16>(shape, data, block, part, sums);
  }
}

}  // namespace inkstone::kernels::INKSTONE_ISA
