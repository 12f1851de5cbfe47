// The parts of the Winograd convolution, and how its work is divided among tiles, channels and
// threads. The result does not depend on the division.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/whole_numbers.h"
#include "backend/cpu/kernels/winograd_transforms.h"

namespace inkstone::kernels::INKSTONE_ISA {

// Input channels that are summed together, before they are added to the others' sums.
inline constexpr int64_t kDepth = 64;
// Output channels whose transformed weights exist at a time.
inline constexpr int64_t kWidth = 64;
// Extra floats between positions, so that positions do not map to the same set of the cache.
inline constexpr int64_t kPad = 16;

// Divides `count` into as few pieces as possible of at most `max` each; returns the size of the
// largest.
INKSTONE_INLINE int64_t piece_of(int64_t count, int64_t max) {
  return divide_up(count, divide_up(count, larger_of(1, max)));
}

// The tiles of one block: several whole images if they are small, else a rectangle of one image.
struct Tiles {
  int64_t image, row, column;     // the first
  int64_t images, rows, columns;  // how many
  int64_t count() const { return images * rows * columns; }
};

struct Plan {
  int64_t tile_rows, tile_columns;  // of an image
  Tiles largest;                    // the largest block
  // The output channels are `vectors` vectors of kLanes, of which `step` are multiplied at a time.
  int64_t vectors, step;
  // The input channels are `slices` slices of kDepth, of which `chunk` are transformed at a time.
  int64_t slices, chunk;
  // Each thread takes blocks of its own, and all weights are transformed beforehand.
  bool apart;
  // Otherwise all threads share a block, which is cut into width_parts * tile_parts jobs.
  int64_t width_parts, tile_parts;

  explicit Plan(const ConvolutionShape& shape);
  int64_t jobs() const { return width_parts * tile_parts; }
  int64_t blocks() const { return divide_up(vectors, step); }
  // floats
  static constexpr int64_t kWeightsStride = kDepth * kWidth + kPad;  // from one position to the next
  static constexpr int64_t kWeightsBlock = kPositions * kWeightsStride;
  int64_t inputs_stride(int64_t tiles) const { return tiles * kDepth + kPad; }
  int64_t inputs_slice() const { return kPositions * inputs_stride(largest.count()); }
  int64_t sums_stride(int64_t tiles, int64_t width) const { return tiles * width + kPad; }
  int64_t sums_vector() const { return kPositions * sums_stride(largest.count(), kLanes); }
  int64_t lines() const { return kPatchSide * (largest.columns * kTileSide + 2) * kDepth; }

 private:
  void plan_apart(const ConvolutionShape& shape);
  void plan_shared(const ConvolutionShape& shape);
};

// Some consecutive tiles of a block, and some channels of the result.
struct Part {
  int64_t first_tile, last_tile;  // within the block
  int64_t first, width;           // channels; width in whole vectors
};

// Transforms the input, one row of tiles after the other: `depth` channels from `channel` on, into
// to[position][tile][kDepth].
class InputRows {
 public:
  InputRows(const ConvolutionShape& shape, const ProductData& data, const Tiles& block, float* lines)
      : shape_(shape), data_(data), block_(block), lines_(lines) {}
  // `row` counts all rows of the block.
  void transform(int64_t row, int64_t channel, float* to);

 private:
  void fill(int64_t image, int64_t y, int64_t channel, float* line);
  const ConvolutionShape& shape_;
  const ProductData& data_;
  const Tiles& block_;
  float* lines_;  // a ring of 6
  int64_t last_row_ = -2, last_channel_ = -1;
};

// Transforms weights, as the file holds them, into to[position][input channel][part.width].
void winograd_weights(const ConvolutionShape& shape, const MappedWeight& weight, const Part& part, int64_t channel,
                      float* to);
// For each position, tile and channel of the part: multiplies `depth` input channels by their
// weights and sums the products. If `first` is set the result replaces `sums`, else it is added to
// `sums`.
struct WinogradProduct {
  const float* inputs;                 // [position][tile][kDepth]
  const float* weights;                // [position][kDepth][part.width]
  float* sums;                         // [position][tile][part.width]
  int64_t inputs_stride, sums_stride;  // from one position to the next
  int64_t depth;
  bool first;
};
void winograd_multiply(const WinogradProduct& product, const Part& part);
void winograd_result(const ConvolutionShape& shape, const ProductData& data, const Tiles& block, const Part& part,
                     const float* sums);

}  // namespace inkstone::kernels::INKSTONE_ISA
