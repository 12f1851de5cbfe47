#include <algorithm>

#include "compile/passes.h"
#include "compile/rewrite.h"

namespace inkstone::compile {
namespace {

bool all_are(const op::Constant& constant, float value) {
  return std::ranges::all_of(constant.values, [&](float v) { return v == value; });
}

bool counts_up(const op::Constant& ids, int64_t rows) {
  if (static_cast<int64_t>(ids.values.size()) != rows) return false;
  for (int64_t i = 0; i < rows; ++i)
    if (ids.values[i] != static_cast<float>(i)) return false;
  return true;
}

// The new node for a node that can be folded, or -1.
class Folder {
 public:
  explicit Folder(const Graph& graph) : graph_(graph), out_(graph) {}

  Graph fold() {
    for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) {
      const Node& node = graph_.node(id);
      const std::vector<int> in = out_.of(node.inputs);
      const int folded = std::visit([&](const auto& o) { return fold_op(o, node, in); }, node.op);
      folded >= 0 ? out_.place(id, folded) : static_cast<void>(out_.copy(id));
    }
    return out_.finish();
  }

 private:
  const op::Constant* constant(int id) const { return as<op::Constant>(out_.node(id)); }

  template <typename O>
  int fold_op(const O&, const Node&, const std::vector<int>&) {
    return -1;
  }

  int fold_op(const op::Embedding&, const Node& node, const std::vector<int>& in) {
    const op::Constant* ids = constant(in[0]);
    const bool whole = ids && node.shape[0] == 1 && counts_up(*ids, out_.node(in[1]).shape[0]);
    return whole ? out_.add(op::Reshape{node.shape}, {in[1]}) : -1;
  }

  int fold_op(const op::Reshape& o, const Node& node, const std::vector<int>& in) {
    const Node& from = out_.node(in[0]);
    if (from.shape == node.shape) return in[0];
    if (as<op::Reshape>(from)) return out_.add(o, {from.inputs[0]});
    const op::Constant* values = constant(in[0]);
    return values ? out_.add(op::Constant(*values), {}, node.shape) : -1;
  }

  int fold_op(const op::Cast& o, const Node&, const std::vector<int>& in) {
    return out_.node(in[0]).type == o.type ? in[0] : -1;
  }

  int fold_op(const op::Add&, const Node& node, const std::vector<int>& in) {
    return fold_pair(node, in, 0, [](float a, float b) { return a + b; });
  }

  int fold_op(const op::Mul&, const Node& node, const std::vector<int>& in) {
    return fold_pair(node, in, 1, [](float a, float b) { return a * b; });
  }

  template <typename F>
  int fold_pair(const Node& node, const std::vector<int>& in, float neutral, const F& combine) {
    const op::Constant *a = constant(in[0]), *b = constant(in[1]);
    if (b && all_are(*b, neutral) && out_.node(in[0]).shape == node.shape) return in[0];
    if (a && all_are(*a, neutral) && out_.node(in[1]).shape == node.shape) return in[1];
    if (!a || !b || a->values.size() != b->values.size()) return -1;
    op::Constant result = *a;
    for (size_t i = 0; i < result.values.size(); ++i) result.values[i] = combine(a->values[i], b->values[i]);
    return out_.add(std::move(result), {}, node.shape);
  }

  const Graph& graph_;
  Rewrite out_;
};

}  // namespace

Graph fold(const Graph& graph) { return Folder(graph).fold(); }

}  // namespace inkstone::compile
