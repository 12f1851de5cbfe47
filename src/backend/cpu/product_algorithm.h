// Which code computes a convolution or a linear: a fixed choice for a shape and a type of machine,
// so that a build's bits do not change from run to run. bench_products and bench_winograd print the
// table that it rests on.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "ir/op.h"

namespace inkstone::cpu {

enum class ProductAlgorithm {
  // a primitive of oneDNN, with weights packed for it
  kOneDnn,
  // our kernels, on weights where the file holds them
  kPlain,
  // the same, with a quarter of the multiplications
  kWinograd,
};

// INKSTONE_PRODUCTS=own|onednn in the environment decides for all shapes, as far as they can;
// without it oneDNN is taken where the processor multiplies bf16 in tiles (AMX), which our kernels
// do not.
ProductAlgorithm algorithm_of(const op::Linear& op, DType x_type);
ProductAlgorithm algorithm_of(const op::Conv2d& op, DType x_type, const Shape& weight, const Shape& result);

// Whether oneDNN multiplies this type on this processor: bf16 needs AVX-512 there.
bool onednn_multiplies(DType type);

}  // namespace inkstone::cpu
