// See schedule.h.
#include "compile/schedule.h"

#include <queue>
#include <tuple>

namespace inkstone::compile {
namespace {

std::vector<bool> needed(const Graph& graph) {
  std::vector<bool> needed(graph.nodes().size());
  for (const int id : graph.outputs()) needed[id] = true;
  for (int id = static_cast<int>(needed.size()) - 1; id >= 0; --id) {
    const Node& node = graph.node(id);
    if (std::holds_alternative<op::Input>(node.op)) needed[id] = true;
    if (!needed[id]) continue;
    for (const int input : node.inputs) needed[input] = true;
  }
  return needed;
}

}  // namespace

Graph in_schedule_order(const Graph& graph, std::span<const SchedulePosition> positions) {
  const std::vector<bool> wanted = needed(graph);
  const int size = static_cast<int>(graph.nodes().size());
  std::vector<size_t> missing(size);
  std::vector<std::vector<int>> readers(size);
  using Key = std::tuple<int, double, int>;
  std::priority_queue<Key, std::vector<Key>, std::greater<>> ready;
  const auto put = [&](int id) { ready.emplace(positions[id].stage, positions[id].place, id); };
  for (int id = 0; id < size; ++id) {
    if (!wanted[id]) continue;
    missing[id] = graph.node(id).inputs.size();
    for (const int input : graph.node(id).inputs) readers[input].push_back(id);
    if (missing[id] == 0) put(id);
  }
  Graph out;
  std::vector<int> placed(size, -1);
  while (!ready.empty()) {
    const int id = std::get<2>(ready.top());
    ready.pop();
    const Node& node = graph.node(id);
    std::vector<int> inputs;
    for (const int input : node.inputs) inputs.push_back(placed[input]);
    placed[id] = out.add_node(node.op, std::move(inputs), node.shape).id;
    out.set_type(placed[id], node.type);
    for (const int reader : readers[id])
      if (--missing[reader] == 0) put(reader);
  }
  std::vector<int> outputs;
  for (const int id : graph.outputs()) outputs.push_back(placed[id]);
  out.set_outputs(std::move(outputs));
  return out;
}

}  // namespace inkstone::compile
