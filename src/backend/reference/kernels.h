// Defines each op, on row-major fp32 tensors (NCHW images). Long sums are computed in double.
// Integers are int32 tensors.
#pragma once

#include <vector>

#include "base/tensor.h"
#include "ir/op.h"

namespace inkstone::reference {

using In = std::vector<const Tensor*>;

// out has the inferred shape and is overwritten. Sources (Input, Weight) have no kernel.
void run(const op::Constant&, const In& in, Tensor& out);
void run(const op::Conv2d&, const In& in, Tensor& out);
void run(const op::Linear&, const In& in, Tensor& out);
void run(const op::GroupNorm&, const In& in, Tensor& out);
void run(const op::LayerNorm&, const In& in, Tensor& out);
void run(const op::Attention&, const In& in, Tensor& out);
void run(const op::Embedding&, const In& in, Tensor& out);
void run(const op::TimeEmbedding&, const In& in, Tensor& out);
void run(const op::Activate&, const In& in, Tensor& out);
void run(const op::Add&, const In& in, Tensor& out);
void run(const op::Mul&, const In& in, Tensor& out);
void run(const op::Concat&, const In& in, Tensor& out);
void run(const op::Slice&, const In& in, Tensor& out);
void run(const op::Reshape&, const In& in, Tensor& out);
void run(const op::ToTokens&, const In& in, Tensor& out);
void run(const op::ToImage&, const In& in, Tensor& out);
void run(const op::Upsample2x&, const In& in, Tensor& out);
void run(const op::Repeat&, const In& in, Tensor& out);
void run(const op::Geglu&, const In& in, Tensor& out);
void run(const op::Cast&, const In& in, Tensor& out);
void run(const op::GroupStats&, const In& in, Tensor& out);
void run(const op::GroupApply&, const In& in, Tensor& out);

float activate(Activation kind, float x);

}  // namespace inkstone::reference
