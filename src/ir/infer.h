// What shape and type an op gives: one infer() for each, and no case for the rest.
#pragma once

#include <vector>

#include "ir/op.h"

namespace inkstone {

struct Signature {
  Shape shape;
  DType type = DType::kF32;
};

// Throws Error "op: what is wrong with which sizes" where the inputs do not fit, their number
// included.
Signature infer(const Op& op, const std::vector<Signature>& in);

}  // namespace inkstone
