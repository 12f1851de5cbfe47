// The layers that models are built of. A layer takes the Scope under which its weights are named,
// adds its nodes to the graph and returns their result. Names and shapes of weights are written
// here and nowhere else.
#pragma once

#include <string>

#include "ir/graph.h"

namespace inkstone {

// A graph and a prefix for the names of weights: scope / "down_blocks" / 0.
struct Scope {
  Graph* graph;
  std::string path;

  Scope operator/(const std::string& name) const;
  Scope operator/(int index) const { return *this / std::to_string(index); }
  Value weight(const std::string& name, Shape shape) const;
};

Value input(Graph& g, const std::string& name, Shape shape, DType type = DType::kF32);
Value constant(Graph& g, std::vector<float> values, Shape shape, DType type = DType::kF32);

Value linear(Scope s, Value x, int64_t out, bool bias = true);
// padded to keep the size
Value conv(Scope s, Value x, int64_t out, int kernel, int stride = 1, bool bias = true);
// 3x3, stride 2, one zero row and column after
Value conv_right_bottom(Scope s, Value x, int64_t out);
Value group_norm(Scope s, Value x, int groups, float epsilon);
Value layer_norm(Scope s, Value x, float epsilon = 1e-5f);
Value embedding(Scope s, Value ids, int64_t rows, int64_t width);
Value rows_of(Value table, Value ids);  // [rows, c], [n, t] int32 -> [n, t, c]

Value attention(Value q, Value k, Value v, int heads, bool causal = false);
Value time_embedding(Value t, op::TimeEmbedding kind);
Value activate(Value x, Activation kind);
Value silu(Value x);
Value concat(Value a, Value b, int axis);
Value slice(Value x, int axis, int64_t begin, int64_t end);
Value reshape(Value x, Shape shape);
Value upsample2x(Value x);
// To exactly this size: h is twice the height or one less, w likewise. Equals nearest resizing,
// because floor(y * k / (2k - 1)) = floor(y / 2) for each row y of 2k - 1.
Value upsample2x(Value x, int64_t h, int64_t w);
Value repeat(Value x, int64_t times);  // each row in place
Value cast(Value x, DType type);
Value operator+(Value a, Value b);
Value operator*(Value a, Value b);

// [n, c, h, w] -> [n, h*w, c]
Value to_tokens(Value image);
Value to_image(Value tokens, int64_t h, int64_t w);  // and back

}  // namespace inkstone
