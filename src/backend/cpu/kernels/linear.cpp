// One instruction set's linears.
#include "backend/cpu/kernels/product.h"
#include "backend/cpu/kernels/variant.h"

namespace inkstone::kernels::INKSTONE_ISA {

size_t linear_scratch(const LinearShape& shape) { return product_scratch(shape.in, 1, shape.x_type); }

void linear(const LinearShape& shape, const ProductData& data) {
  multiply({.rows = shape.rows,
            .out = shape.out,
            .channels = shape.in,
            .taps = 1,
            .x = data.x,
            .stride = shape.in,
            .x_type = shape.x_type,
            .out_type = shape.out_type,
            .activation = shape.activation,
            .geglu = shape.geglu,
            .weight = data.weight,
            .bias = data.bias,
            .residual = data.residual,
            .out_data = data.out,
            .scratch = data.scratch});
}

}  // namespace inkstone::kernels::INKSTONE_ISA
