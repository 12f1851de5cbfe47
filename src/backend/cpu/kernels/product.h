// Multiplies rows by a mapped weight, for linears and convolutions. A panel of kPanel outputs and a
// chunk of the summed axis of the weight is rearranged at a time, into a buffer that stays in the
// core's own cache while all rows are multiplied by it.
#pragma once

#include "backend/cpu/kernels/mapped.h"

namespace inkstone::kernels::INKSTONE_ISA {

inline constexpr int64_t kTileRows = 6;  // rows summed at a time

// The weight is [out, channels, taps]. A row of x is ordered by chunks of channels, in a chunk by
// taps, in a tap by channels. If a word is a pair of elements and there are several taps, a row has
// an even number of channels for each tap; the last one is 0 if the weight has an odd number.
struct RowLayout {
  // Channels of a chunk: even, except in the last chunk.
  int64_t chunk;
  // Channels that a row has for each tap.
  int64_t channels;
};
RowLayout row_layout(int64_t channels, int64_t taps, DType x_type);

struct Product {
  int64_t rows, out, channels, taps;
  const void* x;
  // elements from one row of x to the next
  int64_t stride;
  DType x_type, out_type;
  Activation activation;
  bool geglu;
  MappedWeight weight;
  const float* bias;
  const void* residual;
  void* out_data;
  std::byte* scratch;  // product_scratch(...) bytes, aligned to 64
};

size_t product_scratch(int64_t channels, int64_t taps, DType x_type);
void multiply(const Product&);

}  // namespace inkstone::kernels::INKSTONE_ISA
