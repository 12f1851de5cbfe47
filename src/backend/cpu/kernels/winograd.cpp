// One instruction set's Winograd convolution F(4x4, 3x3): a tile of 4x4 results takes 36 products for each pair of
// channels, not 144. A block of tiles at a time:
//   inputs[position][tile][channel]  are transformed, some channels at a time, by all threads;
//   weights[position][channel][out]  are transformed by each thread for its own channels of the result, just in time,
//   sums[position][tile][out]        and multiplied; then the sums become results.
#include "backend/cpu/kernels/winograd.h"

#include "backend/cpu/kernels/variant.h"
#include "base/parallel.h"

namespace inkstone::INKSTONE_ISA {
namespace {

constexpr int64_t kBlockBytes = 20 << 20;  // of a block's sums and a slice of its inputs
constexpr int64_t kChunkBytes = 6 << 20;   // of the inputs that are transformed at a time
constexpr int64_t kMostTiles = 512, kMostColumns = 16;
constexpr int64_t kWeightCost = 200;  // of transforming a vector of weights, in vector products

class Winograd {
 public:
  Winograd(const ConvolutionShape& shape, const ProductData& data) : shape_(shape), data_(data), plan_(shape) {
    inputs_ = reinterpret_cast<float*>(data.scratch);
    sums_ = inputs_ + plan_.chunk * plan_.inputs_block();
    threads_ = sums_ + plan_.vectors * plan_.sums_vector();
  }

  static size_t scratch(const Plan& plan) {
    const int64_t floats =
        plan.chunk * plan.inputs_block() + plan.vectors * plan.sums_vector() + (plan.jobs() + 1) * thread_floats(plan);
    return static_cast<size_t>(floats) * sizeof(float);
  }

  void run() const {
    const Tiles& most = plan_.most;
    for (int64_t image = 0; image < shape_.images; image += most.images) {
      for (int64_t row = 0; row < plan_.tile_rows; row += most.rows) {
        for (int64_t column = 0; column < plan_.tile_columns; column += most.columns) {
          run_block({image, row, column, smaller_of(most.images, shape_.images - image),
                     smaller_of(most.rows, plan_.tile_rows - row),
                     smaller_of(most.columns, plan_.tile_columns - column)});
        }
      }
    }
  }

 private:
  static int64_t thread_floats(const Plan& plan) {
    return larger_of(kPositions * Plan::kWeightsStride, kPatchSide * plan.line());
  }

  void run_block(const Tiles& block) const {
    const int64_t slices = divide_up(shape_.in, kDepth), rows = block.images * block.rows;
    for (int64_t first = 0; first < slices; first += plan_.chunk) {
      const int64_t last = smaller_of(first + plan_.chunk, slices);
      // threads take pieces of whole items, so the lines of piece i may lie at thread i's place
      const int64_t items = (last - first) * rows, pieces = smaller_of(items, plan_.jobs());
      parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
          InputRows input(shape_, data_, block, threads_ + piece * thread_floats(plan_));
          for (int64_t i = items * piece / pieces; i < items * (piece + 1) / pieces; ++i) {
            input.transform(i % rows, (first + i / rows) * kDepth, inputs_ + i / rows * plan_.inputs_block());
          }
        }
      });
      parallel_for(plan_.jobs(), 1, [&](int64_t begin, int64_t end) {
        for (int64_t job = begin; job < end; ++job) run_job(block, job, first, last);
      });
    }
  }

  // A job's share of the block's tiles and of the result's channels.
  void run_job(const Tiles& block, int64_t job, int64_t first_slice, int64_t last_slice) const {
    const int64_t tiles = block.count(), tile_part = job % plan_.tile_parts, width_part = job / plan_.tile_parts;
    const int64_t begin = plan_.vectors * width_part / plan_.width_parts;
    const int64_t end = plan_.vectors * (width_part + 1) / plan_.width_parts;
    float* weights = threads_ + job * thread_floats(plan_);
    const int64_t step = piece_of(end - begin, kWidth / kLanes);
    for (int64_t vector = begin; vector < end; vector += step) {
      const Part part = {tiles * tile_part / plan_.tile_parts, tiles * (tile_part + 1) / plan_.tile_parts,
                         vector * kLanes, smaller_of(step, end - vector) * kLanes};
      float* sums = sums_ + vector * plan_.sums_vector();
      for (int64_t slice = first_slice; slice < last_slice; ++slice) {
        winograd_weights(shape_, data_.weight, part, slice * kDepth, weights);
        winograd_multiply({.inputs = inputs_ + (slice - first_slice) * plan_.inputs_block(),
                           .weights = weights,
                           .sums = sums,
                           .inputs_stride = plan_.inputs_stride(tiles),
                           .sums_stride = plan_.sums_stride(tiles, part.width),
                           .depth = smaller_of(kDepth, shape_.in - slice * kDepth),
                           .first = slice == 0},
                          part);
      }
      if (last_slice * kDepth >= shape_.in) winograd_result(shape_, data_, block, part, sums);
    }
  }

  const ConvolutionShape& shape_;
  const ProductData& data_;
  const Plan plan_;
  float *inputs_, *sums_, *threads_;
};

}  // namespace

Plan::Plan(const ConvolutionShape& shape)
    : tile_rows(divide_up(shape.out_height(), kTileSide)),
      tile_columns(divide_up(shape.out_width(), kTileSide)),
      vectors(divide_up(shape.out, kLanes)) {
  constexpr int64_t kTileBytes = kPositions * sizeof(float);  // for each channel
  const int64_t limit = larger_of(1, smaller_of(kMostTiles, kBlockBytes / kTileBytes / (vectors * kLanes + kDepth)));
  const int64_t columns = piece_of(tile_columns, smaller_of(kMostColumns, limit));
  const int64_t rows = piece_of(tile_rows, limit / columns);
  const bool whole = columns == tile_columns && rows == tile_rows;
  most = {0, 0, 0, whole ? piece_of(shape.images, limit / (rows * columns)) : 1, rows, columns};
  const int64_t tiles = most.count(), slices = divide_up(shape.in, kDepth);
  chunk = piece_of(slices, kChunkBytes / kTileBytes / kDepth / tiles);
  int64_t least = -1;
  for (int64_t parts = 1; parts <= smaller_of(threads(), tiles); ++parts) {
    const int64_t widths = smaller_of(threads() / parts, vectors);
    const int64_t cost = divide_up(vectors, widths) * (divide_up(tiles, parts) * kPositions + kWeightCost);
    if (least >= 0 && cost >= least) continue;
    least = cost;
    tile_parts = parts;
    width_parts = widths;
  }
}

size_t winograd_scratch(const ConvolutionShape& shape) { return Winograd::scratch(Plan(shape)); }

void winograd(const ConvolutionShape& shape, const ProductData& data) { Winograd(shape, data).run(); }

}  // namespace inkstone::INKSTONE_ISA
