// Rows times a mapped weight: what linears and convolutions have in common. The weight's columns
// are rearranged a panel of kPanel outputs and a chunk of the summed axis at a time, into a buffer
// that stays in the core's own cache while the rows pass by.
#pragma once

#include "backend/cpu/kernels/mapped.h"

namespace inkstone::kernels::INKSTONE_ISA {

inline constexpr int64_t kTileRows = 6;  // rows summed at a time

// The weight is [out, channels, taps]. A row of x follows the chunks of the summed axis: for each
// chunk of so many channels, for each tap, the channels. Where words are pairs and there are
// several taps, a row holds an even number of channels for each tap, the last of them 0 where the
// weight's are odd.
struct RowLayout {
  // channels, even unless they are the last
  int64_t chunk;
  // that a row holds for each tap
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
