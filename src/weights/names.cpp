#include "weights/names.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace inkstone {
namespace {

constexpr std::string_view kTextModel = "text_model.";

// Names in the VAE's attention: today's, and those before diffusers 0.18.
constexpr std::pair<std::string_view, std::string_view> kAttention[] = {
    {".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}};

constexpr std::string_view kHarmless[] = {"embeddings.position_ids", "text_projection.weight", "logit_scale"};

}  // namespace

std::vector<std::string> known_names(const std::string& name) {
  std::vector<std::string> names{name};
  names.push_back(name.starts_with(kTextModel) ? name.substr(kTextModel.size()) : std::string(kTextModel) + name);
  for (const auto& [now, before] : kAttention) {
    for (const auto& [from, to] : {std::pair(now, before), std::pair(before, now)}) {
      const size_t at = name.rfind(from);
      if (at != std::string::npos) names.push_back(std::string(name).replace(at, from.size(), to));
    }
  }
  return names;
}

bool is_harmless_extra(const std::string& name) {
  std::string_view bare = name;
  if (bare.starts_with(kTextModel)) bare.remove_prefix(kTextModel.size());
  return std::ranges::find(kHarmless, bare) != std::end(kHarmless);
}

bool is_same_shape(const Shape& a, const Shape& b) {
  const auto matrix = [](const Shape& shape) {
    return shape.size() == 4 && shape[2] == 1 && shape[3] == 1 ? Shape{shape[0], shape[1]} : shape;
  };
  return a == b || matrix(a) == matrix(b);
}

}  // namespace inkstone
