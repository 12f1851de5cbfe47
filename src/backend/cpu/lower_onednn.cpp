// Convolutions and linears by oneDNN. They run image by image (a linear's image is one row of
// tokens), with one primitive for every batch size. So a row's bits do not depend on the rows
// beside it, whatever blocking oneDNN would prefer for a batch, and programs of different batch
// sizes share packed weights. Measured, it costs nothing.
#include <algorithm>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/layout.h"
#include "backend/cpu/lower.h"
#include "backend/cpu/products.h"
#include "base/error.h"

namespace inkstone::cpu {
namespace {

struct OneDnnProduct {
  dnnl::primitive_desc primitive;
  int64_t images = 1;
  Operand x, weight, bias, residual;  // bias and residual may be none
  DType residual_type = DType::kF32;
};

template <typename Op>
void read_bias_and_residual(const Op& op, const Lowered& at, Call& call, OneDnnProduct& product) {
  const dnnl::memory::desc bias = bias_desc(op, at.in(1).shape);
  if (op.bias)
    product.bias = at.read_packed(call, 2, dnnl::memory::dims(static_cast<size_t>(bias.data.ndims), 1), bias);
  if (!op.residual) return;
  const int k = 2 + op.bias;
  product.residual_type = at.is_weight(k) ? at.node.type : at.in(k).type;
  product.residual = product.residual_type == at.node.type ? at.read_over(call, k) : at.read(call, k);
}

void add_product(const Lowered& at, Call call, const OneDnnProduct& product) {
  call.scratch = product.primitive.scratchpad_desc().get_size();
  call.bind = [product, id = at.id, size = count(at.node.shape), type = at.node.type](const Binding& b) -> Launch {
    Primitive primitive(product.primitive, b);
    std::byte *x = product.x.at(b), *out = b.values[id];
    std::byte* const bias = product.bias.there() ? product.bias.at(b) : nullptr;
    for (int64_t i = 0; i < product.images; ++i) {
      primitive.add({x, product.weight.at(b), bias, out, b.scratch});
      x += product.primitive.src_desc(0).get_size();
      out += product.primitive.dst_desc(0).get_size();
    }
    const std::byte* const residual = product.residual.there() ? product.residual.at(b) : b.values[id];
    return [=, to = b.values[id], residual_type = product.residual_type](const HostTensors&) {
      if (residual != to) kernels::table().cast(size, residual_type, residual, type, to);
      for (size_t i = 0; i < primitive.runs(); ++i) primitive.run(i);
    };
  };
  at.to.add(std::move(call));
}

// A linear's rows: one primitive multiplies `tokens` rows, `images` times.
struct LinearRows {
  int64_t images, tokens;
};

LinearRows linear_rows(const Shape& x) {
  const int64_t images = x.size() > 1 ? x[0] : 1;
  return {images, count(x) / x.back() / images};
}

// A piece of this size stays in the caches between the matmul and its gate.
constexpr int64_t kGatedBytes = 4 << 20;

struct GatedLinear {
  // The last piece of an image may be smaller.
  dnnl::matmul::primitive_desc first, last;
  int64_t images, pieces, piece_rows, last_rows, in, width;
  Operand x, weight, bias;
  DType in_type, type;

  size_t product_bytes() const { return static_cast<size_t>(piece_rows * 2 * width) * size_of(type); }
};

Launch bind_gated(const GatedLinear& g, std::byte* out, const Binding& b) {
  Primitive first(g.first, b), last(g.last, b);
  std::byte *const product = b.scratch, *const scratch = b.scratch + (g.product_bytes() + 63) / 64 * 64;
  std::byte* const bias = g.bias.there() ? g.bias.at(b) : nullptr;
  std::byte* x = g.x.at(b);
  for (int64_t i = 0; i < g.images; ++i) {
    for (int64_t piece = 0; piece < g.pieces; ++piece) {
      const bool is_last = piece == g.pieces - 1;
      (is_last ? last : first).add({x, g.weight.at(b), bias, product, scratch});
      x += static_cast<size_t>((is_last ? g.last_rows : g.piece_rows) * g.in) * size_of(g.in_type);
    }
  }
  const size_t line = static_cast<size_t>(g.width) * size_of(g.type);
  return [=, images = g.images, pieces = g.pieces, rows = g.piece_rows, last_rows = g.last_rows, width = g.width,
          type = g.type](const HostTensors&) {
    std::byte* to = out;
    for (int64_t i = 0; i < images; ++i) {
      for (int64_t piece = 0; piece < pieces; ++piece) {
        const bool is_last = piece == pieces - 1;
        is_last ? last.run(static_cast<size_t>(i)) : first.run(static_cast<size_t>(i * (pieces - 1) + piece));
        const int64_t number = is_last ? last_rows : rows;
        kernels::table().geglu(number, width, type, product, to);
        to += static_cast<size_t>(number) * line;
      }
    }
  };
}

// False if oneDNN needs different forms of the weight for the two sizes of pieces.
bool lower_gated(const op::Linear& op, const Lowered& at, int geglu) {
  const Shape& w = at.in(1).shape;
  const LinearRows rows = linear_rows(at.in(0).shape);
  GatedLinear g{};
  g.in_type = compute_type(at), g.type = at.node.type;
  g.images = rows.images, g.in = w[1], g.width = w[0] / 2;
  const int64_t max_tokens = std::max<int64_t>(64, kGatedBytes / (w[0] * static_cast<int64_t>(size_of(g.type))));
  g.pieces = (rows.tokens + max_tokens - 1) / max_tokens;
  g.piece_rows = (rows.tokens + g.pieces - 1) / g.pieces;
  g.last_rows = rows.tokens - (g.pieces - 1) * g.piece_rows;
  g.first = matmul(op, g.piece_rows, {g.in_type, g.type}, w, at.to.engine());
  g.last = matmul(op, g.last_rows, {g.in_type, g.type}, w, at.to.engine());
  if (g.last_rows <= 0 || g.first.weights_desc() != g.last.weights_desc()) return false;
  Call call = at.call();
  call.op = "linear_geglu";
  call.arena.writes = geglu;
  call.flops = 2.0 * static_cast<double>(count(at.node.shape)) * static_cast<double>(w[1]);
  g.x = at.read(call, 0);
  g.weight = at.read_packed(call, 1, {1, w[1]}, g.first.weights_desc());
  if (op.bias) g.bias = at.read_packed(call, 2, {1, 1}, bias_desc(op, w));
  const size_t inside = std::max(g.first.scratchpad_desc().get_size(), g.last.scratchpad_desc().get_size());
  call.scratch = (g.product_bytes() + 63) / 64 * 64 + inside;
  call.bind = [g, geglu](const Binding& b) { return bind_gated(g, b.values[geglu], b); };
  at.to.add(std::move(call));
  return true;
}

}  // namespace

void lower_onednn(const op::Conv2d& op, const Lowered& at) {
  const Shape &x = at.in(0).shape, &w = at.in(1).shape, &y = at.node.shape;
  Call call = at.call();
  call.flops = 2.0 * static_cast<double>(count(y)) * static_cast<double>(w[1] * w[2] * w[3]);
  const auto primitive =
      convolution(op, {x[1], x[2], x[3]}, {y[1], y[2], y[3]}, {compute_type(at), at.node.type}, w, at.to.engine());
  OneDnnProduct product{primitive, x[0], at.read(call, 0), {}, {}, {}};
  product.weight = at.read_packed(call, 1, {w[1] * w[2] * w[3], w[2] * w[3], w[3], 1}, primitive.weights_desc());
  read_bias_and_residual(op, at, call, product);
  add_product(at, std::move(call), product);
}

void lower_onednn(const op::Linear& op, const Lowered& at) {
  const Shape &x = at.in(0).shape, &w = at.in(1).shape;
  if (const int geglu = gate_of(op, at); geglu >= 0 && lower_gated(op, at, geglu)) return;
  Call call = at.call();
  call.flops = 2.0 * static_cast<double>(count(at.node.shape)) * static_cast<double>(w[1]);
  const LinearRows rows = linear_rows(x);
  const auto primitive = matmul(op, rows.tokens, {compute_type(at), at.node.type}, w, at.to.engine());
  OneDnnProduct product{primitive, rows.images, at.read(call, 0), {}, {}, {}};
  product.weight = at.read_packed(call, 1, {1, w[1]}, primitive.weights_desc());
  read_bias_and_residual(op, at, call, product);
  add_product(at, std::move(call), product);
}

}  // namespace inkstone::cpu
