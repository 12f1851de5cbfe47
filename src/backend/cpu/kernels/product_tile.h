// The innermost part of a product: it multiplies a few rows by a panel of rearranged weights and
// finishes the sums.
#pragma once

#include "backend/cpu/kernels/activations.h"
#include "backend/cpu/kernels/product.h"
#include "backend/cpu/kernels/whole_numbers.h"

namespace inkstone::kernels::INKSTONE_ISA {

inline constexpr int kPanel = 64;  // columns of sums
inline constexpr int kPanelVectors = kPanel / kLanes;
// vectors of a panel that are summed at a time
inline constexpr int kStripVectors = kQueryVectors;
inline constexpr int64_t kLine = 64 / sizeof(Word);  // words of a cache line

// Rows of weights that will be needed soon. While a row of x is multiplied, as many bytes of them
// are prefetched.
struct Ahead {
  const std::byte* begin;
  int64_t stride, rows;
};

// Rows of x, in words (unaligned).
struct LeftRows {
  const std::byte* begin;
  // bytes from one row to the next
  int64_t stride;
  int64_t rows;   // 1 to kTileRows
  int64_t whole;  // words of a row
  // There is one more word, of which only the first half exists.
  bool tail;
  // The rows after these, to be prefetched; or nullptr.
  const std::byte* next;
};

// The start values of sums: the bias, which is the same for all rows, or earlier sums.
struct Start {
  const float* sums;
  // from one row of them to the next
  int64_t stride;
};

// ---- what becomes of a strip's sums (an operator() for a strip that begins `column` columns into
// the panel)

struct Keep {
  float* sums;  // a row has kPanel

  template <int kHeight, int kVectors>
  INKSTONE_INLINE void operator()(int64_t column, const Vec (&total)[kHeight][kVectors]) const {
    INKSTONE_UNROLL
    for (int j = 0; j < kHeight; ++j) {
      INKSTONE_UNROLL
      for (int v = 0; v < kVectors; ++v) store(sums + j * kPanel + column + v * kLanes, total[j][v]);
    }
  }
};

INKSTONE_INLINE void store_pair(float* to, Vec a, Vec b) {
  store(to, a);
  store(to + kLanes, b);
}
template <typename DotFormat = Bf16DotFormat>
INKSTONE_INLINE void store_pair(Bf16* to, Vec a, Vec b) {
  if constexpr (DotFormat::kElements == 2) {
    store(reinterpret_cast<Word*>(to), DotFormat::round(a, b));
  } else {
    store(to, a);
    store(to + kLanes, b);
  }
}

template <typename T>
struct Finish {
  T* out;
  const T* residual;  // or nullptr
  // elements from one row to the next
  int64_t stride;

  template <int kHeight, int kVectors>
  INKSTONE_INLINE void operator()(int64_t column, Vec (&total)[kHeight][kVectors]) const {
    static_assert(kVectors % 2 == 0);
    if (residual) {
      INKSTONE_UNROLL
      for (int j = 0; j < kHeight; ++j) {
        INKSTONE_UNROLL
        for (int v = 0; v < kVectors; ++v) total[j][v] += load(residual + j * stride + column + v * kLanes);
      }
    }
    INKSTONE_UNROLL
    for (int j = 0; j < kHeight; ++j) {
      INKSTONE_UNROLL
      for (int v = 0; v < kVectors; v += 2) {
        store_pair(out + j * stride + column + v * kLanes, total[j][v], total[j][v + 1]);
      }
    }
  }
};

// Every second vector gates the one before it.
template <typename T>
struct FinishGated {
  T* out;
  int64_t stride;

  template <int kHeight, int kVectors>
  INKSTONE_INLINE void operator()(int64_t column, const Vec (&total)[kHeight][kVectors]) const {
    static_assert(kVectors == 2 || kVectors == 4);
    T* to = out + column / 2;
    INKSTONE_UNROLL
    for (int j = 0; j < kHeight; ++j, to += stride) {
      const Vec a = total[j][0] * gelu(total[j][1]);
      if constexpr (kVectors == 4) {
        store_pair(to, a, total[j][2] * gelu(total[j][3]));
      } else {
        store(to, a);
      }
    }
  }
};

// A strip of a panel is [word][kVectors * kLanes]. Its sums: start plus row j times the strip.
template <typename DotFormat, int kHeight, int kVectors, typename End>
void multiply_strip(const LeftRows& left, const Ahead& soon, const Word* strip, int64_t column, const Start& start,
                    const End& end) {
  Vec total[kHeight][kVectors];
  INKSTONE_UNROLL
  for (int j = 0; j < kHeight; ++j) {
    INKSTONE_UNROLL
    for (int v = 0; v < kVectors; ++v) total[j][v] = load(start.sums + j * start.stride + column + v * kLanes);
  }
  const std::byte *x = left.begin, *next = left.next;
  int64_t ahead = 0;  // bytes
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
      for (int v = 0; v < kVectors; ++v) total[j][v] = DotFormat::dot(total[j][v], columns[v], all);
    }
  };
  const auto whole_word = [](const std::byte* from) INKSTONE_INLINE_LAMBDA {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
  };
  for (int64_t left_words = left.whole; left_words > 0; left_words -= kLine) {
    if (next) {
      INKSTONE_UNROLL
      for (int j = 0; j < kHeight; ++j) __builtin_prefetch(next + j * stride);
      next += kLine * sizeof(Word);
    }
    for (int64_t j = 0; j < soon.rows; ++j) __builtin_prefetch(soon.begin + (ahead + j * soon.stride), 0, 2);
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
  end(column, total);
}

template <typename DotFormat, int kVectors>
INKSTONE_INLINE void multiply_strip_of(const LeftRows& left, const Ahead& soon, const Word* strip, int64_t column,
                                       const Start& start, const Keep& end) {
  static_assert(kTileRows == 6);
  switch (left.rows) {
    case 1: return multiply_strip<DotFormat, 1, kVectors>(left, soon, strip, column, start, end);
    case 2: return multiply_strip<DotFormat, 2, kVectors>(left, soon, strip, column, start, end);
    case 3: return multiply_strip<DotFormat, 3, kVectors>(left, soon, strip, column, start, end);
    case 4: return multiply_strip<DotFormat, 4, kVectors>(left, soon, strip, column, start, end);
    case 5: return multiply_strip<DotFormat, 5, kVectors>(left, soon, strip, column, start, end);
    default: return multiply_strip<DotFormat, 6, kVectors>(left, soon, strip, column, start, end);
  }
}

// ---- a tile

// The sums of the panel's first `vectors` vectors (rounded up to whole strips).
template <typename DotFormat>
void multiply_tile(const LeftRows& left, const Ahead& soon, const Word* panel, int vectors, const Start& start,
                   float* sums) {
  if (vectors == 1) return multiply_strip_of<DotFormat, 1>(left, soon, panel, 0, start, {sums});
  const int64_t words = left.whole + left.tail;
  for (int v = 0; v < vectors; v += kStripVectors) {
    multiply_strip_of<DotFormat, kStripVectors>(left, v == 0 ? soon : Ahead{}, panel + v * words * kLanes, v * kLanes,
                                                start, {sums});
  }
}

// kTileRows rows and the whole of the panel, whose sums become results at once.
template <typename DotFormat, typename End>
void multiply_whole_tile(const LeftRows& left, const Ahead& soon, const Word* panel, const Start& start,
                         const End& end) {
  const int64_t words = left.whole + left.tail;
  for (int v = 0; v < kPanelVectors; v += kStripVectors) {
    multiply_strip<DotFormat, kTileRows, kStripVectors>(left, v == 0 ? soon : Ahead{}, panel + v * words * kLanes,
                                                        v * kLanes, start, end);
  }
}

// ---- sums that were kept

struct FinishedRows {
  // of the result; at most kPanel columns
  int64_t rows, columns;
  // elements from one row of it to the next
  int64_t stride;
};

// f(column of the result, the row's sums)
template <typename T, typename F>
INKSTONE_INLINE void finish(const FinishedRows& to, const float* sums, const T* residual, T* out, const F& f) {
  for (int64_t r = 0; r < to.rows; ++r, sums += kPanel, out += to.stride) {
    for (int64_t c = 0; c < to.columns; c += kLanes) {
      const int64_t count = to.columns - c;
      Vec y = f(c, sums);
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
    finish(to, sums, residual, out,
           [&](int64_t c, const float* row) INKSTONE_INLINE_LAMBDA { return activated(load(row + c)); });
  });
}

template <typename T>
void finish_gated_tile(const FinishedRows& to, const float* sums, T* out) {
  finish(to, sums, static_cast<const T*>(nullptr), out, [&](int64_t c, const float* row) INKSTONE_INLINE_LAMBDA {
    return load(row + 2 * c) * gelu(load(row + 2 * c + kLanes));
  });
}

}  // namespace inkstone::kernels::INKSTONE_ISA
