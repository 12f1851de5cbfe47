// Reads weights as a model's file holds them, a square at a time: kLanes rows (outputs) by kLanes
// 32-bit words of columns (inputs). A square is transposed while it is read, so that a vector holds
// one word of each row. Missing rows and columns are read as zeros; nothing is read beyond the last
// column of a row. The file may be unaligned.
#pragma once

#include <utility>

#include INKSTONE_DOT_FORMAT
#include "backend/cpu/kernels/kernels.h"

namespace inkstone::kernels::INKSTONE_ISA {

struct MappedRows {
  const std::byte* begin;  // column 0 of the first row
  // bytes from one row to the next
  int64_t stride;
  // The number of rows, which may be more or less than kLanes.
  int64_t rows;
};

template <typename X>
struct DotFormatFor {
  using Type = Bf16DotFormat;
};
template <>
struct DotFormatFor<float> {
  using Type = FloatDotFormat;
};
// The format for activations of type X (float or Bf16).
template <typename X>
using DotFormatOf = typename DotFormatFor<X>::Type;

// ---- a vector of one row

template <DType kType>
INKSTONE_INLINE Vec load_mapped(const std::byte* from) {
  if constexpr (kType == DType::kF32) {
    Vec v;
    std::memcpy(&v, from, sizeof v);
    return v;
  } else {
    HalfVec half;
    std::memcpy(&half, from, sizeof half);
    if constexpr (kType == DType::kBF16) return widen(half);
    return widen_f16(half);
  }
}

// kLanes words as DotFormatOf<X> multiplies them: rounded to bf16 where X is.
template <typename X, DType kType>
INKSTONE_INLINE BitVec load_mapped_words(const std::byte* from) {
  if constexpr (DotFormatOf<X>::kElements == 2) {
    BitVec words;
    if constexpr (kType == DType::kBF16) {
      std::memcpy(&words, from, sizeof words);
    } else {
      words = DotFormatOf<X>::round(load_mapped<kType>(from), load_mapped<kType>(from + kLanes * size_of(kType)));
    }
    return words;
  } else if constexpr (sizeof(X) == 2 && kType != DType::kBF16) {
    return bits_of(widen(narrow(load_mapped<kType>(from))));
  } else {
    return bits_of(load_mapped<kType>(from));
  }
}

// ---- a square

template <int kDistance, int... kLane>
INKSTONE_INLINE void exchange(BitVec& a, BitVec& b, std::integer_sequence<int, kLane...>) {
  const BitVec first = __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane - kDistance : kLane)...);
  b = __builtin_shufflevector(a, b, (kLane & kDistance ? kLanes + kLane : kLane + kDistance)...);
  a = first;
}

template <int kDistance>
INKSTONE_INLINE void exchange_all(BitVec (&square)[kLanes]) {
  INKSTONE_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    if (i & kDistance) continue;
    exchange<kDistance>(square[i], square[i + kDistance], std::make_integer_sequence<int, kLanes>());
  }
}

INKSTONE_INLINE void transpose(BitVec (&square)[kLanes]) {
  if constexpr (kLanes > 8) exchange_all<8>(square);
  if constexpr (kLanes > 4) exchange_all<4>(square);
  exchange_all<2>(square);
  exchange_all<1>(square);
}

// to[j]: word j of `count` columns from `first` on, for each row. At most kLanes * kElements
// columns; the words beyond are zeros.
template <typename X, DType kType>
INKSTONE_INLINE void load_words(const MappedRows& from, int64_t first, int64_t count, BitVec (&to)[kLanes]) {
  constexpr int64_t kSize = size_of(kType), kWhole = DotFormatOf<X>::kElements * kLanes;
  const std::byte* row = from.begin + first * kSize;
  if (from.rows >= kLanes && count >= kWhole) {
    INKSTONE_UNROLL
    for (int i = 0; i < kLanes; ++i, row += from.stride) to[i] = load_mapped_words<X, kType>(row);
  } else {
    for (int i = 0; i < kLanes; ++i, row += from.stride) {
      std::byte some[kWhole * kSize] = {};
      if (i < from.rows) std::memcpy(some, row, static_cast<size_t>((count < kWhole ? count : kWhole) * kSize));
      to[i] = load_mapped_words<X, kType>(some);
    }
  }
  transpose(to);
}

// The same in fp32, unrounded, at most kLanes columns: to[j] is column first + j.
template <DType kType>
INKSTONE_INLINE void load_columns(const MappedRows& from, int64_t first, int64_t count, Vec (&to)[kLanes]) {
  BitVec words[kLanes];
  load_words<float, kType>(from, first, count, words);
  INKSTONE_UNROLL
  for (int i = 0; i < kLanes; ++i) to[i] = floats_of(words[i]);
}

// f with a DType::... as a constant: with_type(type, [&]<DType kType>() { ... })
template <typename F>
INKSTONE_INLINE void with_type(DType type, const F& f) {
  if (type == DType::kF32) {
    f.template operator()<DType::kF32>();
  } else if (type == DType::kBF16) {
    f.template operator()<DType::kBF16>();
  } else {
    f.template operator()<DType::kF16>();
  }
}

}  // namespace inkstone::kernels::INKSTONE_ISA
