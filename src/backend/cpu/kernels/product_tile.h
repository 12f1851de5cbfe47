// The innermost part of a product: a few rows times a panel of rearranged weights, and what becomes of the sums.
#pragma once

#include "backend/cpu/kernels/activations.h"
#include "backend/cpu/kernels/product.h"

namespace inkstone::INKSTONE_ISA {

inline constexpr int kPanel = 64;  // columns of sums
inline constexpr int kPanelVectors = kPanel / kLanes;
inline constexpr int kStripVectors = kQueryVectors;  // vectors of a panel that are summed at a time
inline constexpr int64_t kLine = 64 / sizeof(Word);  // words of a cache line

INKSTONE_INLINE int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }
INKSTONE_INLINE int64_t larger_of(int64_t a, int64_t b) { return a > b ? a : b; }
INKSTONE_INLINE int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
INKSTONE_INLINE int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

// What else is wanted soon: rows of weights, of which as many bytes are fetched as are multiplied of each row of x.
struct Ahead {
  const std::byte* begin;
  int64_t stride, rows;
};

// Rows of x, in words (unaligned).
struct LeftRows {
  const std::byte* begin;
  int64_t stride;         // bytes from one row to the next
  int64_t whole;          // words of a row
  bool tail;              // one more word, of which only the first half is there
  const std::byte* next;  // the rows after these, wanted soon
  Ahead ahead;
};

// A strip of a panel is [word][kVectors * kLanes]. sums[j][...] += row j times the strip; a row of sums has kPanel.
template <typename Units, int kHeight, int kVectors>
void multiply_strip(const LeftRows& left, const Word* strip, bool first, float* sums) {
  Vec total[kHeight][kVectors];
  INKSTONE_UNROLL
  for (int j = 0; j < kHeight; ++j) {
    INKSTONE_UNROLL
    for (int v = 0; v < kVectors; ++v) total[j][v] = first ? Vec{} : load(sums + j * kPanel + v * kLanes);
  }
  const std::byte *x = left.begin, *next = left.next, *ahead = left.ahead.begin;
  const int64_t stride = left.stride;
  const auto add = [&](const auto& word_of) INKSTONE_INLINE_LAMBDA {
    Vec columns[kVectors];
    INKSTONE_UNROLL
    for (int v = 0; v < kVectors; ++v) columns[v] = load(strip + v * kLanes);
    strip += kVectors * kLanes;
    INKSTONE_UNROLL
    for (int j = 0; j < kHeight; ++j) {
      const Vec all = floats_of(word_of(x + j * stride) - BitVec{});
      INKSTONE_UNROLL
      for (int v = 0; v < kVectors; ++v) total[j][v] = Units::dot(total[j][v], columns[v], all);
    }
  };
  const auto whole_word = [](const std::byte* from) INKSTONE_INLINE_LAMBDA {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
  };
  for (int64_t left_words = left.whole; left_words > 0; left_words -= kLine) {
    INKSTONE_UNROLL
    for (int j = 0; j < kHeight; ++j) __builtin_prefetch(next + j * stride);
    next += kLine * sizeof(Word);
    const std::byte* soon = ahead;
    for (int64_t j = 0; j < left.ahead.rows; ++j, soon += left.ahead.stride) __builtin_prefetch(soon, 0, 2);
    ahead += kLine * sizeof(Word);
    for (int64_t w = smaller_of(kLine, left_words); w > 0; --w, x += sizeof(Word)) add(whole_word);
  }
  if (left.tail) {
    add([](const std::byte* from) INKSTONE_INLINE_LAMBDA {
      uint16_t half;
      std::memcpy(&half, from, sizeof half);
      return static_cast<Word>(half);
    });
  }
  INKSTONE_UNROLL
  for (int j = 0; j < kHeight; ++j) {
    INKSTONE_UNROLL
    for (int v = 0; v < kVectors; ++v) store(sums + j * kPanel + v * kLanes, total[j][v]);
  }
}

template <typename Units, int kVectors>
INKSTONE_INLINE void multiply_strip_of(int64_t height, const LeftRows& left, const Word* strip, bool first,
                                       float* sums) {
  static_assert(kTileRows == 6);
  switch (height) {
    case 1: return multiply_strip<Units, 1, kVectors>(left, strip, first, sums);
    case 2: return multiply_strip<Units, 2, kVectors>(left, strip, first, sums);
    case 3: return multiply_strip<Units, 3, kVectors>(left, strip, first, sums);
    case 4: return multiply_strip<Units, 4, kVectors>(left, strip, first, sums);
    case 5: return multiply_strip<Units, 5, kVectors>(left, strip, first, sums);
    default: return multiply_strip<Units, 6, kVectors>(left, strip, first, sums);
  }
}

// The panel's first `vectors` vectors of sums (rounded up to whole strips).
template <typename Units>
void multiply_tile(int64_t height, const LeftRows& left, const Word* panel, int vectors, bool first, float* sums) {
  if (vectors == 1) return multiply_strip_of<Units, 1>(height, left, panel, first, sums);
  const int64_t words = left.whole + left.tail;
  LeftRows rest = left;
  for (int v = 0; v < vectors; v += kStripVectors, rest.ahead.rows = 0) {
    multiply_strip_of<Units, kStripVectors>(height, rest, panel + v * words * kLanes, first, sums + v * kLanes);
  }
}

// ---- what becomes of the sums

struct FinishedRows {
  int64_t rows, columns;  // of the result; at most kPanel columns
  int64_t stride;         // elements from one row of it to the next
  const float* bias;      // kPanel of them
};

template <typename T, typename F>
INKSTONE_INLINE void finish(const FinishedRows& to, const float* sums, const T* residual, T* out, const F& f) {
  for (int64_t r = 0; r < to.rows; ++r, sums += kPanel, out += to.stride) {
    for (int64_t c = 0; c < to.columns; c += kLanes) {
      const int64_t count = to.columns - c;
      Vec y = f(sums + c, to.bias + c);
      if (count >= kLanes) {
        if (residual) y += load(residual + c);
        store(out + c, y);
      } else {
        if (residual) y += load_some(residual + c, count);
        store_some(out + c, y, count);
      }
    }
    if (residual) residual += to.stride;
  }
}

template <typename T>
void finish_tile(const FinishedRows& to, const float* sums, Activation activation, const T* residual, T* out) {
  with_activation(activation, [&](auto activated) {
    finish(to, sums, residual, out, [&](const float* sum, const float* bias) INKSTONE_INLINE_LAMBDA {
      return activated(load(sum) + load(bias));
    });
  });
}

// The second half of the panel gates the first.
template <typename T>
void finish_gated_tile(const FinishedRows& to, const float* sums, T* out) {
  finish(to, sums, static_cast<const T*>(nullptr), out,
         [&](const float* sum, const float* bias) INKSTONE_INLINE_LAMBDA {
           return (load(sum) + load(bias)) * gelu(load(sum + kPanel / 2) + load(bias + kPanel / 2));
         });
}

}  // namespace inkstone::INKSTONE_ISA
