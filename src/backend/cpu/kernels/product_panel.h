// A panel of a mapped weight, rearranged for multiply_tile().
#pragma once

#include "backend/cpu/kernels/product_tile.h"

namespace inkstone::kernels::INKSTONE_ISA {

// columns that are staged at a time, at least: 32 channels of a 3x3 kernel, whole squares
constexpr int64_t kStaged = 9 * 32;

// Which columns of the result a panel makes, and from which rows of the weight.
struct Panel {
  int64_t column, columns;  // of the result
  // of sums that are wanted; with geglu every second one holds gates
  int vectors;
  bool geglu;
  // the weight's row of the first gate
  int64_t gates;

  Panel(const Product& p, int64_t index) : geglu(p.geglu) {
    const int64_t width = geglu ? kPanel / 2 : kPanel, all = geglu ? p.out / 2 : p.out;
    column = index * width;
    columns = smaller_of(width, all - column);
    vectors = geglu ? kPanelVectors : static_cast<int>(divide_up(columns, kLanes));
    gates = all + column;
  }
  static int64_t count(const Product& p) {
    return p.geglu ? divide_up(p.out / 2, kPanel / 2) : divide_up(p.out, kPanel);
  }

  // Of vector v of the sums: its first row of the weight, and how many rows it has (none: 0 or
  // less).
  int64_t row(int v) const { return !geglu ? column + v * kLanes : (v % 2 ? gates : column) + v / 2 * kLanes; }
  int64_t rows(int v) const { return columns - (geglu ? v / 2 : v) * kLanes; }
  // Vectors that are packed: whole strips, unless there is but one.
  int packed() const { return vectors == 1 ? 1 : static_cast<int>(round_up(vectors, kStripVectors)); }
};

// Channels [first, first + count) of a weight [out, channels, taps].
struct Chunk {
  int64_t first, count;
  int64_t channels, taps;
};

// Words of a chunk: a tap's channels are made even where there are several taps.
template <typename X>
INKSTONE_INLINE int64_t words_of(const Chunk& chunk) {
  return chunk.taps * divide_up(chunk.count, DotFormatOf<X>::kElements);
}

template <typename X, DType kType>
void pack_vector(const MappedRows& from, const Chunk& chunk, Word* to, int64_t step) {
  constexpr int64_t kElements = DotFormatOf<X>::kElements;
  for (int64_t c = 0; c < chunk.count; c += kElements * kLanes) {
    BitVec words[kLanes];
    load_words<X, kType>(from, chunk.first + c, chunk.count - c, words);
    const int64_t count = smaller_of(kLanes, divide_up(chunk.count - c, kElements));
    if (count == kLanes) {
      INKSTONE_UNROLL
      for (int w = 0; w < kLanes; ++w) store(to + w * step, words[w]);
    } else {
      for (int64_t w = 0; w < count; ++w) store(to + w * step, words[w]);
    }
    to += kLanes * step;
  }
}

// Elements `first` and second of a sequence beside each other; word i of the sequence holds
// elements 2 i and 2 i + 1.
INKSTONE_INLINE BitVec pair_of(const Word* sequence, int64_t first, int64_t second) {
  const BitVec a = bits_of(load(sequence + first / 2 * kLanes)), b = bits_of(load(sequence + second / 2 * kLanes));
  return (first % 2 ? a >> 16 : a & 0xffff) | (second % 2 ? b & 0xffff0000 : b << 16);
}

// A tap's words of some channels: `sequence` has `taps` elements of each channel in turn.
template <int kElements>
INKSTONE_INLINE void regroup(const Word* sequence, int64_t tap, int64_t taps, int64_t channels, Word* to,
                             int64_t step) {
  if constexpr (kElements == 1) {
    for (int64_t k = 0; k < channels; ++k) store(to + k * step, bits_of(load(sequence + (k * taps + tap) * kLanes)));
    return;
  }
  int64_t k = 0;
  // one of two neighbours' elements is a low half and the other a high one
  if (taps % 2 == 1) {
    const Word *a = sequence + tap / 2 * kLanes, *b = sequence + (tap + taps) / 2 * kLanes;
    const Word *low = tap % 2 ? b : a, *high = tap % 2 ? a : b;
    const bool swapped = tap % 2;
    for (; k + 1 < channels; k += 2, to += step, low += taps * kLanes, high += taps * kLanes) {
      const BitVec word = (bits_of(load(low)) & 0xffff) | (bits_of(load(high)) & 0xffff0000);
      store(to, swapped ? word << 16 | word >> 16 : word);
    }
  }
  for (; k + 1 < channels; k += 2, to += step) store(to, pair_of(sequence, k * taps + tap, (k + 1) * taps + tap));
  if (k < channels) store(to, pair_of(sequence, k * taps + tap, k * taps + tap) & 0xffff);
}

// With several taps: the words of some channels at a time are staged in the file's order and then
// regrouped by tap.
template <typename X, DType kType>
void pack_taps(const MappedRows& from, const Chunk& chunk, Word* to, int64_t step, Word* stage) {
  constexpr int64_t kElements = DotFormatOf<X>::kElements;
  const int64_t some = larger_of(2, smaller_of(32, kStaged / chunk.taps / 2 * 2)), taps = chunk.taps;
  const int64_t tap_words = divide_up(chunk.count, kElements);
  for (int64_t c = 0; c < chunk.count; c += some) {
    const int64_t channels = smaller_of(some, chunk.count - c), columns = channels * taps;
    for (int64_t i = 0; i < columns; i += kElements * kLanes) {
      BitVec square[kLanes];
      load_words<X, kType>(from, (chunk.first + c) * taps + i, columns - i, square);
      INKSTONE_UNROLL
      for (int j = 0; j < kLanes; ++j) store(stage + (i / kElements + j) * kLanes, square[j]);
    }
    for (int64_t tap = 0; tap < taps; ++tap) {
      regroup<kElements>(stage, tap, taps, channels, to + (c / kElements + tap * tap_words) * step, step);
    }
  }
}

inline int64_t stage_words(int64_t taps) {
  return taps == 1 ? 0 : (larger_of(kStaged, 2 * taps) + 2 * kLanes) * kLanes;
}

template <typename X>
void pack_panel(const MappedWeight& weight, const Panel& panel, const Chunk& chunk, Word* to, Word* stage) {
  const int64_t stride = chunk.channels * chunk.taps * static_cast<int64_t>(size_of(weight.type));
  const int vectors = panel.packed(), strip = vectors == 1 ? 1 : kStripVectors;
  for (int v = 0; v < vectors; ++v) {
    const int64_t row = panel.row(v), rows = panel.rows(v);
    const MappedRows from = {weight.data + (rows > 0 ? row * stride : 0), stride, rows};
    Word* const at = to + (v / strip * words_of<X>(chunk) * strip + v % strip) * kLanes;
    with_type(weight.type, [&]<DType kType>() {
      if (chunk.taps == 1) {
        pack_vector<X, kType>(from, chunk, at, strip * kLanes);
      } else {
        pack_taps<X, kType>(from, chunk, at, strip * kLanes, stage);
      }
    });
  }
}

}  // namespace inkstone::kernels::INKSTONE_ISA
