// One instruction set's Winograd convolution F(4x4, 3x3): a tile of 4x4 results takes 36 products
// for each pair of channels, not 144. A block of tiles at a time:
//   inputs[position][tile][channel]  are transformed from the input;
//   weights[position][channel][out]  are transformed from the weight, for some channels just before
//                                    they are used, or for all beforehand where they are few;
//   sums[position][tile][out]        are the sums of their products, and become results.
#include "backend/cpu/kernels/winograd.h"

#include "backend/cpu/kernels/variant.h"
#include "base/parallel.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

constexpr int64_t kTileBytes = kPositions * sizeof(float);  // for each channel
// Bytes of a shared block's sums and one slice of its inputs.
constexpr int64_t kBlockBytes = 7 << 20;
// Bytes of inputs that are transformed at a time.
constexpr int64_t kChunkBytes = 6 << 20;
constexpr int64_t kMaxTiles = 512, kMaxColumns = 16;
// The cost of transforming a vector of weights, in vector products.
constexpr int64_t kWeightCost = 200;
// Bytes of weights up to which all are transformed beforehand.
constexpr int64_t kKeptBytes = 16 << 20;
// Bytes that a thread which works apart keeps in its cache.
constexpr int64_t kApartBytes = 600 << 10;

class Winograd {
 public:
  Winograd(const ConvolutionShape& shape, const ProductData& data) : shape_(shape), data_(data), plan_(shape) {}

  static int64_t scratch(const Plan& plan) {
    return plan.apart
               ? plan.blocks() * plan.slices * Plan::kWeightsBlock + threads() * apart_floats(plan)
               : plan.chunk * plan.inputs_slice() + plan.vectors * plan.sums_vector() + plan.jobs() * job_floats(plan);
  }

  void run() const {
    if (plan_.apart) return run_apart();
    for (int64_t i = 0; i < tile_blocks(); ++i) run_shared(tile_block(i));
  }

 private:
  float* base() const { return reinterpret_cast<float*>(data_.scratch); }
  static int64_t apart_floats(const Plan& plan) {
    return plan.lines() + plan.slices * plan.inputs_slice() + plan.step * plan.sums_vector();
  }
  static int64_t job_floats(const Plan& plan) { return larger_of(Plan::kWeightsBlock, plan.lines()); }

  int64_t tile_blocks() const {
    const Tiles& largest = plan_.largest;
    return divide_up(shape_.images, largest.images) * divide_up(plan_.tile_rows, largest.rows) *
           divide_up(plan_.tile_columns, largest.columns);
  }
  Tiles tile_block(int64_t index) const {
    const Tiles& largest = plan_.largest;
    const int64_t rows = divide_up(plan_.tile_rows, largest.rows),
                  columns = divide_up(plan_.tile_columns, largest.columns);
    const int64_t image = index / columns / rows * largest.images, row = index / columns % rows * largest.rows;
    const int64_t column = index % columns * largest.columns;
    return {image,
            row,
            column,
            smaller_of(largest.images, shape_.images - image),
            smaller_of(largest.rows, plan_.tile_rows - row),
            smaller_of(largest.columns, plan_.tile_columns - column)};
  }

  // Block `index`, all tiles, for the vectors [begin, end) of output channels.
  Part part_of(const Tiles& block, int64_t begin, int64_t end, int64_t index) const {
    const int64_t blocks = divide_up(end - begin, plan_.step);
    const int64_t first = begin + (end - begin) * index / blocks, last = begin + (end - begin) * (index + 1) / blocks;
    return {0, block.count(), first * kLanes, (last - first) * kLanes};
  }

  void multiply(const Tiles& block, const Part& part, int64_t slice, const float* inputs, const float* weights,
                float* sums) const {
    winograd_multiply({.inputs = inputs,
                       .weights = weights,
                       .sums = sums,
                       .inputs_stride = plan_.inputs_stride(block.count()),
                       .sums_stride = plan_.sums_stride(block.count(), part.width),
                       .depth = smaller_of(kDepth, shape_.in - slice * kDepth),
                       .first = slice == 0},
                      part);
  }

  void run_apart() const {
    const int64_t weights = plan_.blocks() * plan_.slices;
    parallel_for(weights, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Part part = part_of({}, 0, plan_.vectors, i / plan_.slices);
        winograd_weights(shape_, data_.weight, part, i % plan_.slices * kDepth, base() + i * Plan::kWeightsBlock);
      }
    });
    const int64_t count = tile_blocks(), pieces = smaller_of(count, threads());
    parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t piece = begin; piece < end; ++piece) {
        float* own = base() + weights * Plan::kWeightsBlock + piece * apart_floats(plan_);
        for (int64_t i = count * piece / pieces; i < count * (piece + 1) / pieces; ++i) run_own(tile_block(i), own);
      }
    });
  }

  void run_own(const Tiles& block, float* own) const {
    float *inputs = own + plan_.lines(), *sums = inputs + plan_.slices * plan_.inputs_slice();
    InputRows input(shape_, data_, block, own);
    for (int64_t slice = 0; slice < plan_.slices; ++slice) {
      for (int64_t row = 0; row < block.images * block.rows; ++row) {
        input.transform(row, slice * kDepth, inputs + slice * plan_.inputs_slice());
      }
    }
    for (int64_t i = 0; i < plan_.blocks(); ++i) {
      const Part part = part_of(block, 0, plan_.vectors, i);
      for (int64_t slice = 0; slice < plan_.slices; ++slice) {
        multiply(block, part, slice, inputs + slice * plan_.inputs_slice(),
                 base() + (i * plan_.slices + slice) * Plan::kWeightsBlock, sums);
      }
      winograd_result(shape_, data_, block, part, sums);
    }
  }

  void run_shared(const Tiles& block) const {
    const int64_t rows = block.images * block.rows;
    float *inputs = base(), *sums = inputs + plan_.chunk * plan_.inputs_slice();
    float* jobs = sums + plan_.vectors * plan_.sums_vector();
    for (int64_t first = 0; first < plan_.slices; first += plan_.chunk) {
      const int64_t last = smaller_of(first + plan_.chunk, plan_.slices);
      const int64_t items = (last - first) * rows, pieces = smaller_of(items, plan_.jobs());
      parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
          InputRows input(shape_, data_, block, jobs + piece * job_floats(plan_));
          for (int64_t i = items * piece / pieces; i < items * (piece + 1) / pieces; ++i) {
            input.transform(i % rows, (first + i / rows) * kDepth, inputs + i / rows * plan_.inputs_slice());
          }
        }
      });
      parallel_for(plan_.jobs(), 1, [&](int64_t begin, int64_t end) {
        for (int64_t job = begin; job < end; ++job) run_job(block, job, {first, last}, inputs, sums);
      });
    }
  }

  struct Slices {
    int64_t first, last;
  };
  // A job's share of the block's tiles and of the output channels.
  void run_job(const Tiles& block, int64_t job, Slices slices, const float* inputs, float* all_sums) const {
    const int64_t tiles = block.count(), tile_part = job % plan_.tile_parts, width_part = job / plan_.tile_parts;
    const int64_t begin = plan_.vectors * width_part / plan_.width_parts;
    const int64_t end = plan_.vectors * (width_part + 1) / plan_.width_parts;
    float* weights = all_sums + plan_.vectors * plan_.sums_vector() + job * job_floats(plan_);
    for (int64_t i = 0; i < divide_up(end - begin, plan_.step); ++i) {
      Part part = part_of(block, begin, end, i);
      part.first_tile = tiles * tile_part / plan_.tile_parts;
      part.last_tile = tiles * (tile_part + 1) / plan_.tile_parts;
      float* sums = all_sums + part.first / kLanes * plan_.sums_vector();
      for (int64_t slice = slices.first; slice < slices.last; ++slice) {
        winograd_weights(shape_, data_.weight, part, slice * kDepth, weights);
        multiply(block, part, slice, inputs + (slice - slices.first) * plan_.inputs_slice(), weights, sums);
      }
      if (slices.last == plan_.slices) winograd_result(shape_, data_, block, part, sums);
    }
  }

  const ConvolutionShape& shape_;
  const ProductData& data_;
  const Plan plan_;
};

}  // namespace

Plan::Plan(const ConvolutionShape& shape)
    : tile_rows(divide_up(shape.out_height(), kTileSide)),
      tile_columns(divide_up(shape.out_width(), kTileSide)),
      vectors(divide_up(shape.out, kLanes)),
      step(piece_of(vectors, kWidth / kLanes)),
      slices(divide_up(shape.in, kDepth)) {
  constexpr int64_t kBlock = kWeightsBlock * sizeof(float);
  const int64_t tiles = shape.images * tile_rows * tile_columns;
  apart = blocks() * slices * kBlock <= kKeptBytes && tiles >= 64 * threads();
  apart ? plan_apart(shape) : plan_shared(shape);
}

void Plan::plan_apart(const ConvolutionShape&) {
  const int64_t limit = larger_of(6, kApartBytes / kTileBytes / (slices * kDepth + step * kLanes));
  const int64_t columns = piece_of(tile_columns, 8);
  largest = {0, 0, 0, 1, piece_of(tile_rows, limit / columns), columns};
  chunk = slices;
  width_parts = tile_parts = 0;
}

void Plan::plan_shared(const ConvolutionShape& shape) {
  const int64_t limit = larger_of(1, smaller_of(kMaxTiles, kBlockBytes / kTileBytes / (vectors * kLanes + kDepth)));
  const int64_t columns = piece_of(tile_columns, smaller_of(kMaxColumns, limit));
  const int64_t rows = piece_of(tile_rows, limit / columns);
  const bool whole = columns == tile_columns && rows == tile_rows;
  largest = {0, 0, 0, whole ? piece_of(shape.images, limit / (rows * columns)) : 1, rows, columns};
  const int64_t tiles = largest.count();
  chunk = piece_of(slices, kChunkBytes / kTileBytes / kDepth / tiles);
  int64_t lowest = -1;
  for (int64_t parts = 1; parts <= smaller_of(threads(), tiles); ++parts) {
    const int64_t widths = smaller_of(threads() / parts, vectors);
    const int64_t cost = divide_up(vectors, widths) * (divide_up(tiles, parts) * kPositions + kWeightCost);
    if (lowest >= 0 && cost >= lowest) continue;
    lowest = cost;
    tile_parts = parts;
    width_parts = widths;
  }
}

size_t winograd_scratch(const ConvolutionShape& shape) {
  return static_cast<size_t>(Winograd::scratch(Plan(shape))) * sizeof(float);
}

void winograd(const ConvolutionShape& shape, const ProductData& data) { Winograd(shape, data).run(); }

}  // namespace inkstone::kernels::INKSTONE_ISA
