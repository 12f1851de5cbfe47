// One instruction set's group and layer normalisation. Only the shape decides the order in which
// sums are computed, also where a map is in pieces.
#include "backend/cpu/kernels/lanes.h"
#include "backend/cpu/kernels/variant.h"
#include "backend/cpu/kernels/whole_numbers.h"
#include "base/parallel.h"

namespace inkstone::kernels::INKSTONE_ISA {
namespace {

// elements; less is not worth another thread
constexpr int64_t kGrain = 16 << 10;
// Channels whose sums are on the stack at a time.
constexpr int64_t kChannelBlock = 512;
// Pixels that are summed in fp32 before they are added to a double.
constexpr int64_t kPixelBlock = 64;
// Parts of a row, each of which is summed separately.
constexpr int64_t kMaxChunks = 64;

// A row's pixels are divided into chunks of whole pixel blocks.
int64_t chunk_pixels(int64_t pixels) {
  const int64_t blocks = (pixels + kPixelBlock - 1) / kPixelBlock;
  return (blocks + kMaxChunks - 1) / kMaxChunks * kPixelBlock;
}
int64_t chunks_of(int64_t pixels) { return divide_up(pixels, chunk_pixels(pixels)); }

struct Moments {
  double sum, squares;  // of x + addend - pivot
};

struct Block {
  // of which one lies `stride` elements after the other
  int64_t pixels, channels, stride;
  const float* offset;
  // The sums go on from what they hold: these pixels are the rest of a block.
  bool goes_on;
};

// sums[c] and squares[c] of x + offset[c] over the block's pixels, for kVectors vectors of channels
// from c on.
template <int kVectors, typename T>
INKSTONE_INLINE void sum_columns(const Block& block, int64_t c, const T* x, float* sums, float* squares) {
  Vec sum[kVectors] = {}, square[kVectors] = {};
  for (int v = 0; block.goes_on && v < kVectors; ++v) {
    sum[v] = load(sums + c + v * kLanes);
    square[v] = load(squares + c + v * kLanes);
  }
  for (int64_t p = 0; p < block.pixels; ++p, x += block.stride) {
    for (int v = 0; v < kVectors; ++v) {
      const Vec d = load(x + c + v * kLanes) + load(block.offset + c + v * kLanes);
      sum[v] += d;
      square[v] += d * d;
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    store(sums + c + v * kLanes, sum[v]);
    store(squares + c + v * kLanes, square[v]);
  }
}

template <typename T>
void sum_block(const Block& block, const T* x, float* sums, float* squares) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= block.channels; c += 4 * kLanes) sum_columns<4>(block, c, x, sums, squares);
  for (; c + kLanes <= block.channels; c += kLanes) sum_columns<1>(block, c, x, sums, squares);
  for (; c < block.channels; ++c) {
    float sum = block.goes_on ? sums[c] : 0, square = block.goes_on ? squares[c] : 0;
    for (int64_t p = 0; p < block.pixels; ++p) {
      const float d = value_of(x[p * block.stride + c]) + block.offset[c];
      sum += d;
      square += d * d;
    }
    sums[c] = sum;
    squares[c] = square;
  }
}

// The value that is subtracted before squaring, for each group: the mean over the group's channels
// at the row's first pixel.
template <typename T>
float pivot_of(const T* x, const float* addend, int64_t channels) {
  float sum = 0;
  for (int64_t c = 0; c < channels; ++c) sum += value_of(x[c]) + (addend ? addend[c] : 0.0f);
  return sum / static_cast<float>(channels);
}

struct Place {
  int64_t row, chunk;
};

// The beginning of a row, or of its first piece.
template <typename T>
const T* row_at(const GroupNormShape& shape, const GroupNormData& data, int64_t row) {
  if (shape.pieces > 1) return static_cast<const T*>(data.pieces[0].x);
  return static_cast<const T*>(data.x) + row * shape.pixels * shape.channels;
}

// Pixels that lie one after another.
template <typename T>
struct Run {
  const T* x;
  int64_t pixels;
};

// From this pixel of the row on, up to the row's or its piece's end.
template <typename T>
Run<T> run_at(const GroupNormShape& shape, const GroupNormData& data, int64_t row, int64_t pixel) {
  if (shape.pieces == 1) return {row_at<T>(shape, data, row) + pixel * shape.channels, shape.pixels - pixel};
  const GroupPiece* piece = data.pieces;
  for (; pixel >= piece->pixels; ++piece) pixel -= piece->pixels;
  return {static_cast<const T*>(piece->x) + pixel * shape.channels, piece->pixels - pixel};
}

template <typename T>
void sum_chunk(const GroupNormShape& shape, const GroupNormData& data, Place place, Moments* moments) {
  const int64_t width = shape.channels / shape.groups;
  const int64_t first = place.chunk * chunk_pixels(shape.pixels);
  const int64_t last = smaller_of(first + chunk_pixels(shape.pixels), shape.pixels);
  const T* row = row_at<T>(shape, data, place.row);
  const float* addend = data.addend ? data.addend + place.row * shape.channels : nullptr;
  for (int64_t g = 0; g < shape.groups; ++g) moments[g] = {0, 0};
  for (int64_t c0 = 0; c0 < shape.channels; c0 += kChannelBlock) {
    const int64_t channels = smaller_of(kChannelBlock, shape.channels - c0);
    float offset[kChannelBlock], sums[kChannelBlock], squares[kChannelBlock];
    float pivot = 0;
    for (int64_t c = c0; c < c0 + channels; ++c) {
      const int64_t begin = c / width * width;
      if (c == c0 || c == begin) pivot = pivot_of(row + begin, addend ? addend + begin : nullptr, width);
      offset[c - c0] = (addend ? addend[c] : 0.0f) - pivot;
    }
    for (int64_t begin = first; begin < last; begin += kPixelBlock) {
      const int64_t end = smaller_of(begin + kPixelBlock, last);
      for (int64_t p = begin; p < end;) {
        const Run<T> run = run_at<T>(shape, data, place.row, p);
        const int64_t pixels = smaller_of(run.pixels, end - p);
        sum_block({pixels, channels, shape.channels, offset, p > begin}, run.x + c0, sums, squares);
        p += pixels;
      }
      for (int64_t c = 0; c < channels; ++c) {
        Moments& group = moments[(c0 + c) / width];
        group.sum += static_cast<double>(sums[c]);
        group.squares += static_cast<double>(squares[c]);
      }
    }
  }
}

template <typename T>
void finish_stats(const GroupNormShape& shape, const GroupNormData& data, const Moments* moments) {
  const int64_t width = shape.channels / shape.groups, chunks = chunks_of(shape.pixels);
  const double count = static_cast<double>(width) * static_cast<double>(shape.pixels);
  for (int64_t row = 0; row < shape.rows; ++row) {
    const T* x = row_at<T>(shape, data, row);
    for (int64_t g = 0; g < shape.groups; ++g) {
      const int64_t begin = g * width;
      const float* addend = data.addend ? data.addend + row * shape.channels + begin : nullptr;
      Moments total = {0, 0};
      for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const Moments& part = moments[(row * chunks + chunk) * shape.groups + g];
        total.sum += part.sum;
        total.squares += part.squares;
      }
      const double mean = total.sum / count;
      const double spread = total.squares / count - mean * mean;
      const double variance = spread > 0 || spread != spread ? spread : 0.0;
      float* stats = data.stats + (row * shape.groups + g) * 2;
      stats[0] = static_cast<float>(mean + static_cast<double>(pivot_of(x + begin, addend, width)));
      stats[1] = static_cast<float>(1.0 / __builtin_sqrt(variance + static_cast<double>(shape.epsilon)));
    }
  }
}

template <typename T>
void group_stats_typed(const GroupNormShape& shape, const GroupNormData& data) {
  auto* moments = reinterpret_cast<Moments*>(data.scratch);
  const int64_t chunks = chunks_of(shape.pixels);
  const int64_t grain = kGrain / (chunk_pixels(shape.pixels) * shape.channels) + 1;
  parallel_for(shape.rows * chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      sum_chunk<T>(shape, data, {item / chunks, item % chunks}, moments + item * shape.groups);
    }
  });
  finish_stats<T>(shape, data, moments);
}

INKSTONE_INLINE Vec silu(Vec x) { return x * inverse(1.0f + exp_of(-x)); }

// x * factor + offset over one pixel's channels.
template <bool kSilu, typename T>
INKSTONE_INLINE void apply_pixel(int64_t channels, const T* x, const float* factor, const float* offset, T* out) {
  const auto y = [&](Vec v, Vec f, Vec o) INKSTONE_INLINE_LAMBDA { return kSilu ? silu(v * f + o) : v * f + o; };
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) store(out + c, y(load(x + c), load(factor + c), load(offset + c)));
  if (const int64_t rest = channels - c; rest > 0) {
    store_some(out + c, y(load_some(x + c, rest), load_some(factor + c, rest), load_some(offset + c, rest)), rest);
  }
}

// Pixels [first, last) of one row.
template <bool kSilu, typename T>
void apply_pixels(const GroupNormShape& shape, const GroupNormData& data, int64_t row, int64_t first, int64_t last) {
  const int64_t width = shape.channels / shape.groups;
  for (int64_t c0 = 0; c0 < shape.channels; c0 += kChannelBlock) {
    const int64_t channels = smaller_of(kChannelBlock, shape.channels - c0);
    float factor[kChannelBlock], offset[kChannelBlock];
    for (int64_t c = 0; c < channels; ++c) {
      const float* stats = data.stats + (row * shape.groups + (c0 + c) / width) * 2;
      factor[c] = stats[1] * data.scale[c0 + c];
      const float addend = data.addend ? data.addend[row * shape.channels + c0 + c] : 0.0f;
      offset[c] = (addend - stats[0]) * factor[c] + data.shift[c0 + c];
    }
    for (int64_t p = first; p < last; ++p) {
      const int64_t begin = (row * shape.pixels + p) * shape.channels + c0;
      apply_pixel<kSilu>(channels, static_cast<const T*>(data.x) + begin, factor, offset,
                         static_cast<T*>(data.out) + begin);
    }
  }
}

template <bool kSilu, typename T>
void group_apply_typed(const GroupNormShape& shape, const GroupNormData& data) {
  parallel_for(shape.rows * shape.pixels, kGrain / shape.channels + 1, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t row = begin / shape.pixels, first = begin % shape.pixels;
      const int64_t last = smaller_of(first + end - begin, shape.pixels);
      apply_pixels<kSilu, T>(shape, data, row, first, last);
      begin += last - first;
    }
  });
}

template <typename F>
INKSTONE_INLINE float sum_over(int64_t width, const F& term) {
  Vec sums[4] = {};
  int64_t c = 0;
  for (; c + 4 * kLanes <= width; c += 4 * kLanes) {
    for (int v = 0; v < 4; ++v) sums[v] += term(c + v * kLanes, kLanes);
  }
  for (; c < width; c += kLanes) sums[0] += term(c, smaller_of(kLanes, width - c));
  return sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <typename T>
void normalise_row(const Table::LayerNorm& shape, const T* x, T* out) {
  const int64_t width = shape.width;
  const auto some = [](const auto* from, int64_t count)
                        INKSTONE_INLINE_LAMBDA { return count == kLanes ? load(from) : load_some(from, count); };
  const float mean =
      sum_over(width, [&](int64_t c, int64_t count) INKSTONE_INLINE_LAMBDA { return some(x + c, count); }) /
      static_cast<float>(width);
  const float variance = sum_over(width,
                                  [&](int64_t c, int64_t count) INKSTONE_INLINE_LAMBDA {
                                    const Vec d = some(x + c, count) - mean;
                                    if (count == kLanes) return d * d;
                                    Vec square = d * d;
                                    for (int64_t i = count; i < kLanes; ++i) square[i] = 0;
                                    return square;
                                  }) /
                         static_cast<float>(width);
  const float factor = 1.0f / __builtin_sqrtf(variance + shape.epsilon);
  for (int64_t c = 0; c < width; c += kLanes) {
    const int64_t count = smaller_of(kLanes, width - c);
    const Vec y = (some(x + c, count) - mean) * factor * some(shape.scale + c, count) + some(shape.shift + c, count);
    if (count == kLanes) {
      store(out + c, y);
    } else {
      store_some(out + c, y, count);
    }
  }
}

template <typename T>
void layer_norm_typed(const Table::LayerNorm& shape, const T* x, T* out) {
  parallel_for(shape.rows, kGrain / shape.width + 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) normalise_row(shape, x + row * shape.width, out + row * shape.width);
  });
}

}  // namespace

size_t group_scratch(const GroupNormShape& shape) {
  return static_cast<size_t>(shape.rows * chunks_of(shape.pixels) * shape.groups) * sizeof(Moments);
}

void group_stats(const GroupNormShape& shape, DType type, const GroupNormData& data) {
  type == DType::kF32 ? group_stats_typed<float>(shape, data) : group_stats_typed<Bf16>(shape, data);
}

void group_apply(const GroupNormShape& shape, DType type, const GroupNormData& data) {
  if (type == DType::kF32) {
    shape.silu ? group_apply_typed<true, float>(shape, data) : group_apply_typed<false, float>(shape, data);
  } else {
    shape.silu ? group_apply_typed<true, Bf16>(shape, data) : group_apply_typed<false, Bf16>(shape, data);
  }
}

void group_norm(const GroupNormShape& shape, DType type, const GroupNormData& data) {
  group_stats(shape, type, data);
  group_apply(shape, type, data);
}

void layer_norm(const Table::LayerNorm& shape, DType type, const void* x, void* out) {
  if (type == DType::kF32) {
    layer_norm_typed(shape, static_cast<const float*>(x), static_cast<float*>(out));
  } else {
    layer_norm_typed(shape, static_cast<const Bf16*>(x), static_cast<Bf16*>(out));
  }
}

}  // namespace inkstone::kernels::INKSTONE_ISA
