// Walks over the graph, and lowers the ops that are one kernel of kernels/.
#include "backend/cpu/lower.h"

#include <algorithm>
#include <cmath>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/layout.h"
#include "base/error.h"
#include "ir/print.h"

namespace inkstone::cpu {
namespace {

using Dims = dnnl::memory::dims;

Dims row_major(const Shape& shape) {
  Dims strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

// How a value of this shape and type is stored.
dnnl::memory::desc stored_desc(const Shape& shape, DType type) {
  if (shape.empty()) return {{1}, dnnl_type(type), Dims{1}};
  if (shape.size() == 4) return {shape, dnnl_type(type), dnnl::memory::format_tag::nhwc};
  return {shape, dnnl_type(type), row_major(shape)};
}

// The first axis counts rows, the last one is contiguous.
void expect_row_major(const Lowered& at, int k) {
  INKSTONE_CHECK(stored_row_major(at.in(k).shape), "cpu: ", print(at.node, at.id), ": images ",
                 to_string(at.in(k).shape), " have to become tokens first");
}

int64_t rows_of(const Shape& shape) { return count(shape) / shape.back(); }

double bytes_moved(const Call& call, std::span<const compile::ArenaValue> values) {
  size_t sum = call.arena.writes >= 0 ? values[static_cast<size_t>(call.arena.writes)].bytes : 0;
  for (const int value : call.arena.reads) sum += values[static_cast<size_t>(value)].bytes;
  for (const Packing& packing : call.weights) sum += packing.packed.get_size();
  return static_cast<double>(sum);
}

size_t padded(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

Lowering::Lowering(const Graph& graph, const CompileOptions& options, const dnnl::engine& engine)
    : graph_(graph),
      options_(options),
      engine_(engine),
      readers_(graph.nodes().size()),
      written_(graph.nodes().size()) {
  for (int id = 0; id < static_cast<int>(graph.nodes().size()); ++id) {
    const Node& node = graph.node(id);
    values_.push_back({bytes(node.shape, node.type)});
    for (const int input : node.inputs) readers_[input].push_back(id);
  }
  for (const int output : graph.outputs()) readers_[output].push_back(-1);
  for (int id = 0; id < static_cast<int>(graph.nodes().size()); ++id) {
    if (weight_of(id) >= 0 || is_written(id)) continue;
    for (const int input : graph.node(id).inputs) fetch(input);
    lower_node({*this, id, graph.node(id)});
  }
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    fetch(graph.outputs()[i]);
    lower_output(*this, graph.outputs()[i], i);
  }
}

// An input is copied in right before its first reader, so that it takes no memory before.
void Lowering::fetch(int value) {
  if (!std::holds_alternative<op::Input>(graph_.node(value).op) || is_written(value)) return;
  const auto before = std::span(graph_.nodes()).first(static_cast<size_t>(value));
  const auto is_input = [](const Node& node) { return std::holds_alternative<op::Input>(node.op); };
  lower_input({*this, value, graph_.node(value)}, static_cast<size_t>(std::ranges::count_if(before, is_input)));
}

void Lowering::add(Call call) {
  if (call.bytes == 0) call.bytes = bytes_moved(call, values_);
  if (call.arena.writes >= 0) written_[call.arena.writes] = true;
  calls_.push_back(std::move(call));
}

int Lowering::only_reader(int value) const { return readers_[value].size() == 1 ? readers_[value][0] : -1; }

int Lowering::weight_of(int value) const {
  for (;;) {
    const Node& node = graph_.node(value);
    if (std::holds_alternative<op::Weight>(node.op) || std::holds_alternative<op::Constant>(node.op)) return value;
    if (!std::holds_alternative<op::Reshape>(node.op) && !std::holds_alternative<op::Cast>(node.op)) return -1;
    value = node.inputs[0];
  }
}

bool Lowering::place_inside(int piece, int whole, size_t at) {
  const size_t all = values_[piece].bytes;
  while (values_[piece].inside >= 0 && values_[piece].at == 0) piece = values_[piece].inside;
  const bool computed = weight_of(piece) < 0 && piece != whole;
  if (!computed || values_[piece].inside >= 0 || values_[piece].bytes != all) return false;
  view(piece, whole, at);
  return true;
}

Call Lowered::call() const {
  Call call;
  call.op = name_of(node.op);
  for (size_t k = 0; k < node.inputs.size(); ++k)
    call.detail += (k ? " " : "") + to_string(in(static_cast<int>(k)).shape);
  call.detail += std::string(" ") + name_of(node.type);
  call.arena.writes = id;
  return call;
}

Operand Lowered::read(Call& call, int k) const {
  if (is_weight(k)) return read_packed(call, k, in(k).type == DType::kI32 ? DType::kI32 : node.type);
  call.arena.reads.push_back(node.inputs[k]);
  return {node.inputs[k], -1};
}

Operand Lowered::read_over(Call& call, int k) const {
  const Operand operand = read(call, k);
  if (operand.value >= 0) call.arena.overwrites.push_back(operand.value);
  return operand;
}

Operand Lowered::read_packed(Call& call, int k, DType type) const {
  const Shape& shape = in(k).shape;
  return read_packed(call, k, shape.empty() ? Dims{1} : row_major(shape), stored_desc(shape, type));
}

Operand Lowered::read_packed(Call& call, int k, dnnl::memory::dims strides, dnnl::memory::desc packed) const {
  const int weight = to.weight_of(node.inputs[k]);
  INKSTONE_CHECK(weight >= 0, "cpu: ", print(node, id), ": input ", k, " has to be a weight or a constant");
  call.weights.push_back({weight, std::move(strides), std::move(packed)});
  return {-1, static_cast<int>(call.weights.size()) - 1};
}

size_t Lowered::read_mapped(Call& call, int k, size_t max_bytes) const {
  const int weight = to.weight_of(node.inputs[k]);
  INKSTONE_CHECK(weight >= 0, "cpu: ", print(node, id), ": input ", k, " has to be a weight or a constant");
  call.mapped.push_back({weight, max_bytes});
  return call.mapped.size() - 1;
}

void lower_node(const Lowered& at) {
  try {
    std::visit([&](const auto& op) { lower(op, at); }, at.node.op);
  } catch (const dnnl::error& error) {
    fail(INKSTONE_HERE,
         {"cpu: oneDNN has no kernel for ", print(at.node, at.id), " (", error.message, "); try --precision fp32"});
  }
}

void lower(const op::Input&, const Lowered&) {}   // by lower_input
void lower(const op::Weight&, const Lowered&) {}  // packed for those who read it
void lower(const op::Constant&, const Lowered&) {}

void lower(const op::Attention& op, const Lowered& at) {
  const Shape &q = at.in(0).shape, &k = at.in(1).shape;
  kernels::AttentionShape shape{};
  shape.rows = q[0], shape.queries = q[1], shape.keys = k[1], shape.heads = op.heads,
  shape.head_width = q[2] / op.heads;
  shape.q_stride = shape.k_stride = shape.v_stride = shape.out_stride = q[2];
  shape.scale = 1 / std::sqrt(static_cast<float>(shape.head_width));
  shape.causal = op.causal;
  shape.sliced = at.to.options().attention_slicing;
  INKSTONE_CHECK(shape.head_width <= kernels::kMaxHeadWidth, "attention: heads of ", shape.head_width, ", at most ",
                 kernels::kMaxHeadWidth);
  Call call = at.call();
  const Operand queries = at.read(call, 0), keys = at.read(call, 1), values = at.read(call, 2);
  const DType type = at.node.type;
  call.scratch = kernels::table().attention_scratch(shape, type);
  call.flops = 4.0 * static_cast<double>(count(q)) * static_cast<double>(k[1]);
  call.bind = [=, id = at.id](const Binding& b) -> Launch {
    const kernels::AttentionData data{queries.at(b), keys.at(b), values.at(b), b.values[id], b.scratch};
    return [=](const HostTensors&) { kernels::table().attention(shape, type, data); };
  };
  at.to.add(std::move(call));
}

namespace {

kernels::GroupNormShape group_shape(const Shape& x, int groups, float epsilon, bool silu) {
  return {x[0], count(x) / (x[0] * x[1]), x[1], groups, epsilon, silu};
}

// Rank 3 is stored [n, c, pixels], unlike an image, and is too rare for a kernel of its own.
void expect_image(const Lowered& at) {
  INKSTONE_CHECK(at.in(0).shape.size() != 3, "cpu: ", print(at.node, at.id), ": ", to_string(at.in(0).shape),
                 " is neither an image nor a row");
}

}  // namespace

namespace {

// Of the first inputs, bands of one map [+ addend, the fourth], into the node's value.
void lower_stats(const Lowered& at, kernels::GroupNormShape shape, int number, bool has_addend) {
  Call call = at.call();
  call.op = "group_stats";
  std::vector<std::pair<Operand, int64_t>> pieces;
  shape.pieces = number;
  for (int k = 0; k < number; ++k) {
    pieces.emplace_back(at.read(call, k), group_shape(at.in(k).shape, 1, 0, false).pixels);
    if (k > 0) shape.pixels += pieces.back().second;
  }
  const Operand addend = has_addend ? at.read(call, 3) : Operand{};
  const DType type = at.in(0).type;
  call.scratch = kernels::table().group_scratch(shape);
  call.bind = [=, id = at.id](const Binding& b) -> Launch {
    kernels::GroupNormData data{};
    data.x = pieces[0].first.at(b), data.scratch = b.scratch;
    if (has_addend) data.addend = reinterpret_cast<float*>(addend.at(b));
    data.stats = reinterpret_cast<float*>(b.values[id]);
    std::vector<kernels::GroupPiece> bands;
    for (const auto& [x, pixels] : pieces) bands.push_back({x.at(b), pixels});
    return [=, bands = std::move(bands)](const HostTensors&) {
      kernels::GroupNormData whole = data;
      if (bands.size() > 1) whole.pieces = bands.data();
      kernels::table().group_stats(shape, type, whole);
    };
  };
  at.to.add(std::move(call));
}

}  // namespace

void lower(const op::GroupNorm& op, const Lowered& at) {
  expect_image(at);
  const kernels::GroupNormShape shape = group_shape(at.in(0).shape, op.groups, op.epsilon, op.silu);
  if (fused_consumer(at) >= 0) {
    at.to.resize(at.id, bytes({shape.rows, shape.groups, 2}, DType::kF32));
    return lower_stats(at, shape, 1, op.addend);
  }
  Call call = at.call();
  const Operand x = at.read_over(call, 0), scale = at.read_packed(call, 1, DType::kF32),
                shift = at.read_packed(call, 2, DType::kF32);
  const Operand addend = op.addend ? at.read(call, 3) : Operand{};
  const DType type = at.node.type, addend_type = op.addend && !at.is_weight(3) ? at.in(3).type : type;
  const size_t work = padded(kernels::table().group_scratch(shape)),
               stats = padded(bytes({shape.rows, shape.groups, 2}, DType::kF32));
  call.scratch = work + stats + (op.addend ? bytes({shape.rows, shape.channels}, DType::kF32) : 0);
  call.bind = [=, id = at.id, has_addend = op.addend](const Binding& b) -> Launch {
    kernels::GroupNormData data{};
    data.x = x.at(b), data.out = b.values[id], data.scratch = b.scratch;
    data.scale = reinterpret_cast<float*>(scale.at(b)), data.shift = reinterpret_cast<float*>(shift.at(b));
    data.stats = reinterpret_cast<float*>(b.scratch + work);
    if (!has_addend) return [=](const HostTensors&) { kernels::table().group_norm(shape, type, data); };
    std::byte* const given = addend.at(b);
    std::byte* const wide = addend_type == DType::kF32 ? given : b.scratch + work + stats;
    data.addend = reinterpret_cast<float*>(wide);
    return [=](const HostTensors&) {
      if (wide != given) kernels::table().cast(shape.rows * shape.channels, addend_type, given, DType::kF32, wide);
      kernels::table().group_norm(shape, type, data);
    };
  };
  at.to.add(std::move(call));
}

void lower(const op::GroupStats& op, const Lowered& at) {
  expect_image(at);
  const int pieces = static_cast<int>(at.node.inputs.size());
  lower_stats(at, group_shape(at.in(0).shape, op.groups, op.epsilon, false), pieces, false);
}

void lower(const op::GroupApply& op, const Lowered& at) {
  expect_image(at);
  if (fused_consumer(at) >= 0) return;
  const kernels::GroupNormShape shape = group_shape(at.in(0).shape, op.groups, 0, op.silu);
  Call call = at.call();
  const Operand x = at.read_over(call, 0), stats = at.read(call, 1);
  const Operand scale = at.read_packed(call, 2, DType::kF32), shift = at.read_packed(call, 3, DType::kF32);
  const DType type = at.node.type;
  call.bind = [=, id = at.id](const Binding& b) -> Launch {
    kernels::GroupNormData data{};
    data.x = x.at(b), data.out = b.values[id], data.stats = reinterpret_cast<float*>(stats.at(b));
    data.scale = reinterpret_cast<float*>(scale.at(b)), data.shift = reinterpret_cast<float*>(shift.at(b));
    return [=](const HostTensors&) { kernels::table().group_apply(shape, type, data); };
  };
  at.to.add(std::move(call));
}

void lower(const op::LayerNorm& op, const Lowered& at) {
  expect_row_major(at, 0);
  Call call = at.call();
  const Operand x = at.read_over(call, 0), scale = at.read_packed(call, 1, DType::kF32),
                shift = at.read_packed(call, 2, DType::kF32);
  const Shape& shape = at.node.shape;
  call.bind = [=, id = at.id, rows = rows_of(shape), width = shape.back(),
               type = at.node.type](const Binding& b) -> Launch {
    const kernels::Table::LayerNorm norm{rows, width, op.epsilon, reinterpret_cast<float*>(scale.at(b)),
                                         reinterpret_cast<float*>(shift.at(b))};
    return [=, from = x.at(b), to = b.values[id]](const HostTensors&) {
      kernels::table().layer_norm(norm, type, from, to);
    };
  };
  at.to.add(std::move(call));
}

void lower(const op::Embedding&, const Lowered& at) {
  Call call = at.call();
  const Operand ids = at.read(call, 0);
  const bool stored = std::holds_alternative<op::Weight>(at.in(1).op);
  const size_t mapped = stored ? at.read_mapped(call, 1, bytes(at.node.shape, DType::kF32)) : 0;
  const Operand computed = stored ? Operand{} : at.read(call, 1);
  const Shape& table = at.in(1).shape;
  const size_t number = static_cast<size_t>(count(at.in(0).shape));
  // and of the table as many rows
  call.bytes = static_cast<double>(number * sizeof(int32_t) + bytes(at.node.shape, at.node.type));
  call.bind = [=, rows = table[0], width = table[1], read = at.in(1).type, type = at.node.type,
               id = at.id](const Binding& b) -> Launch {
    const kernels::EmbeddingTable embedding =
        stored ? kernels::EmbeddingTable{rows, width, b.mapped[mapped].type, b.mapped[mapped].data}
               : kernels::EmbeddingTable{rows, width, read, computed.at(b)};
    const std::span<const int32_t> which{reinterpret_cast<int32_t*>(ids.at(b)), number};
    return [=, out = b.values[id]](const HostTensors&) { kernels::embed(embedding, which, type, out); };
  };
  at.to.add(std::move(call));
}

void lower(const op::TimeEmbedding& op, const Lowered& at) {
  Call call = at.call();
  const Operand steps = at.read(call, 0);
  const size_t number = static_cast<size_t>(at.node.shape[0]);
  call.bind = [=, id = at.id, type = at.node.type](const Binding& b) -> Launch {
    const std::span<const float> which{reinterpret_cast<float*>(steps.at(b)), number};
    return [=, out = b.values[id]](const HostTensors&) { kernels::time_embedding(op, which, type, out); };
  };
  at.to.add(std::move(call));
}

void lower(const op::Activate& op, const Lowered& at) {
  Call call = at.call();
  const Operand x = at.read_over(call, 0);
  call.bind = [=, id = at.id, size = count(at.node.shape), type = at.node.type](const Binding& b) -> Launch {
    return [=, from = x.at(b), to = b.values[id]](const HostTensors&) {
      kernels::table().activate(op.kind, size, type, from, to);
    };
  };
  at.to.add(std::move(call));
}

namespace {

void strides_of(const Shape& operand, const Shape& result, kernels::Sizes4& strides) {
  const Shape from = stored(operand);
  int64_t stride = 1;
  std::fill(strides, strides + 4, 0);
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t axis = from.size() - 1 - i;
    strides[3 - i] = from[axis] == 1 && stored(result)[axis] != 1 ? 0 : stride;
    stride *= from[axis];
  }
}

using Dense = void (*)(int64_t, DType, const void*, const void*, void*);
using Broadcast = void (*)(const kernels::BroadcastShape&, DType, const void*, const void*, void*);

void lower_pair(const Lowered& at, Dense dense, Broadcast broadcast) {
  const Shape &a = at.in(0).shape, &b = at.in(1).shape, &out = at.node.shape;
  INKSTONE_CHECK(out.size() <= 4, "cpu: ", print(at.node, at.id), ": more than four axes");
  Call call = at.call();
  const Operand left = at.read_over(call, 0), right = at.read_over(call, 1);
  kernels::BroadcastShape shape{};
  std::fill(shape.sizes, shape.sizes + 4, 1);
  const Shape sizes = stored(out);
  std::copy(sizes.begin(), sizes.end(), shape.sizes + 4 - sizes.size());
  strides_of(a, out, shape.a);
  strides_of(b, out, shape.b);
  call.bind = [=, id = at.id, same = a == b, size = count(out), type = at.node.type](const Binding& bound) -> Launch {
    const auto from = left.at(bound), other = right.at(bound), to = bound.values[id];
    if (same) return [=](const HostTensors&) { dense(size, type, from, other, to); };
    return [=](const HostTensors&) { broadcast(shape, type, from, other, to); };
  };
  at.to.add(std::move(call));
}

}  // namespace

void lower(const op::Add&, const Lowered& at) { lower_pair(at, kernels::table().add, kernels::table().add_broadcast); }
void lower(const op::Mul&, const Lowered& at) {
  lower_pair(at, kernels::table().multiply, kernels::table().multiply_broadcast);
}

void lower(const op::Geglu&, const Lowered& at) {
  expect_row_major(at, 0);
  Call call = at.call();
  const Operand x = at.read(call, 0);
  const Shape& shape = at.node.shape;
  call.bind = [=, id = at.id, rows = rows_of(shape), width = shape.back(),
               type = at.node.type](const Binding& b) -> Launch {
    return [=, from = x.at(b), to = b.values[id]](const HostTensors&) {
      kernels::table().geglu(rows, width, type, from, to);
    };
  };
  at.to.add(std::move(call));
}

void lower(const op::Cast&, const Lowered& at) {
  Call call = at.call();
  const Operand x = at.read(call, 0);
  const DType from_type = at.in(0).type, type = at.node.type;
  call.bind = [=, id = at.id, size = count(at.node.shape)](const Binding& b) -> Launch {
    return [=, from = x.at(b), to = b.values[id]](const HostTensors&) {
      kernels::table().cast(size, from_type, from, type, to);
    };
  };
  at.to.add(std::move(call));
}

}  // namespace inkstone::cpu
