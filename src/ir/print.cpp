#include "ir/print.h"

#include <bit>
#include <cstdio>

namespace inkstone {
namespace {

struct Text {
  std::string name, detail;
};

std::string flag(bool set, const char* text) { return set ? std::string(" ") + text : ""; }
std::string field(const char* key, auto value) { return std::string(" ") + key + "=" + std::to_string(value); }
std::string activation_field(Activation a) { return a == Activation::kNone ? "" : std::string(" ") + name_of(a); }

Text text(const op::Input& o) { return {"input", " " + o.name}; }
Text text(const op::Weight& o) { return {"weight", " " + o.name}; }
std::string exact(const char* key, float value) {
  char text[64];
  std::snprintf(text, sizeof text, " %s=%.9g", key, static_cast<double>(value));
  return text;
}

// A few values as they are, many by FNV-1a of their bits.
Text text(const op::Constant& o) {
  constexpr size_t kShown = 8;
  if (o.values.size() <= kShown) {
    std::string values = field("values", o.values.size());
    for (const float value : o.values) values += exact("", value);
    return {"constant", values};
  }
  uint64_t hash = 0xcbf29ce484222325;
  for (const float value : o.values) hash = (hash ^ std::bit_cast<uint32_t>(value)) * 0x100000001b3;
  return {"constant", field("values", o.values.size()) + field("hash", hash)};
}
Text text(const op::Conv2d& o) {
  std::string pad = field("pad", o.pad_top);
  if (o.pad_left != o.pad_top || o.pad_bottom != o.pad_top || o.pad_right != o.pad_top)
    pad += "," + std::to_string(o.pad_left) + "," + std::to_string(o.pad_bottom) + "," + std::to_string(o.pad_right);
  return {"conv2d", field("stride", o.stride) + pad + flag(o.bias, "bias") + activation_field(o.activation) +
                        flag(o.residual, "residual")};
}
Text text(const op::Linear& o) {
  return {"linear", flag(o.bias, "bias") + activation_field(o.activation) + flag(o.residual, "residual")};
}
Text text(const op::GroupNorm& o) {
  return {"group_norm",
          field("groups", o.groups) + exact("epsilon", o.epsilon) + flag(o.addend, "addend") + flag(o.silu, "silu")};
}
Text text(const op::LayerNorm& o) { return {"layer_norm", exact("epsilon", o.epsilon)}; }
Text text(const op::Attention& o) { return {"attention", field("heads", o.heads) + flag(o.causal, "causal")}; }
Text text(const op::Embedding&) { return {"embedding", ""}; }
Text text(const op::TimeEmbedding& o) {
  return {"time_embedding", field("channels", o.channels) + flag(o.flip_sin_to_cos, "flip") +
                                (o.freq_shift != 0 ? exact("shift", o.freq_shift) : "")};
}
Text text(const op::Activate& o) { return {name_of(o.kind), ""}; }
Text text(const op::Add&) { return {"add", ""}; }
Text text(const op::Mul&) { return {"mul", ""}; }
Text text(const op::Concat& o) { return {"concat", field("axis", o.axis)}; }
Text text(const op::Slice& o) {
  return {"slice", field("axis", o.axis) + " " + std::to_string(o.begin) + ".." + std::to_string(o.end)};
}
Text text(const op::Reshape&) { return {"reshape", ""}; }
Text text(const op::ToTokens&) { return {"to_tokens", ""}; }
Text text(const op::ToImage&) { return {"to_image", ""}; }
Text text(const op::Upsample2x& o) {
  return {"upsample2x", flag(o.odd_height, "odd_height") + flag(o.odd_width, "odd_width")};
}
Text text(const op::Repeat& o) { return {"repeat", field("times", o.times)}; }
Text text(const op::Geglu&) { return {"geglu", ""}; }
Text text(const op::Cast&) { return {"cast", ""}; }
Text text(const op::GroupStats& o) { return {"group_stats", field("groups", o.groups) + exact("epsilon", o.epsilon)}; }
Text text(const op::GroupApply& o) { return {"group_apply", field("groups", o.groups) + flag(o.silu, "silu")}; }

Text text_of(const Op& op) {
  return std::visit([](const auto& o) { return text(o); }, op);
}

}  // namespace

const char* name_of(Activation activation) {
  switch (activation) {
    case Activation::kNone: return "none";
    case Activation::kSilu: return "silu";
    case Activation::kGelu: return "gelu";
    case Activation::kQuickGelu: return "quick_gelu";
    case Activation::kRelu: return "relu";
    case Activation::kLeakyRelu: return "leaky_relu";
  }
  return "?";
}

std::string name_of(const Op& op) { return text_of(op).name; }

std::string print(const Node& node, int id) {
  const Text parts = text_of(node.op);
  std::string line = "%" + std::to_string(id) + " = " + parts.name;
  if (!node.inputs.empty()) {
    line += "(";
    for (size_t i = 0; i < node.inputs.size(); ++i) line += (i ? ", %" : "%") + std::to_string(node.inputs[i]);
    line += ")";
  }
  return line + parts.detail + " : " + to_string(node.shape) + " " + name_of(node.type);
}

std::string print(const Graph& graph) {
  std::string lines;
  for (int id = 0; id < static_cast<int>(graph.nodes().size()); ++id) lines += print(graph.node(id), id) + "\n";
  lines += "return";
  for (size_t i = 0; i < graph.outputs().size(); ++i) lines += (i ? ", %" : " %") + std::to_string(graph.outputs()[i]);
  return lines + "\n";
}

}  // namespace inkstone
