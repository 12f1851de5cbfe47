// Turns a graph into the calls that compute it, in order. It reads no weights and allocates nothing
// but its own lists.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/call.h"
#include "ir/graph.h"

namespace inkstone::cpu {

class Lowering {
 public:
  // `graph` has been through the passes and outlives the lowering.
  Lowering(const Graph& graph, const CompileOptions& options, const dnnl::engine& engine);

  const Graph& graph() const { return graph_; }
  const CompileOptions& options() const { return options_; }
  const dnnl::engine& engine() const { return engine_; }
  std::span<const compile::ArenaValue> values() const { return values_; }
  std::span<const Call> calls() const { return calls_; }

  // The Weight or Constant that has the elements of `value`, in row-major order; -1 if `value` is
  // computed.
  int weight_of(int value) const;
  // The only node that reads `value`; -1 if none or several do, or if it is an output.
  int only_reader(int value) const;
  bool is_written(int value) const { return written_[value]; }

  // For lower().
  void add(Call call);
  void view(int value, int of, size_t at = 0) { values_[value] = {values_[value].bytes, of, at}; }
  // `value` will hold something else, of this size, for its only reader.
  void resize(int value, size_t bytes) { values_[value].bytes = bytes; }
  // Returns false if the piece must be copied into the whole.
  bool place_inside(int piece, int whole, size_t at);

 private:
  // Copies `value` in, if it is an input that was not copied yet.
  void fetch(int value);

  const Graph& graph_;
  const CompileOptions options_;
  const dnnl::engine& engine_;
  std::vector<compile::ArenaValue> values_;
  std::vector<Call> calls_;
  std::vector<std::vector<int>> readers_;
  std::vector<bool> written_;
};

// The node that is being lowered.
struct Lowered {
  Lowering& to;
  int id;
  const Node& node;

  const Node& in(int k) const { return to.graph().node(node.inputs[k]); }
  bool is_weight(int k) const { return to.weight_of(node.inputs[k]) >= 0; }
  Call call() const;  // that writes this node
  // Reads input k in its own type, or a weight in this node's type.
  Operand read(Call& call, int k) const;
  // As read(), and the result may overwrite the input.
  Operand read_over(Call& call, int k) const;
  // Reads a weight in the layout that values of that type have.
  Operand read_packed(Call& call, int k, DType type) const;
  Operand read_packed(Call& call, int k, dnnl::memory::dims strides, dnnl::memory::desc packed) const;
  // Reads a weight as the file holds it. Returns its index in Call::mapped.
  size_t read_mapped(Call& call, int k, size_t max_bytes = SIZE_MAX) const;
};

void lower_node(const Lowered& at);
void lower_input(const Lowered& at, size_t number);         // copies a host tensor in
void lower_output(Lowering& to, int value, size_t number);  // and out

// Convolutions and linears: by our own kernels (lower_products.cpp), or by oneDNN's
// (lower_onednn.cpp).
void lower_onednn(const op::Conv2d& op, const Lowered& at);
void lower_onednn(const op::Linear& op, const Lowered& at);
// The convolution that is the only reader of this normalised or doubled map, if it can normalise or
// double while it reads; else -1.
int fused_consumer(const Lowered& at);
// compute_type(): the type in which a product multiplies. gate_of(): the Geglu that is the only
// reader of a linear, or -1.
DType compute_type(const Lowered& at);
int gate_of(const op::Linear& op, const Lowered& at);

// One for each op: products are in lower_products.cpp, data movement is in lower_data_movement.cpp,
// the rest in lower.cpp.
void lower(const op::Input& op, const Lowered& at);
void lower(const op::Weight& op, const Lowered& at);
void lower(const op::Constant& op, const Lowered& at);
void lower(const op::Conv2d& op, const Lowered& at);
void lower(const op::Linear& op, const Lowered& at);
void lower(const op::Attention& op, const Lowered& at);
void lower(const op::GroupNorm& op, const Lowered& at);
void lower(const op::GroupStats& op, const Lowered& at);
void lower(const op::GroupApply& op, const Lowered& at);
void lower(const op::LayerNorm& op, const Lowered& at);
void lower(const op::Embedding& op, const Lowered& at);
void lower(const op::TimeEmbedding& op, const Lowered& at);
void lower(const op::Activate& op, const Lowered& at);
void lower(const op::Add& op, const Lowered& at);
void lower(const op::Mul& op, const Lowered& at);
void lower(const op::Geglu& op, const Lowered& at);
void lower(const op::Cast& op, const Lowered& at);
void lower(const op::Concat& op, const Lowered& at);
void lower(const op::Slice& op, const Lowered& at);
void lower(const op::Reshape& op, const Lowered& at);
void lower(const op::ToTokens& op, const Lowered& at);
void lower(const op::ToImage& op, const Lowered& at);
void lower(const op::Upsample2x& op, const Lowered& at);
void lower(const op::Repeat& op, const Lowered& at);

}  // namespace inkstone::cpu
