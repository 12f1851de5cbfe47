#include "compile/passes.h"
#include "compile/rewrite.h"

namespace inkstone::compile {
namespace {

class Fuser {
 public:
  explicit Fuser(const Graph& graph) : graph_(graph), out_(graph) {}

  Graph fuse() {
    for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) {
      const Node& node = graph_.node(id);
      const std::vector<int> in = out_.of(node.inputs);
      const int fused = std::visit([&](const auto& o) { return fuse_op(o, node, in); }, node.op);
      fused >= 0 ? out_.place(id, fused) : static_cast<void>(out_.copy(id));
    }
    return out_.finish();
  }

 private:
  template <typename O>
  int fuse_op(const O&, const Node&, const std::vector<int>&) {
    return -1;
  }

  // conv/linear/GroupNorm, then its activation
  int fuse_op(const op::Activate& o, const Node&, const std::vector<int>& in) {
    if (!out_.single(in[0])) return -1;
    const Node before = out_.node(in[0]);
    if (const auto* conv = as<op::Conv2d>(before)) return with_activation(*conv, before, o.kind);
    if (const auto* linear = as<op::Linear>(before)) return with_activation(*linear, before, o.kind);
    const auto* norm = as<op::GroupNorm>(before);
    if (!norm || norm->silu || o.kind != Activation::kSilu) return -1;
    op::GroupNorm both = *norm;
    both.silu = true;
    return out_.add(both, before.inputs);
  }

  template <typename O>
  int with_activation(O op, const Node& before, Activation kind) {
    if (op.activation != Activation::kNone || op.residual) return -1;
    op.activation = kind;
    return out_.add(op, before.inputs);
  }

  // The second operand takes the first as its residual if it can, else the first takes the second.
  // This works through ToImage too (a view of the same bytes).
  int fuse_op(const op::Add&, const Node& node, const std::vector<int>& in) {
    for (int i : {1, 0}) {
      const int sum = in[i], other = in[1 - i];
      if (!out_.single(sum) || out_.node(sum).shape != node.shape || out_.node(other).shape != node.shape) continue;
      if (const int fused = with_residual(sum, other); fused >= 0) return fused;
      const Node image = out_.node(sum);
      const auto* to_image = as<op::ToImage>(image);
      if (!to_image || !out_.single(image.inputs[0]) || !can_take_residual(out_.node(image.inputs[0]))) continue;
      const int tokens = out_.add(op::ToTokens{}, {other});
      return out_.add(*to_image, {with_residual(image.inputs[0], tokens)});
    }
    return -1;
  }

  static bool can_take_residual(const Node& node) {
    if (const auto* conv = as<op::Conv2d>(node)) return !conv->residual;
    const auto* linear = as<op::Linear>(node);
    return linear && !linear->residual;
  }

  int with_residual(int sum, int residual) {
    const Node before = out_.node(sum);
    if (!can_take_residual(before)) return -1;
    std::vector<int> inputs = before.inputs;
    inputs.push_back(residual);
    Op op = before.op;
    if (auto* conv = std::get_if<op::Conv2d>(&op)) conv->residual = true;
    if (auto* linear = std::get_if<op::Linear>(&op)) linear->residual = true;
    return out_.add(std::move(op), std::move(inputs));
  }

  // GroupNorm(h + t), t one value for each row and channel
  int fuse_op(const op::GroupNorm& o, const Node&, const std::vector<int>& in) {
    const Node before = out_.node(in[0]);
    if (o.addend || !as<op::Add>(before) || !out_.single(in[0])) return -1;
    const Node addend = out_.node(before.inputs[1]);
    const Shape& shape = out_.node(before.inputs[0]).shape;
    if (!as<op::Reshape>(addend) || addend.shape != Shape{shape[0], shape[1], 1, 1} || shape != before.shape) return -1;
    if (out_.node(addend.inputs[0]).shape != Shape{shape[0], shape[1]}) return -1;
    op::GroupNorm both = o;
    both.addend = true;
    return out_.add(both, {before.inputs[0], in[1], in[2], addend.inputs[0]});
  }

  // slice(x, first half) * gelu(slice(x, second half))
  int fuse_op(const op::Mul&, const Node& node, const std::vector<int>& in) {
    const Node value = out_.node(in[0]), gate = out_.node(in[1]);
    const auto* first = as<op::Slice>(value);
    const auto* gelu = as<op::Activate>(gate);
    if (!first || !gelu || gelu->kind != Activation::kGelu) return -1;
    const Node half = out_.node(gate.inputs[0]);
    const auto* second = as<op::Slice>(half);
    if (!second || half.inputs[0] != value.inputs[0]) return -1;
    const int last = static_cast<int>(node.shape.size()) - 1;
    const int64_t width = node.shape[last];
    const bool halves = first->axis == last && first->begin == 0 && first->end == width && second->axis == last &&
                        second->begin == width && second->end == 2 * width &&
                        out_.node(value.inputs[0]).shape[last] == 2 * width;
    return halves ? out_.add(op::Geglu{}, {value.inputs[0]}) : -1;
  }

  const Graph& graph_;
  Rewrite out_;
};

}  // namespace

Graph fuse(const Graph& graph) { return Fuser(graph).fuse(); }

}  // namespace inkstone::compile
