// The parts of the Winograd convolution, and how it is cut: which tiles, channels and threads go
// together. A result does not depend on the cut.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/kernels/whole_numbers.h"
#include "backend/cpu/kernels/winograd_transforms.h"

namespace inkstone::kernels::INKSTONE_ISA {

// channels of the input that are summed before they join the others
inline constexpr int64_t kDepth = 64;
// channels of the result whose transformed weights exist at a time
inline constexpr int64_t kWidth = 64;
// floats between positions, so that they do not share a set of the cache
inline constexpr int64_t kPad = 16;

// The largest of the fewest pieces of `count` that are at most `max` each.
INKSTONE_INLINE int64_t piece_of(int64_t count, int64_t max) {
  return divide_up(count, divide_up(count, larger_of(1, max)));
}

// Tiles of one block: whole images where they are small, else a rectangle of one image.
struct Tiles {
  int64_t image, row, column;     // the first
  int64_t images, rows, columns;  // how many
  int64_t count() const { return images * rows * columns; }
};

struct Plan {
  int64_t tile_rows, tile_columns;  // of an image
  Tiles largest;                    // the largest block
  // The result's channels are so many vectors of kLanes; `step` of them are multiplied at a time.
  int64_t vectors, step;
  // The input's channels are so many slices of kDepth; `chunk` of them are transformed at a time.
  int64_t slices, chunk;
  // Each thread takes blocks of its own, and all weights are transformed beforehand.
  bool apart;
  // Otherwise all threads share a block, which is cut into so many times so many jobs.
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

// Transforms `depth` channels from `channel` on of one row of tiles after the other:
// to[position][tile][kDepth].
class InputRows {
 public:
  InputRows(const ConvolutionShape& shape, const ProductData& data, const Tiles& block, float* lines)
      : shape_(shape), data_(data), block_(block), lines_(lines) {}
  // row: of all rows of the block
  void transform(int64_t row, int64_t channel, float* to);

 private:
  void fill(int64_t image, int64_t y, int64_t channel, float* line);
  const ConvolutionShape& shape_;
  const ProductData& data_;
  const Tiles& block_;
  float* lines_;  // 6 of them, in a ring
  int64_t last_row_ = -2, last_channel_ = -1;
};

// Writes to[position][channel of the input][part.width], from the weights as the file holds them.
void winograd_weights(const ConvolutionShape& shape, const MappedWeight& weight, const Part& part, int64_t channel,
                      float* to);
// For each position, tile and channel of the part, the products over `depth` channels of the input
// are summed. The sums begin with them where `first` is set; else the products are added to them.
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
