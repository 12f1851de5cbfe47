#include "adapters/family.h"

#include <optional>
#include <set>
#include <utility>

#include "base/error.h"

namespace inkstone {
namespace {

// The columns of the change of a matrix, where one of its tensors has them.
std::optional<int64_t> columns_of(const LayerParts& parts) {
  for (const Part part : {Part::kDown, Part::kHadaW1B, Part::kDiff})
    if (const WeightView* view = parts.find(part); view && view->shape.size() == 2) return view->shape[1];
  return {};
}

std::set<int64_t> text_widths(const AdapterFile& file) {
  std::set<int64_t> widths;
  for (const auto& [stem, parts] : file.layers()) {
    const std::string name = flat(stem);
    if (name.find("attn2_to_k") == name.npos && name.find("attn2_processor_to_k_lora") == name.npos) continue;
    if (const auto columns = columns_of(parts)) widths.insert(*columns);
  }
  return widths;
}

// Of the first weight with this end the columns.
std::optional<int64_t> columns_of(const Weights& weights, std::string_view end) {
  for (const WeightSpec& spec : weights.specs())
    if (spec.name.ends_with(end) && spec.shape.size() == 2) return spec.shape[1];
  return {};
}

std::optional<int64_t> text_width(const std::vector<AdapterTarget>& targets) {
  for (const AdapterTarget& target : targets)
    if (const auto columns = columns_of(*target.weights, "attn2.to_k.weight")) return columns;
  return {};
}

// An adapter of text encoders alone has no cross-attention that tells its family.
void check_text_encoder(const AdapterFile& file, const AdapterTarget& target) {
  const std::optional<int64_t> own = columns_of(*target.weights, "self_attn.q_proj.weight");
  const bool is_second = target.name == "text_encoder_2";
  for (const auto& [stem, parts] : file.layers()) {
    const std::string name = flat(stem);
    const bool of_second = name.find("te2_") != name.npos || name.find("text_encoder_2_") != name.npos ||
                           name.find("clip_g_") != name.npos;
    if (of_second != is_second || !name.ends_with("_self_attn_q_proj")) continue;
    const std::optional<int64_t> columns = columns_of(parts);
    if (!own || !columns || *columns == *own) continue;
    const char* family = *columns == 768 ? "SD 1.x or SDXL" : *columns == 1024 ? "SD 2.x" : "another model";
    fail(INKSTONE_HERE, {file.source(), ": made for ", family, ": its text encoder's layers have the width ", *columns,
                         ", this model's ", *own});
  }
}

}  // namespace

std::string family_of_width(int64_t width) {
  switch (width) {
    case 768: return "SD 1.x";
    case 1024: return "SD 2.x";
    case 1280: return "SDXL's refiner";
    case 2048: return "SDXL";
    default: return "another model";
  }
}

void check_family(const AdapterFile& file, const std::vector<AdapterTarget>& targets) {
  const std::optional<int64_t> own = text_width(targets);
  const std::set<int64_t> widths = text_widths(file);
  if (!own || widths.empty() || widths.contains(*own)) {
    for (const AdapterTarget& target : targets)
      if (target.is_text()) check_text_encoder(file, target);
    return;
  }
  const int64_t width = *widths.begin();
  fail(INKSTONE_HERE, {file.source(), ": made for ", family_of_width(width),
                       ": its cross-attention reads text of width ", width, ", this model's ", *own});
}

std::string foreign_kind(const AdapterFile& file) {
  constexpr std::pair<std::string_view, const char*> kTells[] = {
      {"double_blocks", "Flux"},
      {"single_transformer_blocks", "Flux"},
      {"joint_blocks", "SD 3"},
      {"motion_modules", "AnimateDiff"},
      {"temporal_transformer", "AnimateDiff"},
      {"lora_te3_", "SD 3"},
      {"lora_te2_", "SDXL"},
      {"text_encoder_2", "SDXL"},
      {"lora_prior_", "Stable Cascade"},
      {"transformer_transformer_blocks", "a diffusion transformer"}};
  for (const auto& [stem, parts] : file.layers()) {
    const std::string name = flat(stem);
    for (const auto& [tell, model] : kTells)
      if (name.find(tell) != name.npos) return std::string("made for ") + model;
  }
  return "";
}

}  // namespace inkstone
