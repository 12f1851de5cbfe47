// Writes each op in ONNX: one typed function for each, in the forms that ATC's parser registers for
// opsets 14 to 17 (docs/ascend.md). An op that is one fused node on some chips only is written as
// its parts.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "onnx/build.h"

namespace inkstone::onnx_export {
namespace {

// Far below any score; with the score added it is still in fp16's range.
constexpr float kHidden = -10000;

std::string write(const op::Input&, const Call&) { fail(INKSTONE_HERE, {"onnx: an input is no node"}); }
std::string write(const op::Weight&, const Call&) { fail(INKSTONE_HERE, {"onnx: a weight is no node"}); }

std::string write(const op::Constant& o, const Call& c) {
  return c.build().numbers_of(c.build().floating(o.type), c.node().shape, o.values);
}

std::string finish_product(Build& b, std::string x, Activation activation, const std::string* residual) {
  x = b.activate(x, activation);
  return residual ? b.node("Add", {x, *residual}) : x;
}

std::string write(const op::Conv2d& o, const Call& c) {
  const Shape& w = c.shape(1);
  std::vector<std::string> in{c.in(0), c.in(1)};
  if (o.bias) in.push_back(c.in(2));
  const std::string x =
      c.build().node("Conv", in,
                     {{"dilations", std::vector<int64_t>{1, 1}},
                      {"group", int64_t{1}},
                      {"kernel_shape", std::vector<int64_t>{w[2], w[3]}},
                      {"pads", std::vector<int64_t>{o.pad_top, o.pad_left, o.pad_bottom, o.pad_right}},
                      {"strides", std::vector<int64_t>{o.stride, o.stride}}});
  const std::string residual = o.residual ? c.in(2 + o.bias) : "";
  return finish_product(c.build(), x, o.activation, o.residual ? &residual : nullptr);
}

std::string write(const op::Linear& o, const Call& c) {
  std::string x = c.build().node("MatMul", {c.in(0), c.transposed(1)});
  if (o.bias) x = c.build().node("Add", {x, c.in(2)});
  const std::string residual = o.residual ? c.in(2 + o.bias) : "";
  return finish_product(c.build(), x, o.activation, o.residual ? &residual : nullptr);
}

Shape groups_of(const Shape& x, int groups) { return {x[0], groups, count(x) / std::max<int64_t>(1, x[0] * groups)}; }

// [c], reshaped to the channel axis of x.
Shape along_channels(const Shape& x) {
  Shape shape(x.size() - 1, 1);
  shape[0] = x[1];
  return shape;
}

std::string scaled(const Call& c, const std::string& normal, size_t scale, bool silu) {
  Build& b = c.build();
  const Shape channels = along_channels(c.node().shape);
  const std::string x =
      b.node("Add", {b.node("Mul", {normal, c.shaped(scale, channels)}), c.shaped(scale + 1, channels)});
  return silu ? b.activate(x, Activation::kSilu) : x;
}

// As PyTorch writes it, so that GE's fusion passes know it.
std::string write(const op::GroupNorm& o, const Call& c) {
  Build& b = c.build();
  const Shape& shape = c.node().shape;
  std::string x = c.in(0);
  if (o.addend) {
    Shape each(shape.size(), 1);
    each[0] = shape[0];
    each[1] = shape[1];
    x = b.node("Add", {x, c.shaped(3, each)});
  }
  const std::vector<float> ones(o.groups, 1), zeros(o.groups, 0);
  const std::string normal =
      b.node("InstanceNormalization",
             {b.reshape(x, groups_of(shape, o.groups)), b.numbers({o.groups}, ones), b.numbers({o.groups}, zeros)},
             {{"epsilon", o.epsilon}});
  return scaled(c, b.reshape(normal, shape), 1, o.silu);
}

std::string mean_of_last(Build& b, const std::string& x) {
  return b.node("ReduceMean", {x}, {{"axes", std::vector<int64_t>{-1}}, {"keepdims", int64_t{1}}});
}

std::string write(const op::LayerNorm& o, const Call& c) {
  Build& b = c.build();
  if (b.options().opset >= 17)
    return b.node("LayerNormalization", {c.in(0), c.in(1), c.in(2)}, {{"axis", int64_t{-1}}, {"epsilon", o.epsilon}});
  const std::string centred = b.node("Sub", {c.in(0), mean_of_last(b, c.in(0))});
  const std::string variance = mean_of_last(b, b.node("Mul", {centred, centred}));
  const std::string deviation = b.node("Sqrt", {b.node("Add", {variance, b.number(o.epsilon)})});
  const std::string normal = b.node("Div", {centred, deviation});
  return b.node("Add", {b.node("Mul", {normal, c.in(1)}), c.in(2)});
}

std::string attend(const Call& c, const std::string& q, const std::string& turned_keys, const std::string& v) {
  Build& b = c.build();
  const int64_t tokens = c.shape(0)[1];
  std::string scores = b.node("MatMul", {q, turned_keys});
  if (std::get<op::Attention>(c.node().op).causal) {
    std::vector<float> mask(tokens * tokens);
    for (int64_t t = 0; t < tokens; ++t)
      std::fill(mask.begin() + t * tokens + t + 1, mask.begin() + (t + 1) * tokens, kHidden);
    scores = b.node("Add", {scores, b.numbers({tokens, tokens}, mask)});
  }
  return b.node("MatMul", {b.node("Softmax", {scores}, {{"axis", int64_t{-1}}}), v});
}

// Queries are scaled, so that scores stay small in fp16.
std::string write(const op::Attention& o, const Call& c) {
  Build& b = c.build();
  const Shape &queries = c.shape(0), &keys = c.shape(1);
  const int64_t head = queries[2] / o.heads;
  const std::string q = b.node("Mul", {c.in(0), b.number(1 / std::sqrt(static_cast<float>(head)))});
  if (o.heads == 1) return attend(c, q, b.transpose(c.in(1), {0, 2, 1}), c.in(2));

  const auto apart = [&](const std::string& x, const Shape& shape, std::vector<int64_t> order) {
    return b.transpose(b.reshape(x, {shape[0], shape[1], o.heads, head}), std::move(order));
  };
  const std::string all[] = {apart(q, queries, {0, 2, 1, 3}), apart(c.in(1), keys, {0, 2, 3, 1}),
                             apart(c.in(2), keys, {0, 2, 1, 3})};
  const int heads = b.options().attention_heads ? std::min(b.options().attention_heads, o.heads) : o.heads;
  std::string result;
  if (heads == o.heads) {
    result = attend(c, all[0], all[1], all[2]);
  } else {
    std::vector<int64_t> sizes;
    for (int done = 0; done < o.heads; done += heads) sizes.push_back(std::min(heads, o.heads - done));
    std::vector<std::string> parts[3], made;
    for (size_t i = 0; i < 3; ++i)
      parts[i] = b.nodes("Split", {all[i], b.sizes(sizes)}, sizes.size(), {{"axis", int64_t{1}}});
    for (size_t i = 0; i < sizes.size(); ++i) made.push_back(attend(c, parts[0][i], parts[1][i], parts[2][i]));
    result = b.node("Concat", made, {{"axis", int64_t{1}}});
  }
  return b.reshape(b.transpose(result, {0, 2, 1, 3}), queries);
}

std::string write(const op::Embedding&, const Call& c) {
  return c.build().node("Gather", {c.in(1), c.in(0)}, {{"axis", int64_t{0}}});
}

std::string cast(const Call& c, const std::string& x, DType type) {
  return c.build().node("Cast", {x}, {{"to", static_cast<int64_t>(onnx_type(type))}});
}

// In fp32, whatever the file's type is, because the sines of a thousand timesteps are not distinct
// in fp16.
std::string write(const op::TimeEmbedding& o, const Call& c) {
  Build& b = c.build();
  const int64_t rows = c.shape(0)[0], half = o.channels / 2;
  std::vector<float> rates;
  for (int64_t i = 0; i < half; ++i)
    rates.push_back(std::exp(-std::log(10000.0f) * static_cast<float>(i) / (static_cast<float>(half) - o.freq_shift)));
  const std::string t = b.reshape(c.type(0) == DType::kF32 ? c.in(0) : cast(c, c.in(0), DType::kF32), {rows, 1});
  const std::string angles = b.node("Mul", {t, b.numbers_of(DType::kF32, {1, half}, rates)});
  std::vector<std::string> halves{b.node("Sin", {angles}), b.node("Cos", {angles})};
  if (o.flip_sin_to_cos) std::swap(halves[0], halves[1]);
  if (o.channels % 2) halves.push_back(b.numbers_of(DType::kF32, {rows, 1}, std::vector<float>(rows)));
  const std::string x = b.node("Concat", halves, {{"axis", int64_t{1}}});
  return b.options().type == DType::kF32 ? x : cast(c, x, b.options().type);
}

std::string write(const op::Activate& o, const Call& c) { return c.build().activate(c.in(0), o.kind); }
std::string write(const op::Add&, const Call& c) { return c.build().node("Add", {c.in(0), c.in(1)}); }
std::string write(const op::Mul&, const Call& c) { return c.build().node("Mul", {c.in(0), c.in(1)}); }

std::string write(const op::Concat& o, const Call& c) {
  std::vector<std::string> in;
  for (size_t i = 0; i < c.inputs(); ++i) in.push_back(c.in(i));
  return c.build().node("Concat", in, {{"axis", static_cast<int64_t>(o.axis)}});
}

std::string slice(Build& b, const std::string& x, int64_t axis, int64_t begin, int64_t end) {
  return b.node("Slice", {x, b.sizes({begin}), b.sizes({end}), b.sizes({axis})});
}

std::string write(const op::Slice& o, const Call& c) { return slice(c.build(), c.in(0), o.axis, o.begin, o.end); }

std::string write(const op::Reshape& o, const Call& c) { return c.shaped(0, o.shape); }

std::string write(const op::ToTokens&, const Call& c) {
  const Shape& x = c.shape(0);
  return c.build().transpose(c.build().reshape(c.in(0), {x[0], x[1], x[2] * x[3]}), {0, 2, 1});
}

std::string write(const op::ToImage&, const Call& c) {
  return c.build().reshape(c.build().transpose(c.in(0), {0, 2, 1}), c.node().shape);
}

// ATC reads height and width from constant sizes and always rounds down, whatever the mode says;
// this does the same. The sizes would contain the number of rows too; if that varies, each pixel is
// expanded into a square instead.
std::string doubled(const Call& c) {
  Build& b = c.build();
  const Shape& x = c.shape(0);
  const Shape twice{x[0], x[1], 2 * x[2], 2 * x[3]};
  if (b.varies()) {
    const std::string apart = b.reshape(c.in(0), {x[0], x[1] * x[2], 1, x[3], 1});
    return b.reshape(b.node("Expand", {apart, b.sizes({1, x[1] * x[2], 2, x[3], 2})}), twice);
  }
  return b.node("Resize", {c.in(0), "", "", b.sizes(twice)},
                {{"coordinate_transformation_mode", std::string("asymmetric")},
                 {"mode", std::string("nearest")},
                 {"nearest_mode", std::string("floor")}});
}

// An odd size is cut off what was doubled: a Resize by a fraction would depend on how a device
// rounds.
std::string write(const op::Upsample2x& o, const Call& c) {
  const std::string twice = doubled(c);
  if (!o.odd_height && !o.odd_width) return twice;
  Build& b = c.build();
  const Shape& y = c.node().shape;
  return b.node("Slice", {twice, b.sizes({0, 0}), b.sizes({y[2], y[3]}), b.sizes({2, 3})});
}

std::string write(const op::Repeat& o, const Call& c) {
  Build& b = c.build();
  const Shape& x = c.shape(0);
  const int64_t rest = count(x) / std::max<int64_t>(1, x[0]);
  const std::string wide =
      b.node("Expand", {b.reshape(c.in(0), {x[0], 1, rest}), b.sizes({b.varies() ? 1 : x[0], o.times, rest})});
  return b.reshape(wide, c.node().shape);
}

std::string write(const op::Geglu&, const Call& c) {
  Build& b = c.build();
  const int64_t axis = static_cast<int64_t>(c.node().shape.size()) - 1, width = c.node().shape.back();
  const std::string gate = b.activate(slice(b, c.in(0), axis, width, 2 * width), Activation::kGelu);
  return b.node("Mul", {slice(b, c.in(0), axis, 0, width), gate});
}

std::string write(const op::Cast& o, const Call& c) {
  const DType to = c.build().floating(o.type);
  return c.type(0) == to ? c.in(0) : cast(c, c.in(0), to);
}

// The means of bands are averaged, weighted by their sizes, so that the whole map is never in one
// piece.
std::string write(const op::GroupStats& o, const Call& c) {
  Build& b = c.build();
  std::vector<std::string> bands;
  std::vector<float> shares;
  float whole = 0;
  for (size_t i = 0; i < c.inputs(); ++i) {
    bands.push_back(b.reshape(c.in(i), groups_of(c.shape(i), o.groups)));
    shares.push_back(static_cast<float>(count(c.shape(i))));
    whole += shares.back();
  }
  const auto mean = [&](const auto& of) {
    std::string sum;
    for (size_t i = 0; i < bands.size(); ++i) {
      const std::string own = mean_of_last(b, of(bands[i]));
      const std::string part = bands.size() == 1 ? own : b.node("Mul", {own, b.number(shares[i] / whole)});
      sum = sum.empty() ? part : b.node("Add", {sum, part});
    }
    return sum;
  };
  const std::string middle = mean([](const std::string& x) { return x; });
  const std::string variance = mean([&](const std::string& x) {
    const std::string centred = b.node("Sub", {x, middle});
    return b.node("Mul", {centred, centred});
  });
  const std::string deviation = b.node("Sqrt", {b.node("Add", {variance, b.number(o.epsilon)})});
  return b.node("Concat", {middle, b.node("Reciprocal", {deviation})}, {{"axis", int64_t{2}}});
}

std::string write(const op::GroupApply& o, const Call& c) {
  Build& b = c.build();
  const std::string x = b.reshape(c.in(0), groups_of(c.node().shape, o.groups));
  const std::string centred = b.node("Sub", {x, slice(b, c.in(1), 2, 0, 1)});
  const std::string normal = b.node("Mul", {centred, slice(b, c.in(1), 2, 1, 2)});
  return scaled(c, b.reshape(normal, c.node().shape), 2, o.silu);
}

}  // namespace

std::string write_node(const Call& call) {
  return std::visit([&](const auto& o) { return write(o, call); }, call.node().op);
}

}  // namespace inkstone::onnx_export
