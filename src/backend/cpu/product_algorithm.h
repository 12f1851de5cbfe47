// Which code computes a convolution or a linear: a fixed choice for a shape and a type of machine,
// so that a build's bits do not change from run to run. The choice is based on the table that
// bench_products and bench_winograd print.
#pragma once

#include "backend/cpu/kernels/kernels.h"
#include "ir/op.h"

namespace inkstone::cpu {

enum class ProductAlgorithm {
  // A oneDNN primitive; its weights are packed.
  kOneDnn,
  // Our kernels; weights are read where the file holds them.
  kPlain,
  // As kPlain, with a quarter of the multiplications.
  kWinograd,
};

// INKSTONE_PRODUCTS=own|onednn in the environment decides, for all shapes that can be computed so.
// Without it, oneDNN is used if the processor multiplies bf16 in tiles (AMX), which our kernels do
// not.
ProductAlgorithm algorithm_of(const op::Linear& op, DType x_type);
ProductAlgorithm algorithm_of(const op::Conv2d& op, DType x_type, const Shape& weight, const Shape& result);

// Whether oneDNN multiplies this type on this processor: bf16 needs AVX-512 there.
bool onednn_multiplies(DType type);

}  // namespace inkstone::cpu
