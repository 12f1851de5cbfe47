#include "interpreter.h"

#include <algorithm>
#include <climits>

namespace ascend_sim {
namespace {

class Meter {
 public:
  explicit Meter(Survey* survey) : survey_(survey) {}
  void take(const Tensor& t) { add(t, 1); }
  void free(const Tensor& t) { add(t, -1); }

 private:
  void add(const Tensor& t, int sign) {
    if (!survey_) return;
    const size_t element = is_floating(t.type) ? survey_->element : bytes_of(t.type);
    now_ += sign * static_cast<int64_t>((static_cast<size_t>(t.count()) * element + 511) / 512 * 512);
    survey_->peak = std::max(survey_->peak, static_cast<size_t>(now_));
  }

  Survey* survey_;
  int64_t now_ = 0;
};

}  // namespace

int default_opset(const onnx::ModelProto& model) {
  for (const auto& opset : model.opset_import())
    if (opset.domain().empty() || opset.domain() == "ai.onnx") return static_cast<int>(opset.version());
  return 0;
}

Interpreter::Interpreter(const onnx::GraphProto& graph, int opset, WeightOf weight_of, RoundingOf rounding_of)
    : graph_(graph), opset_(opset), weight_of_(std::move(weight_of)) {
  for (const auto& weight : graph.initializer()) weights_[weight.name()] = &weight;
  for (const auto& input : graph.input())
    if (!weights_.contains(input.name())) inputs_.push_back(input.name());
  for (int n = 0; n < graph.node_size(); ++n) {
    for (const std::string& name : graph.node(n).input()) last_use_[name] = n;
    roundings_.push_back(rounding_of ? rounding_of(graph.node(n)) : Rounding{});
  }
  for (const auto& output : graph.output()) last_use_[output.name()] = INT_MAX;
}

std::vector<Tensor> Interpreter::run(const std::vector<Tensor>& inputs, Survey* survey) const {
  if (inputs.size() != inputs_.size())
    throw OpError(std::to_string(inputs.size()) + " inputs for " + std::to_string(inputs_.size()));
  std::unordered_map<std::string, Tensor> values;
  Meter meter(survey);
  for (size_t i = 0; i < inputs.size(); ++i) meter.take(values[inputs_[i]] = inputs[i]);
  for (int n = 0; n < graph_.node_size(); ++n) {
    const onnx::NodeProto& node = graph_.node(n);
    const auto op = all_ops().find(node.op_type());
    if (op == all_ops().end() || !(node.domain().empty() || node.domain() == "ai.onnx"))
      throw OpError(node.op_type() + " " + node.name() + ": not simulated");
    std::vector<Tensor> kept(static_cast<size_t>(node.input_size()));
    std::vector<const Tensor*> taken;
    for (int i = 0; i < node.input_size(); ++i) {
      const std::string& name = node.input(i);
      if (name.empty()) {
        taken.push_back(nullptr);
        continue;
      }
      if (const auto value = values.find(name); value != values.end())
        kept[i] = value->second;
      else if (const auto weight = weights_.find(name); weight != weights_.end())
        kept[i] = weight_of_(*weight->second);
      else
        throw OpError(node.op_type() + " " + node.name() + ": nothing is called " + name);
      if (roundings_[n].inputs) kept[i] = rounded(kept[i], roundings_[n].saturate);
      taken.push_back(&kept[i]);
    }
    OpCall call(node, opset_, taken);
    op->second(call);
    if (static_cast<int>(call.results().size()) < node.output_size()) call.refuse("more results than are simulated");
    if (survey && survey->computed) survey->computed(call);
    for (int i = 0; i < node.output_size(); ++i) {
      Tensor& result = call.results()[i];
      if (roundings_[n].results || result.type == kHalf) result = rounded(result, roundings_[n].saturate);
      if (!node.output(i).empty() && last_use_.contains(node.output(i)))
        meter.take(values[node.output(i)] = std::move(result));
    }
    for (const std::string& name : node.input()) {
      const auto value = values.find(name);
      if (value == values.end() || last_use_.at(name) > n) continue;
      meter.free(value->second);
      values.erase(value);
    }
  }
  std::vector<Tensor> results;
  for (const auto& output : graph_.output()) {
    if (const auto value = values.find(output.name()); value != values.end())
      results.push_back(value->second);
    else if (const auto weight = weights_.find(output.name()); weight != weights_.end())
      results.push_back(weight_of_(*weight->second));
    else
      throw OpError("nothing makes the output " + output.name());
  }
  return results;
}

}  // namespace ascend_sim
