// One instruction set's transform of the weights of a Winograd convolution, and the multiplication
// of transformed inputs by transformed weights.
#include "backend/cpu/kernels/mapped.h"
#include "backend/cpu/kernels/winograd.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

constexpr int kTaps = 9;
// Sums in registers, for so many tiles and vectors of channels. They take 24 of AVX-512's 32
// registers, or 12 of 16.
constexpr int kTileRows = 6;
constexpr int kVectors = kLanes == 16 ? 4 : 2;

// taps[element][lane]: `count` elements from `first` on of each row.
template <DType kType>
void read_taps(const MappedRows& rows, int64_t first, int64_t count, float* taps) {
  for (int64_t e = 0; e < count; e += kLanes, taps += kLanes * kLanes) {
    Vec square[kLanes];
    load_columns<kType>(rows, first + e, count - e, square);
    INKSTONE_UNROLL
    for (int i = 0; i < kLanes; ++i) store(taps + i * kLanes, square[i]);
  }
}

// One channel of the input, one vector of results.
INKSTONE_INLINE void transform_taps(const float* taps, float* to) {
  Vec rows[3][kPatchSide];
  INKSTONE_UNROLL
  for (int i = 0; i < 3; ++i) {
    const float* row = taps + i * 3 * kLanes;
    const Vec g[3] = {load(row), load(row + kLanes), load(row + 2 * kLanes)};
    transform_weights(g, rows[i]);
  }
  INKSTONE_UNROLL
  for (int j = 0; j < kPatchSide; ++j) {
    const Vec g[3] = {rows[0][j], rows[1][j], rows[2][j]};
    Vec r[kPatchSide];
    transform_weights(g, r);
    INKSTONE_UNROLL
    for (int i = 0; i < kPatchSide; ++i) store(to + (i * kPatchSide + j) * Plan::kWeightsStride, r[i]);
  }
}

struct Panel {
  const float *inputs, *weights;
  float* sums;
  // width: floats from one row of weights or sums to the next
  int64_t depth, width;
  bool first;
};

template <int kRows, int kColumns>
void multiply_panel(const Panel& p) {
  const float *inputs = p.inputs, *weights = p.weights;
  const int64_t width = p.width;
  float* to = p.sums;
  Vec sums[kRows][kColumns];
  INKSTONE_UNROLL
  for (int r = 0; r < kRows; ++r) {
    INKSTONE_UNROLL
    for (int v = 0; v < kColumns; ++v) sums[r][v] = Vec{};
  }
  for (int64_t k = p.depth; k > 0; --k, ++inputs, weights += width) {
    Vec w[kColumns];
    INKSTONE_UNROLL
    for (int v = 0; v < kColumns; ++v) w[v] = load(weights + v * kLanes);
    INKSTONE_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Vec x = splat(inputs[r * kDepth]);
      INKSTONE_UNROLL
      for (int v = 0; v < kColumns; ++v) sums[r][v] += x * w[v];
    }
  }
  INKSTONE_UNROLL
  for (int r = 0; r < kRows; ++r, to += width) {
    INKSTONE_UNROLL
    for (int v = 0; v < kColumns; ++v) {
      store(to + v * kLanes, p.first ? sums[r][v] : load(to + v * kLanes) + sums[r][v]);
    }
  }
}

template <int kRows>
INKSTONE_INLINE void multiply_rows(const Panel& p, int64_t vectors) {
  if constexpr (kVectors == 4) {
    if (vectors == 4) return multiply_panel<kRows, 4>(p);
    if (vectors == 3) return multiply_panel<kRows, 3>(p);
  }
  vectors == 2 ? multiply_panel<kRows, 2>(p) : multiply_panel<kRows, 1>(p);
}

void multiply(const Panel& p, int64_t rows, int64_t vectors) {
  switch (rows) {
    case 1: return multiply_rows<1>(p, vectors);
    case 2: return multiply_rows<2>(p, vectors);
    case 3: return multiply_rows<3>(p, vectors);
    case 4: return multiply_rows<4>(p, vectors);
    case 5: return multiply_rows<5>(p, vectors);
    default: return multiply_rows<6>(p, vectors);
  }
}

}  // namespace

void winograd_weights(const ConvolutionShape& shape, const MappedWeight& weight, const Part& part, int64_t channel,
                      float* to) {
  with_type(weight.type, [&]<DType kType>() {
    alignas(64) float taps[kTaps * kLanes * kLanes];
    const int64_t stride = shape.in * kTaps * size_of(kType), last = smaller_of(channel + kDepth, shape.in);
    for (int64_t v = 0; v < part.width; v += kLanes) {
      const int64_t out = part.first + v;
      const MappedRows rows = {weight.data + out * stride, stride, shape.out - out};
      for (int64_t c = channel; c < last; c += kLanes) {
        const int64_t count = smaller_of(kLanes, last - c);
        read_taps<kType>(rows, c * kTaps, count * kTaps, taps);
        for (int64_t i = 0; i < count; ++i) {
          transform_taps(taps + i * kTaps * kLanes, to + (c - channel + i) * part.width + v);
        }
      }
    }
  });
}

void winograd_multiply(const WinogradProduct& product, const Part& part) {
  const int64_t tiles = part.last_tile - part.first_tile, groups = divide_up(tiles, kTileRows);
  for (int64_t position = 0; position < kPositions; ++position) {
    const float* inputs = product.inputs + position * product.inputs_stride;
    const float* weights = product.weights + position * Plan::kWeightsStride;
    float* sums = product.sums + position * product.sums_stride;
    for (int64_t v = 0; v < part.width; v += kVectors * kLanes) {
      const int64_t vectors = smaller_of(kVectors, (part.width - v) / kLanes);
      for (int64_t group = 0; group < groups; ++group) {
        const int64_t tile = part.first_tile + tiles * group / groups;
        const int64_t end = part.first_tile + tiles * (group + 1) / groups;
        const Panel panel = {inputs + tile * kDepth, weights + v, sums + tile * part.width + v,
                             product.depth,          part.width,  product.first};
        multiply(panel, end - tile, vectors);
      }
    }
  }
}

}  // namespace inkstone::kernels::INKSTONE_ISA
