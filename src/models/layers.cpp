#include "models/layers.h"

#include "base/error.h"

namespace inkstone {

Scope Scope::operator/(const std::string& name) const { return {graph, path.empty() ? name : path + "." + name}; }

Value Scope::weight(const std::string& name, Shape shape) const {
  return graph->add(op::Weight{(*this / name).path}, {}, std::move(shape));
}

Value input(Graph& g, const std::string& name, Shape shape, DType type) {
  return g.add(op::Input{name, type}, {}, std::move(shape));
}

Value constant(Graph& g, std::vector<float> values, Shape shape, DType type) {
  return g.add(op::Constant{std::move(values), type}, {}, std::move(shape));
}

Value linear(Scope s, Value x, int64_t out, bool bias) {
  std::vector<Value> in{x, s.weight("weight", {out, x.dim(-1)})};
  if (bias) in.push_back(s.weight("bias", {out}));
  return s.graph->add(op::Linear{.bias = bias}, in);
}

Value conv(Scope s, Value x, int64_t out, int kernel, int stride, bool bias) {
  const int pad = kernel / 2;
  std::vector<Value> in{x, s.weight("weight", {out, x.dim(1), kernel, kernel})};
  if (bias) in.push_back(s.weight("bias", {out}));
  return s.graph->add(op::Conv2d{stride, pad, pad, pad, pad, bias}, in);
}

Value conv_right_bottom(Scope s, Value x, int64_t out) {
  const Value weight = s.weight("weight", {out, x.dim(1), 3, 3});
  return s.graph->add(op::Conv2d{2, 0, 0, 1, 1}, {x, weight, s.weight("bias", {out})});
}

Value group_norm(Scope s, Value x, int groups, float epsilon) {
  const Shape c{x.dim(1)};
  const Value scale = s.weight("weight", c);
  return s.graph->add(op::GroupNorm{groups, epsilon}, {x, scale, s.weight("bias", c)});
}

Value layer_norm(Scope s, Value x, float epsilon) {
  const Shape c{x.dim(-1)};
  const Value scale = s.weight("weight", c);
  return s.graph->add(op::LayerNorm{epsilon}, {x, scale, s.weight("bias", c)});
}

Value embedding(Scope s, Value ids, int64_t rows, int64_t width) {
  return rows_of(s.weight("weight", {rows, width}), ids);
}
Value rows_of(Value table, Value ids) { return table.graph->add(op::Embedding{}, {ids, table}); }

Value attention(Value q, Value k, Value v, int heads, bool causal) {
  return q.graph->add(op::Attention{heads, causal}, {q, k, v});
}
Value time_embedding(Value t, op::TimeEmbedding kind) { return t.graph->add(kind, {t}); }
Value activate(Value x, Activation kind) { return x.graph->add(op::Activate{kind}, {x}); }
Value silu(Value x) { return activate(x, Activation::kSilu); }
Value concat(Value a, Value b, int axis) { return a.graph->add(op::Concat{axis}, {a, b}); }
Value slice(Value x, int axis, int64_t begin, int64_t end) { return x.graph->add(op::Slice{axis, begin, end}, {x}); }
Value reshape(Value x, Shape shape) { return x.graph->add(op::Reshape{std::move(shape)}, {x}); }
Value upsample2x(Value x) { return x.graph->add(op::Upsample2x{}, {x}); }
Value upsample2x(Value x, int64_t h, int64_t w) {
  INKSTONE_CHECK((h + 1) / 2 == x.dim(2) && (w + 1) / 2 == x.dim(3), "a map of ", x.dim(3), "x", x.dim(2),
                 " does not double to ", w, "x", h);
  return x.graph->add(op::Upsample2x{h % 2 == 1, w % 2 == 1}, {x});
}
Value repeat(Value x, int64_t times) { return times == 1 ? x : x.graph->add(op::Repeat{static_cast<int>(times)}, {x}); }
Value cast(Value x, DType type) { return x.type() == type ? x : x.graph->add(op::Cast{type}, {x}); }
Value operator+(Value a, Value b) { return a.graph->add(op::Add{}, {a, b}); }
Value operator*(Value a, Value b) { return a.graph->add(op::Mul{}, {a, b}); }
Value to_tokens(Value x) { return x.graph->add(op::ToTokens{}, {x}); }
Value to_image(Value x, int64_t h, int64_t w) { return x.graph->add(op::ToImage{h, w}, {x}); }

}  // namespace inkstone
