#include <map>

#include "compile/passes.h"
#include "compile/rewrite.h"

namespace inkstone::compile {
namespace {

// A convolution with so few input channels costs almost nothing in fp32. Most read the model's own input (a latent, an
// image); that of an inpainting model has nine channels, and is stored as others are.
constexpr int64_t kFewChannels = 8;

enum class Rule {
  kStored,  // reads and gives the stored type
  kFp32,    // reads and gives fp32
  kAsRead,  // gives what it reads
  kSource,  // reads nothing
};

class Chooser {
 public:
  Chooser(const Graph& graph, DType type) : graph_(graph), type_(type), out_(graph) {}

  Graph choose() {
    find_results_wanted_in_fp32();
    for (int id = 0; id < static_cast<int>(graph_.nodes().size()); ++id) place(id);
    for (int id : graph_.outputs()) out_.place(id, cast(out_.of(id), graph_.node(id).type));
    return out_.finish();
  }

 private:
  template <typename O>
  Rule rule(const O&, const Node&) const {
    return Rule::kStored;
  }
  Rule rule(const op::Input&, const Node&) const { return Rule::kSource; }
  Rule rule(const op::Weight&, const Node&) const { return Rule::kSource; }
  Rule rule(const op::Constant&, const Node&) const { return Rule::kSource; }
  Rule rule(const op::Repeat&, const Node&) const { return Rule::kAsRead; }
  Rule rule(const op::TimeEmbedding&, const Node&) const { return Rule::kFp32; }
  // By a number for each row, such as a ControlNet's scale, or one for all: in fp32.
  Rule rule(const op::Mul&, const Node& node) const {
    const Shape& by = graph_.node(node.inputs[1]).shape;
    return node.shape.size() > 1 && count(by) == by[0] && by != node.shape ? Rule::kFp32 : Rule::kStored;
  }
  Rule rule(const op::Conv2d&, const Node& node) const {
    return graph_.node(node.inputs[0]).shape[1] <= kFewChannels ? Rule::kFp32 : Rule::kStored;
  }

  // A conv or linear rounds once, at its end. If every reader needs fp32 (an output, a GroupNorm's
  // addend), its result is fp32.
  void find_results_wanted_in_fp32() {
    std::vector<int> wanted(graph_.nodes().size(), 0), uses(graph_.nodes().size(), 0);
    for (const Node& node : graph_.nodes()) {
      const auto* norm = as<op::GroupNorm>(node);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        ++uses[node.inputs[i]];
        if (norm && norm->addend && i == 3) ++wanted[node.inputs[i]];
      }
    }
    for (int id : graph_.outputs()) ++uses[id], ++wanted[id];
    gives_fp32_.resize(uses.size());
    // Readers first, because a concat of bands needs what its readers need.
    for (size_t id = uses.size(); id-- > 0;) {
      const Node& node = graph_.node(static_cast<int>(id));
      const bool passes_on = as<op::Concat>(node) || as<op::Repeat>(node);
      gives_fp32_[id] =
          (as<op::Conv2d>(node) || as<op::Linear>(node) || passes_on) && uses[id] > 0 && uses[id] == wanted[id];
      if (passes_on && gives_fp32_[id])
        for (int input : node.inputs) ++wanted[input];
    }
  }

  int cast(int id, DType type) {
    const Node& node = out_.node(id);
    if (node.type == type || node.type == DType::kI32 || as<op::Weight>(node)) return id;
    const auto [at, fresh] = casts_.emplace(std::pair(id, type), -1);
    if (fresh) at->second = out_.add(op::Cast{type}, {id});
    return at->second;
  }

  void place(int id) {
    const Node& node = graph_.node(id);
    const Rule how = std::visit([&](const auto& o) { return rule(o, node); }, node.op);
    if (how == Rule::kSource) return static_cast<void>(out_.copy(id));
    std::vector<int> in = out_.of(node.inputs);
    if (as<op::Cast>(node)) return out_.place(id, cast(in[0], type_));
    if (how == Rule::kAsRead) return out_.place(id, out_.add(node.op, std::move(in)));  // the type is inferred
    const auto* norm = as<op::GroupNorm>(node);
    for (size_t i = 0; i < in.size(); ++i) {
      const bool fp32 = how == Rule::kFp32 || (as<op::Concat>(node) && gives_fp32_[id]) || (norm && i == 3) ||
                        (as<op::GroupApply>(node) && i == 1);
      in[i] = cast(in[i], fp32 ? DType::kF32 : type_);
    }
    const int placed = out_.add(node.op, std::move(in));
    const bool stats = as<op::GroupStats>(node) != nullptr;
    const bool view_of_weight = as<op::Reshape>(node) && as<op::Weight>(graph_.node(node.inputs[0]));
    const bool fp32 = how == Rule::kFp32 || stats || gives_fp32_[id] || view_of_weight;
    out_.set_type(placed, fp32 ? DType::kF32 : type_);
    out_.place(id, placed);
  }

  const Graph& graph_;
  DType type_;
  Rewrite out_;
  std::vector<bool> gives_fp32_;
  std::map<std::pair<int, DType>, int> casts_;
};

}  // namespace

Graph choose_precision(const Graph& graph, DType type) {
  return type == DType::kF32 ? graph : Chooser(graph, type).choose();
}

}  // namespace inkstone::compile
