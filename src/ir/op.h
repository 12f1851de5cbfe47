// The closed list of ops. Models are built of these ops, and every backend runs all of them. To add
// one, add a row here: the compiler then names every infer() and lower() that is missing. The first
// group is used by models; compile/ makes the second group from it. Inputs in brackets exist if the
// flag of that name is set, in the order shown.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/tensor.h"

namespace inkstone {

// GELU is the exact one, by erf. Quick GELU is x * sigmoid(1.702 x). Leaky ReLU's slope below 0 is
// kLeakyReluSlope.
enum class Activation { kNone, kSilu, kGelu, kQuickGelu, kRelu, kLeakyRelu };
inline constexpr float kLeakyReluSlope = 0.2f;

namespace op {
// clang-format off
struct Input     { std::string name; DType type = DType::kF32; };
// by its name in the model's files
struct Weight    { std::string name; };
struct Constant  { std::vector<float> values; DType type = DType::kF32; };
// x, weight [out, in, k, k], [bias], [residual] -> [n, out, h, w]
struct Conv2d    {
  int stride = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;   // zeros
  bool bias = true, residual = false;                      // activation(conv + bias) + residual
  Activation activation = Activation::kNone;
};
// x [..., in], weight [out, in], [bias], [residual] -> [..., out]
struct Linear    {
  bool bias = true, residual = false;                      // activation(x w' + bias) + residual
  Activation activation = Activation::kNone;
};
// x [n, c, ...], scale [c], shift [c], [addend [n, c]]: of x + addend
struct GroupNorm { int groups; float epsilon; bool addend = false; bool silu = false; };
// over the last axis: x, scale, shift
struct LayerNorm { float epsilon; };
// q [n, t, c], k [n, s, c], v -> [n, t, c]; scores scaled by 1/sqrt(c/heads)
struct Attention { int heads; bool causal = false; };
// ids [n, t] int32, table [rows, c], a weight or a value -> [n, t, c]
struct Embedding {};
struct TimeEmbedding { int channels; bool flip_sin_to_cos = true; float freq_shift = 0; };  // [n] -> [n, channels]
struct Activate  { Activation kind; };
struct Add       {};                                       // same rank, sizes equal or 1
struct Mul       {};
struct Concat    { int axis; };                            // two or more inputs
struct Slice     { int axis; int64_t begin; int64_t end; };
struct Reshape   { Shape shape; };                         // row-major order kept
// [n, c, h, w] -> [n, h*w, c]
struct ToTokens  {};
// [n, h*w, c] -> [n, c, h, w]
struct ToImage   { int64_t height; int64_t width; };
// nearest, [n, c, h, w] -> [n, c, 2h, 2w]; an odd size is without the last row or column
struct Upsample2x { bool odd_height = false; bool odd_width = false; };
// [n, ...] -> [n*times, ...]: row r is row r / times of the input
struct Repeat    { int times; };

// [..., 2c] -> [..., c]: first half * gelu(second half)
struct Geglu     {};
struct Cast      { DType type; };
// x [n, c, ...] -> [n, groups, 2] fp32: mean and 1/sqrt(variance + epsilon); or two or more bands
// of one image, top to bottom: of the whole
struct GroupStats { int groups; float epsilon; };
// x, stats of the whole image, scale, shift
struct GroupApply { int groups; bool silu = false; };
// clang-format on
}  // namespace op

using Op = std::variant<op::Input, op::Weight, op::Constant, op::Conv2d, op::Linear, op::GroupNorm, op::LayerNorm,
                        op::Attention, op::Embedding, op::TimeEmbedding, op::Activate, op::Add, op::Mul, op::Concat,
                        op::Slice, op::Reshape, op::ToTokens, op::ToImage, op::Upsample2x, op::Repeat, op::Geglu,
                        op::Cast, op::GroupStats, op::GroupApply>;

}  // namespace inkstone
