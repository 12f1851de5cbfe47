// The shape and type of an op's result. There is one infer() for each op, and no default case.
#pragma once

#include <vector>

#include "ir/op.h"

namespace inkstone {

struct Signature {
  Shape shape;
  DType type = DType::kF32;
};

// Throws Error "op: what is wrong with which sizes" if the inputs, or their number, do not fit.
Signature infer(const Op& op, const std::vector<Signature>& in);

}  // namespace inkstone
