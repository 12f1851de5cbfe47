// Finds the owner of every value: the group of inputs that it depends on, if there is exactly one.
// A value that a group owns and that something outside the group reads is computed in the group's
// graph and passed to the rest. If such a value only reshapes, casts or repeats another value, the
// other value is passed.
#include "compile/hoist.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "compile/rewrite.h"

namespace inkstone::compile {
namespace {

// Owners that are not groups. kAnybody: the value depends on weights and constants alone. kNobody:
// it depends on inputs of several groups, or on an input of no group.
constexpr int kAnybody = -1;
constexpr int kNobody = -2;

bool is_product(const Op& op) {
  return std::holds_alternative<op::Conv2d>(op) || std::holds_alternative<op::Linear>(op) ||
         std::holds_alternative<op::Attention>(op);
}

bool is_no_work(const Op& op) {
  return std::holds_alternative<op::Reshape>(op) || std::holds_alternative<op::Cast>(op) ||
         std::holds_alternative<op::Repeat>(op);
}

class Hoister {
 public:
  Hoister(const Graph& graph, std::span<const HoistGroup> groups) : graph_(graph), groups_(groups) {}

  Hoisted hoist() {
    for (const Node& node : graph_.nodes()) {
      owners_.push_back(owner(node));
      worth_.push_back(is_product(node.op) ||
                       std::ranges::any_of(node.inputs, [&](int in) { return owners_[in] >= 0 && worth_[in]; }));
    }
    for (size_t id = 0; id < owners_.size(); ++id)
      if (owners_[id] < 0)
        for (const int input : graph_.nodes()[id].inputs) carry(input);
    for (const int output : graph_.outputs()) carry(output);

    Hoisted result;
    for (int group = 0; group < static_cast<int>(groups_.size()); ++group) result.parts.push_back(part(group));
    result.rest = rest(result.parts);
    return result;
  }

 private:
  int owner(const Node& node) const {
    if (const auto* input = as<op::Input>(node)) {
      const auto has = [&](const HoistGroup& group) { return std::ranges::count(group.inputs, input->name) > 0; };
      const auto group = std::ranges::find_if(groups_, has);
      return group == groups_.end() ? kNobody : static_cast<int>(group - groups_.begin());
    }
    int found = kAnybody;
    for (const int input : node.inputs)
      if (owners_[input] != kAnybody) found = found == kAnybody || found == owners_[input] ? owners_[input] : kNobody;
    return found;
  }

  // Passes on a value that is read outside of its group, if that saves work.
  void carry(int id) {
    if (owners_[id] < 0) return;
    while (is_no_work(graph_.node(id).op)) id = graph_.node(id).inputs[0];
    if (worth_[id]) carried_.insert(id);
  }

  std::vector<int> carried_of(int group) const {
    std::vector<int> ids;
    std::ranges::copy_if(carried_, std::back_inserter(ids), [&](int id) { return owners_[id] == group; });
    return ids;
  }

  // The nodes that are needed to compute `values`, if those in `known` are given.
  std::vector<bool> needed(const std::vector<int>& values, const std::set<int>& known) const {
    std::vector<bool> result(graph_.nodes().size());
    for (const int id : values) result[id] = true;
    for (int id = static_cast<int>(result.size()); id-- > 0;)
      if (result[id] && !known.contains(id))
        for (const int input : graph_.node(id).inputs) result[input] = true;
    return result;
  }

  // Copies the old node; its inputs are the new nodes.
  void copy(Graph& to, std::vector<int>& placed, int id) const {
    const Node& node = graph_.node(id);
    std::vector<int> inputs;
    for (const int input : node.inputs) inputs.push_back(placed[input]);
    placed[id] = to.add_node(node.op, std::move(inputs), node.shape).id;
    to.set_type(placed[id], node.type);
  }

  HoistedPart part(int group) {
    HoistedPart made;
    const std::vector<int> ids = carried_of(group);
    const std::vector<bool> wanted = needed(ids, {});
    std::vector<int> placed(wanted.size(), -1), outputs;
    for (int id = 0; id < static_cast<int>(wanted.size()); ++id)
      if (wanted[id] || (owners_[id] == group && as<op::Input>(graph_.node(id)))) copy(made.graph, placed, id);
    for (const int id : ids) {
      const DType type = groups_[group].type;
      const bool kept = graph_.node(id).type == type;
      outputs.push_back(kept ? placed[id] : made.graph.add_node(op::Cast{type}, {placed[id]}).id);
      made.names.push_back(name_of_value(id));
    }
    made.graph.set_outputs(std::move(outputs));
    made.graph = prune(made.graph);
    return made;
  }

  Graph rest(const std::vector<HoistedPart>& parts) const {
    Graph made;
    const std::vector<bool> wanted = needed(graph_.outputs(), carried_);
    std::vector<int> placed(wanted.size(), -1), outputs;
    for (int id = 0; id < static_cast<int>(wanted.size()); ++id)
      if (as<op::Input>(graph_.node(id)) && (wanted[id] || owners_[id] == kNobody)) copy(made, placed, id);
    for (int group = 0; group < static_cast<int>(groups_.size()); ++group) {
      const std::vector<int> ids = carried_of(group);
      for (size_t i = 0; i < ids.size(); ++i) {
        const Node& node = graph_.node(ids[i]);
        const DType type = groups_[group].type;
        const int in = made.add_node(op::Input{parts[group].names[i], type}, {}, node.shape).id;
        placed[ids[i]] = type == node.type ? in : made.add_node(op::Cast{node.type}, {in}).id;
      }
    }
    for (int id = 0; id < static_cast<int>(wanted.size()); ++id)
      if (wanted[id] && placed[id] < 0) copy(made, placed, id);
    for (const int id : graph_.outputs()) outputs.push_back(placed[id]);
    made.set_outputs(std::move(outputs));
    return prune(made);
  }

  // Names a value after the nearest weight that was used to compute it.
  std::string name_of_value(int id) {
    std::string name = "hoisted.value";
    for (const Node* node = &graph_.node(id); !node->inputs.empty(); node = &graph_.node(node->inputs[0])) {
      const auto* weight = node->inputs.size() > 1 ? as<op::Weight>(graph_.node(node->inputs[1])) : nullptr;
      if (!weight) continue;
      name = "hoisted." + weight->name.substr(0, weight->name.rfind('.'));
      break;
    }
    const int before = names_[name]++;
    return before ? name + "." + std::to_string(before + 1) : name;
  }

  const Graph& graph_;
  std::span<const HoistGroup> groups_;
  std::vector<int> owners_;
  // Whether computing a value takes a convolution, a linear or an attention of its own group.
  std::vector<bool> worth_;
  std::set<int> carried_;
  std::map<std::string, int> names_;
};

}  // namespace

Hoisted hoist(const Graph& graph, std::span<const HoistGroup> groups) {
  for (const HoistGroup& group : groups)
    INKSTONE_CHECK(group.type == DType::kF32 || group.type == DType::kBF16,
                   "hoist: values are carried in fp32 or bf16, not ", name_of(group.type));
  return Hoister(graph, groups).hoist();
}

}  // namespace inkstone::compile
