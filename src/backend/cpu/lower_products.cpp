// Convolutions and linears by our own kernels. They work on whole batches, whose rows do not change
// each other's bits, and read weights where the model's file holds them. A GroupNorm or doubling
// before a convolution, and a Geglu after a linear, are done inside its kernel, so that those maps
// are never stored.
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/layout.h"
#include "backend/cpu/lower.h"
#include "backend/cpu/product_algorithm.h"
#include "base/error.h"

namespace inkstone::cpu {
namespace {

// Normalising while reading happens 1.5 times for each pixel, because rows of tiles overlap. That
// is too often for a convolution with little other work.
constexpr int64_t kMinFusedOutputs = 32;

template <typename O>
const O* as(const Node& node) {
  return std::get_if<O>(&node.op);
}

struct OwnProduct {
  Operand x, bias, residual, stats, scale, shift, addend;
  size_t weight = 0;
  DType residual_type = DType::kF32;
};

const float* floats(const Operand& operand, const Binding& b) {
  return operand.there() ? reinterpret_cast<const float*>(operand.at(b)) : nullptr;
}

template <typename Op>
void read_bias_and_residual(const Op& op, const Lowered& at, Call& call, OwnProduct& product) {
  if (op.bias) product.bias = at.read_packed(call, 2, DType::kF32);
  if (!op.residual) return;
  const int k = 2 + op.bias;
  product.residual_type = at.is_weight(k) ? at.node.type : at.in(k).type;
  product.residual = product.residual_type == at.node.type ? at.read_over(call, k) : at.read(call, k);
}

// Writes into `value`, which has the node's type.
template <typename ProductShape>
void add_product(const Lowered& at, Call call, const OwnProduct& product, const ProductShape& shape,
                 void (*run)(const ProductShape&, const kernels::ProductData&)) {
  const int value = call.arena.writes;
  call.bind = [=, size = count(at.node.shape), type = at.node.type](const Binding& b) -> Launch {
    kernels::ProductData data{};
    data.x = product.x.at(b), data.weight = b.mapped[product.weight];
    data.bias = floats(product.bias, b), data.out = b.values[value], data.scratch = b.scratch;
    data.stats = floats(product.stats, b), data.scale = floats(product.scale, b);
    data.shift = floats(product.shift, b), data.addend = floats(product.addend, b);
    if (product.residual.there()) data.residual = product.residual.at(b);
    if (!data.residual || product.residual_type == type) return [=](const HostTensors&) { run(shape, data); };
    kernels::ProductData cast = data;
    cast.residual = data.out;
    return [=, from = data.residual](const HostTensors&) {
      kernels::table().cast(size, product.residual_type, from, type, cast.out);
      run(shape, cast);
    };
  };
  at.to.add(std::move(call));
}

ProductAlgorithm algorithm_of_node(const Node& node, const Graph& graph, DType x_type) {
  return algorithm_of(*as<op::Conv2d>(node), x_type, graph.node(node.inputs[1]).shape, node.shape);
}

// The node that makes a convolution's input: the input itself, or the doubled image of which it is
// some rows.
struct Maker {
  int id;
  int64_t rows_above = 0, rows_below = 0;  // that the convolution does not read
};

Maker maker_of(const Graph& graph, const Node& convolution) {
  constexpr int kRows = 2;
  const Node& input = graph.node(convolution.inputs[0]);
  const auto* slice = as<op::Slice>(input);
  if (!slice || slice->axis != kRows || input.shape[0] != 1) return {convolution.inputs[0]};
  const Node& doubled = graph.node(input.inputs[0]);
  if (!as<op::Upsample2x>(doubled)) return {convolution.inputs[0]};
  return {input.inputs[0], slice->begin, doubled.shape[kRows] - slice->end};
}

// What the convolution reads if it normalises or doubles its input itself.
void read_fused(const Lowered& at, const Maker& maker, Call& call, OwnProduct& product,
                kernels::ConvolutionShape& shape) {
  const Lowered input{at.to, maker.id, at.to.graph().node(maker.id)};
  product.x = input.read(call, 0);
  if (as<op::Upsample2x>(input.node)) {
    shape.doubled = true;
    shape.height = input.node.shape[2];
    shape.pad_top -= static_cast<int>(maker.rows_above), shape.pad_bottom -= static_cast<int>(maker.rows_below);
  } else if (const auto* norm = as<op::GroupNorm>(input.node)) {
    shape.groups = norm->groups, shape.silu = norm->silu;
    call.arena.reads.push_back(input.id);
    product.stats = {input.id, -1};
    product.scale = input.read_packed(call, 1, DType::kF32), product.shift = input.read_packed(call, 2, DType::kF32);
    if (norm->addend) product.addend = input.read(call, 3);
  } else if (const auto* apply = as<op::GroupApply>(input.node)) {
    shape.groups = apply->groups, shape.silu = apply->silu;
    product.stats = input.read(call, 1);
    product.scale = input.read_packed(call, 2, DType::kF32), product.shift = input.read_packed(call, 3, DType::kF32);
  }
}

}  // namespace

DType compute_type(const Lowered& at) { return at.is_weight(0) ? at.node.type : at.in(0).type; }

int gate_of(const op::Linear& op, const Lowered& at) {
  const int reader = at.to.only_reader(at.id);
  const bool plain = !op.residual && op.activation == Activation::kNone;
  return plain && reader >= 0 && as<op::Geglu>(at.to.graph().node(reader)) ? reader : -1;
}

int fused_consumer(const Lowered& at) {
  if (!as<op::GroupNorm>(at.node) && !as<op::GroupApply>(at.node) && !as<op::Upsample2x>(at.node)) return -1;
  const Graph& graph = at.to.graph();
  int reader = at.to.only_reader(at.id);
  if (reader >= 0 && as<op::Slice>(graph.node(reader))) reader = at.to.only_reader(reader);
  if (reader < 0) return -1;
  const Node& node = graph.node(reader);
  if (!as<op::Conv2d>(node) || maker_of(graph, node).id != at.id) return -1;
  const Node &source = at.in(0), *const addend = as<op::GroupNorm>(at.node) && as<op::GroupNorm>(at.node)->addend
                                                     ? &at.in(3)
                                                     : nullptr;
  const bool typed = source.type == at.node.type && !at.is_weight(0) && (!addend || addend->type == DType::kF32);
  const bool pays = as<op::Upsample2x>(at.node) || graph.node(node.inputs[1]).shape[0] >= kMinFusedOutputs;
  return typed && pays && algorithm_of_node(node, graph, at.node.type) == ProductAlgorithm::kWinograd ? reader : -1;
}

void lower(const op::Conv2d& op, const Lowered& at) {
  const ProductAlgorithm algorithm = algorithm_of_node(at.node, at.to.graph(), compute_type(at));
  if (algorithm == ProductAlgorithm::kOneDnn) return lower_onednn(op, at);
  const Shape &x = at.in(0).shape, &w = at.in(1).shape, &y = at.node.shape;
  kernels::ConvolutionShape shape{};
  shape.images = x[0], shape.height = x[2], shape.width = x[3], shape.in = w[1], shape.out = w[0];
  shape.kernel = static_cast<int>(w[2]), shape.stride = op.stride;
  shape.pad_top = op.pad_top, shape.pad_left = op.pad_left;
  shape.pad_bottom = op.pad_bottom, shape.pad_right = op.pad_right;
  shape.x_type = compute_type(at), shape.out_type = at.node.type, shape.activation = op.activation;
  Call call = at.call();
  call.flops = 2.0 * static_cast<double>(count(y)) * static_cast<double>(w[1] * w[2] * w[3]);
  OwnProduct product;
  const Maker maker = maker_of(at.to.graph(), at.node);
  const bool fused = fused_consumer({at.to, maker.id, at.to.graph().node(maker.id)}) == at.id;
  fused ? read_fused(at, maker, call, product, shape) : static_cast<void>(product.x = at.read(call, 0));
  product.weight = at.read_mapped(call, 1);
  read_bias_and_residual(op, at, call, product);
  const kernels::Table& k = kernels::table();
  call.scratch = algorithm == ProductAlgorithm::kWinograd ? k.winograd_scratch(shape) : k.convolution_scratch(shape);
  add_product(at, std::move(call), product, shape,
              algorithm == ProductAlgorithm::kWinograd ? k.winograd : k.convolution);
}

void lower(const op::Linear& op, const Lowered& at) {
  const Shape &x = at.in(0).shape, &w = at.in(1).shape;
  INKSTONE_CHECK(stored_row_major(x) && stored_row_major(at.node.shape), "cpu: linear: an image ", to_string(x),
                 " has to become tokens first");
  if (algorithm_of(op, compute_type(at)) == ProductAlgorithm::kOneDnn) return lower_onednn(op, at);
  kernels::LinearShape shape{};
  shape.rows = count(x) / x.back(), shape.in = w[1], shape.out = w[0];
  shape.x_type = compute_type(at), shape.out_type = at.node.type, shape.activation = op.activation;
  Call call = at.call();
  call.flops = 2.0 * static_cast<double>(count(at.node.shape)) * static_cast<double>(w[1]);
  if (const int geglu = gate_of(op, at); geglu >= 0) {
    shape.geglu = true;
    call.op = "linear_geglu";
    call.arena.writes = geglu;
  }
  OwnProduct product;
  product.x = at.read(call, 0);
  product.weight = at.read_mapped(call, 1);
  read_bias_and_residual(op, at, call, product);
  call.scratch = kernels::table().linear_scratch(shape);
  add_product(at, std::move(call), product, shape, kernels::table().linear);
}

}  // namespace inkstone::cpu
