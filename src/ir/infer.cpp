#include "ir/infer.h"

#include <algorithm>

#include "base/error.h"

namespace inkstone {
namespace {

using In = std::vector<Signature>;

void expect_inputs(const char* op, const In& in, size_t number) {
  INKSTONE_CHECK(in.size() == number, op, ": ", in.size(), " inputs, not ", number);
}

void expect_rank(const char* op, const Signature& value, size_t rank) {
  INKSTONE_CHECK(value.shape.size() == rank, op, ": ", to_string(value.shape), " is not of rank ", rank);
}

void expect_shape(const char* op, const char* what, const Signature& value, const Shape& shape) {
  INKSTONE_CHECK(value.shape == shape, op, ": ", what, " is ", to_string(value.shape), ", not ", to_string(shape));
}

Signature source(const char* op) { fail(INKSTONE_HERE, {op, ": its shape is declared, not inferred"}); }

Signature broadcast(const char* op, const In& in) {
  expect_inputs(op, in, 2);
  const Shape &a = in[0].shape, &b = in[1].shape;
  INKSTONE_CHECK(a.size() == b.size(), op, ": ranks differ: ", to_string(a), " and ", to_string(b));
  Shape out(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    INKSTONE_CHECK(a[i] == b[i] || a[i] == 1 || b[i] == 1, op, ": axis ", i, ": ", a[i], " against ", b[i]);
    out[i] = std::max(a[i], b[i]);
  }
  return {out, in[0].type};
}

Signature infer_op(const op::Input&, const In&) { return source("input"); }
Signature infer_op(const op::Weight&, const In&) { return source("weight"); }
Signature infer_op(const op::Constant&, const In&) { return source("constant"); }

Signature infer_op(const op::Conv2d& o, const In& in) {
  expect_inputs("conv2d", in, 2 + o.bias + o.residual);
  expect_rank("conv2d", in[0], 4);
  expect_rank("conv2d", in[1], 4);
  const Shape &x = in[0].shape, &w = in[1].shape;
  INKSTONE_CHECK(x[1] == w[1], "conv2d: ", x[1], " channels into a weight for ", w[1]);
  INKSTONE_CHECK(o.stride > 0 && o.pad_top >= 0 && o.pad_left >= 0 && o.pad_bottom >= 0 && o.pad_right >= 0,
                 "conv2d: stride ", o.stride, " or a negative padding");
  const int64_t tall = x[2] + o.pad_top + o.pad_bottom - w[2], wide = x[3] + o.pad_left + o.pad_right - w[3];
  INKSTONE_CHECK(tall >= 0 && wide >= 0, "conv2d: ", to_string(x), " is smaller than its kernel ", to_string(w));
  const Shape out{x[0], w[0], tall / o.stride + 1, wide / o.stride + 1};
  if (o.bias) expect_shape("conv2d", "bias", in[2], {w[0]});
  if (o.residual) expect_shape("conv2d", "residual", in[2 + o.bias], out);
  return {out, in[0].type};
}

Signature infer_op(const op::Linear& o, const In& in) {
  expect_inputs("linear", in, 2 + o.bias + o.residual);
  expect_rank("linear", in[1], 2);
  INKSTONE_CHECK(!in[0].shape.empty(), "linear: a scalar");
  const Shape &x = in[0].shape, &w = in[1].shape;
  INKSTONE_CHECK(x.back() == w[1], "linear: ", x.back(), " into a weight for ", w[1]);
  Shape out = x;
  out.back() = w[0];
  if (o.bias) expect_shape("linear", "bias", in[2], {w[0]});
  if (o.residual) expect_shape("linear", "residual", in[2 + o.bias], out);
  return {out, in[0].type};
}

void expect_groups(const char* op, const Signature& x, int groups) {
  INKSTONE_CHECK(x.shape.size() >= 2, op, ": ", to_string(x.shape), " has no channels");
  INKSTONE_CHECK(groups > 0 && x.shape[1] % groups == 0, op, ": ", x.shape[1], " channels in ", groups, " groups");
}

Signature infer_op(const op::GroupNorm& o, const In& in) {
  expect_inputs("group_norm", in, 3 + o.addend);
  expect_groups("group_norm", in[0], o.groups);
  const int64_t c = in[0].shape[1];
  expect_shape("group_norm", "scale", in[1], {c});
  expect_shape("group_norm", "shift", in[2], {c});
  if (o.addend) expect_shape("group_norm", "addend", in[3], {in[0].shape[0], c});
  return in[0];
}

Signature infer_op(const op::LayerNorm&, const In& in) {
  expect_inputs("layer_norm", in, 3);
  INKSTONE_CHECK(!in[0].shape.empty(), "layer_norm: a scalar");
  expect_shape("layer_norm", "scale", in[1], {in[0].shape.back()});
  expect_shape("layer_norm", "shift", in[2], {in[0].shape.back()});
  return in[0];
}

Signature infer_op(const op::Attention& o, const In& in) {
  expect_inputs("attention", in, 3);
  for (const Signature& value : in) expect_rank("attention", value, 3);
  const Shape &q = in[0].shape, &k = in[1].shape;
  INKSTONE_CHECK(k == in[2].shape, "attention: keys ", to_string(k), " and values ", to_string(in[2].shape), " differ");
  INKSTONE_CHECK(q[0] == k[0] && q[2] == k[2], "attention: queries ", to_string(q), " and keys ", to_string(k),
                 " differ");
  INKSTONE_CHECK(o.heads > 0 && q[2] % o.heads == 0, "attention: width ", q[2], " in ", o.heads, " heads");
  INKSTONE_CHECK(!o.causal || q[1] == k[1], "attention: causal with ", q[1], " queries and ", k[1], " keys");
  return in[0];
}

Signature infer_op(const op::Embedding&, const In& in) {
  expect_inputs("embedding", in, 2);
  expect_rank("embedding", in[0], 2);
  expect_rank("embedding", in[1], 2);
  return {{in[0].shape[0], in[0].shape[1], in[1].shape[1]}, in[1].type};
}

Signature infer_op(const op::TimeEmbedding& o, const In& in) {
  expect_inputs("time_embedding", in, 1);
  expect_rank("time_embedding", in[0], 1);
  INKSTONE_CHECK(o.channels > 0, "time_embedding: ", o.channels, " channels");
  return {{in[0].shape[0], o.channels}, DType::kF32};
}

Signature infer_op(const op::Activate&, const In& in) {
  expect_inputs("activate", in, 1);
  return in[0];
}

Signature infer_op(const op::Add&, const In& in) { return broadcast("add", in); }
Signature infer_op(const op::Mul&, const In& in) { return broadcast("mul", in); }

Signature infer_op(const op::Concat& o, const In& in) {
  INKSTONE_CHECK(in.size() >= 2, "concat: ", in.size(), " inputs");
  const int rank = static_cast<int>(in[0].shape.size());
  INKSTONE_CHECK(0 <= o.axis && o.axis < rank, "concat: axis ", o.axis, " of ", to_string(in[0].shape));
  Signature out = in[0];
  for (size_t i = 1; i < in.size(); ++i) {
    Shape other = in[i].shape;
    INKSTONE_CHECK(static_cast<int>(other.size()) == rank, "concat: ", to_string(other), " after ",
                   to_string(in[0].shape));
    out.shape[o.axis] += other[o.axis];
    other[o.axis] = in[0].shape[o.axis];
    INKSTONE_CHECK(other == in[0].shape, "concat: ", to_string(in[i].shape), " after ", to_string(in[0].shape),
                   " along axis ", o.axis);
  }
  return out;
}

Signature infer_op(const op::Slice& o, const In& in) {
  expect_inputs("slice", in, 1);
  INKSTONE_CHECK(0 <= o.axis && o.axis < static_cast<int>(in[0].shape.size()), "slice: axis ", o.axis, " of ",
                 to_string(in[0].shape));
  INKSTONE_CHECK(0 <= o.begin && o.begin < o.end && o.end <= in[0].shape[o.axis], "slice: ", o.begin, "..", o.end,
                 " of ", in[0].shape[o.axis]);
  Signature out = in[0];
  out.shape[o.axis] = o.end - o.begin;
  return out;
}

Signature infer_op(const op::Reshape& o, const In& in) {
  expect_inputs("reshape", in, 1);
  INKSTONE_CHECK(count(o.shape) == count(in[0].shape), "reshape: ", to_string(in[0].shape), " to ", to_string(o.shape));
  return {o.shape, in[0].type};
}

Signature infer_op(const op::ToTokens&, const In& in) {
  expect_inputs("to_tokens", in, 1);
  expect_rank("to_tokens", in[0], 4);
  const Shape& x = in[0].shape;
  return {{x[0], x[2] * x[3], x[1]}, in[0].type};
}

Signature infer_op(const op::ToImage& o, const In& in) {
  expect_inputs("to_image", in, 1);
  expect_rank("to_image", in[0], 3);
  const Shape& x = in[0].shape;
  INKSTONE_CHECK(o.height * o.width == x[1], "to_image: ", x[1], " tokens for ", o.height, "x", o.width);
  return {{x[0], x[2], o.height, o.width}, in[0].type};
}

Signature infer_op(const op::Upsample2x& o, const In& in) {
  expect_inputs("upsample2x", in, 1);
  expect_rank("upsample2x", in[0], 4);
  const Shape& x = in[0].shape;
  return {{x[0], x[1], 2 * x[2] - o.odd_height, 2 * x[3] - o.odd_width}, in[0].type};
}

Signature infer_op(const op::Repeat& o, const In& in) {
  expect_inputs("repeat", in, 1);
  INKSTONE_CHECK(!in[0].shape.empty(), "repeat: a scalar has no rows");
  INKSTONE_CHECK(o.times >= 1, "repeat: ", o.times, " times");
  Signature out = in[0];
  out.shape[0] *= o.times;
  return out;
}

Signature infer_op(const op::Geglu&, const In& in) {
  expect_inputs("geglu", in, 1);
  INKSTONE_CHECK(!in[0].shape.empty() && in[0].shape.back() % 2 == 0, "geglu: ", to_string(in[0].shape),
                 " has no two halves");
  Signature out = in[0];
  out.shape.back() /= 2;
  return out;
}

Signature infer_op(const op::Cast& o, const In& in) {
  expect_inputs("cast", in, 1);
  return {in[0].shape, o.type};
}

Signature infer_op(const op::GroupStats& o, const In& in) {
  INKSTONE_CHECK(!in.empty(), "group_stats: no inputs");
  expect_groups("group_stats", in[0], o.groups);
  for (size_t i = 0; in.size() > 1 && i < in.size(); ++i) {
    expect_rank("group_stats", in[i], 4);
    expect_shape("group_stats", "a band", in[i], {1, in[0].shape[1], in[i].shape[2], in[0].shape[3]});
    INKSTONE_CHECK(in[i].type == in[0].type, "group_stats: bands of ", name_of(in[0].type), " and ",
                   name_of(in[i].type));
  }
  return {{in[0].shape[0], o.groups, 2}, DType::kF32};
}

Signature infer_op(const op::GroupApply& o, const In& in) {
  expect_inputs("group_apply", in, 4);
  expect_groups("group_apply", in[0], o.groups);
  const Shape& x = in[0].shape;
  expect_shape("group_apply", "stats", in[1], {x[0], o.groups, 2});
  expect_shape("group_apply", "scale", in[2], {x[1]});
  expect_shape("group_apply", "shift", in[3], {x[1]});
  return in[0];
}

}  // namespace

Signature infer(const Op& op, const std::vector<Signature>& in) {
  return std::visit([&](const auto& o) { return infer_op(o, in); }, op);
}

}  // namespace inkstone
