// Walks the graph once. A new node stands for an old node, or for one copy of its rows (the base)
// together with the number of copies. If a reader needs all rows, a Repeat makes them from the
// base.
#include <algorithm>
#include <map>

#include "compile/hoist.h"
#include "compile/rewrite.h"

namespace inkstone::compile {
namespace {

// Whether a row of the result reads only the same row of input k. Other inputs (weights) are the
// same for all rows.
bool by_row(const op::Input&, int) { return false; }
bool by_row(const op::Weight&, int) { return false; }
bool by_row(const op::Constant&, int) { return false; }
bool by_row(const op::Conv2d& o, int k) { return k == 0 || k == 2 + o.bias; }
bool by_row(const op::Linear& o, int k) { return k == 0 || k == 2 + o.bias; }
bool by_row(const op::GroupNorm&, int k) { return k == 0 || k == 3; }
bool by_row(const op::LayerNorm&, int k) { return k == 0; }
bool by_row(const op::Attention&, int) { return true; }
bool by_row(const op::Embedding&, int k) { return k == 0; }
bool by_row(const op::TimeEmbedding&, int) { return true; }
bool by_row(const op::Activate&, int) { return true; }
bool by_row(const op::Add&, int) { return true; }
bool by_row(const op::Mul&, int) { return true; }
// Along the axis of rows too, because each row is repeated in its place.
bool by_row(const op::Concat&, int) { return true; }
bool by_row(const op::Slice& o, int) { return o.axis != 0; }
bool by_row(const op::Reshape&, int) { return true; }  // if it keeps rows: see Sinker::sinks
bool by_row(const op::ToTokens&, int) { return true; }
bool by_row(const op::ToImage&, int) { return true; }
bool by_row(const op::Upsample2x&, int) { return true; }
bool by_row(const op::Repeat&, int) { return true; }
bool by_row(const op::Geglu&, int) { return true; }
bool by_row(const op::Cast&, int) { return true; }
bool by_row(const op::GroupStats&, int) { return true; }
bool by_row(const op::GroupApply&, int k) { return k <= 1; }

// Ops that work along the last axis, which in a vector is the axis of rows.
bool along_last_axis(const Op& op) {
  return std::holds_alternative<op::Linear>(op) || std::holds_alternative<op::LayerNorm>(op) ||
         std::holds_alternative<op::Geglu>(op);
}

bool broadcasts(const Op& op) { return std::holds_alternative<op::Add>(op) || std::holds_alternative<op::Mul>(op); }

bool keeps_rows(const Shape& from, const Shape& to) { return !from.empty() && !to.empty() && from[0] == to[0]; }

class Sinker {
 public:
  explicit Sinker(const Graph& graph) : graph_(graph), out_(graph), placed_(graph.nodes().size()) {}

  Graph sink() {
    for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) placed_[id] = placed(id);
    for (const int id : graph_.outputs()) out_.place(id, whole(id));
    return out_.finish();
  }

 private:
  struct Placed {
    int base = -1;  // the new node
    // How often its rows must be repeated.
    int times = 1;
  };

  Placed placed(int id) {
    const Node& node = graph_.node(id);
    if (const auto* repeat = as<op::Repeat>(node)) {
      const Placed& from = placed_[node.inputs[0]];
      return {from.base, from.times * repeat->times};
    }
    const int times = sinks(node);
    std::vector<int> in;
    for (const int input : node.inputs) in.push_back(times > 1 ? placed_[input].base : whole(input));
    Op op = node.op;
    if (auto* reshape = std::get_if<op::Reshape>(&op); reshape && times > 1) reshape->shape[0] /= times;
    const int base = out_.add(std::move(op), std::move(in), node.shape);
    out_.set_type(base, node.type);
    return {base, times};
  }

  // How many copies of each row the node's result has, judged by its inputs; 1 if all rows must be
  // computed.
  int sinks(const Node& node) const {
    int times = 1;
    for (const int input : node.inputs) times = std::max(times, placed_[input].times);
    if (times == 1) return 1;
    for (int k = 0; k < static_cast<int>(node.inputs.size()); ++k) {
      const int input = node.inputs[k];
      const bool row = std::visit([&](const auto& o) { return by_row(o, k); }, node.op);
      const bool for_all_rows = broadcasts(node.op) && graph_.node(input).shape[0] == 1;
      if (placed_[input].times != (row && !for_all_rows ? times : 1)) return 1;
    }
    const Shape& first = graph_.node(node.inputs[0]).shape;
    if (along_last_axis(node.op) && first.size() < 2) return 1;
    if (std::holds_alternative<op::Reshape>(node.op) && !keeps_rows(first, node.shape)) return 1;
    return times;
  }

  int whole(int id) {
    const Placed& at = placed_[id];
    return at.times == 1 ? at.base : repeated(at.base, at.times);
  }

  // A Repeat goes before a reshape, because fuse() looks for the reshape.
  int repeated(int base, int times) {
    const auto found = repeated_.find({base, times});
    if (found != repeated_.end()) return found->second;
    const Node node = out_.node(base);
    int result = -1;
    if (as<op::Reshape>(node) && keeps_rows(out_.node(node.inputs[0]).shape, node.shape)) {
      Shape shape = node.shape;
      shape[0] *= times;
      result = out_.add(op::Reshape{std::move(shape)}, {repeated(node.inputs[0], times)});
    } else {
      result = out_.add(op::Repeat{times}, {base});
    }
    out_.set_type(result, node.type);
    return repeated_[{base, times}] = result;
  }

  const Graph& graph_;
  Rewrite out_;
  std::vector<Placed> placed_;
  std::map<std::pair<int, int>, int> repeated_;
};

}  // namespace

Graph sink_repeat(const Graph& graph) { return Sinker(graph).sink(); }

}  // namespace inkstone::compile
