#include "adapters/parts.h"

#include <algorithm>

namespace inkstone {
namespace {

struct Suffix {
  std::string_view text;
  Part part;
  bool peft = false;
  const char* kind = "";
};

// Of two names of one part the first is the one that messages show.
constexpr Suffix kSuffixes[] = {
    {".lora_down.weight", Part::kDown},
    {".lora_up.weight", Part::kUp},
    {".lora_mid.weight", Part::kMid},
    {".lora_A.weight", Part::kDown, true},
    {".lora_B.weight", Part::kUp, true},
    // diffusers before PEFT: "to_q.lora.down.weight", "q_proj.lora_linear_layer.down.weight", and before
    // that "processor.to_q_lora.down.weight", whose stem ends in "_lora"
    {".lora.down.weight", Part::kDown},
    {".lora.up.weight", Part::kUp},
    {".lora_linear_layer.down.weight", Part::kDown},
    {".lora_linear_layer.up.weight", Part::kUp},
    {".down.weight", Part::kDown},
    {".up.weight", Part::kUp},
    {".hada_w1_a", Part::kHadaW1A, true},
    {".hada_w1_b", Part::kHadaW1B, true},
    {".hada_w2_a", Part::kHadaW2A, true},
    {".hada_w2_b", Part::kHadaW2B, true},
    {".hada_t1", Part::kHadaT1, true},
    {".hada_t2", Part::kHadaT2, true},
    {".lokr_w1", Part::kLokrW1, true},
    {".lokr_w1_a", Part::kLokrW1A, true},
    {".lokr_w1_b", Part::kLokrW1B, true},
    {".lokr_w2", Part::kLokrW2, true},
    {".lokr_w2_a", Part::kLokrW2A, true},
    {".lokr_w2_b", Part::kLokrW2B, true},
    {".lokr_t2", Part::kLokrT2, true},
    {".diff", Part::kDiff},
    {".diff_b", Part::kDiffBias},
    {".w_norm", Part::kNormWeight},
    {".b_norm", Part::kNormBias},
    {".weight", Part::kIa3},
    {".on_input", Part::kOnInput},
    {".alpha", Part::kAlpha},
    {".dora_scale", Part::kDoraScale},
    {".lora_magnitude_vector", Part::kMagnitude, true},
    {".lora_magnitude_vector.weight", Part::kMagnitude, true},
    {".a1.weight", Part::kRefused, false, "GLoRA"},
    {".a2.weight", Part::kRefused, false, "GLoRA"},
    {".b1.weight", Part::kRefused, false, "GLoRA"},
    {".b2.weight", Part::kRefused, false, "GLoRA"},
    {".oft_blocks", Part::kRefused, false, "OFT or BOFT"},
    {".oft_diag", Part::kRefused, false, "OFT"},
    {".oft_r", Part::kRefused, false, "OFT"},
    {".oft_R.weight", Part::kRefused, false, "OFT"},
    {".boft_R", Part::kRefused, false, "BOFT"},
    {".boft_s", Part::kRefused, false, "BOFT"},
    {".bias_indices", Part::kRefused, false, "a sparse bias (LyCORIS before 2)"},
    {".lora_B.bias", Part::kRefused, false, "LoRA with a bias of its own (PEFT's lora_bias)"},
    {".lora_embedding_A", Part::kRefused, false, "LoRA of an embedding"},
    {".ia3_l", Part::kRefused, false, "PEFT's IA3"},
    {".vera_lambda_b", Part::kRefused, false, "VeRA"}};

const Suffix* longest_suffix(std::string_view key) {
  const Suffix* longest = nullptr;
  for (const Suffix& suffix : kSuffixes)
    if (key.size() > suffix.text.size() && key.ends_with(suffix.text) &&
        (!longest || suffix.text.size() > longest->text.size()))
      longest = &suffix;
  return longest;
}

// PEFT may write its name for an adapter before the last piece, or after the last:
// "q_proj.lora_A.default.weight", "q_proj.lora_magnitude_vector.default".
std::string without_adapter_name(std::string_view key) {
  for (const std::string_view part : {".lora_A.", ".lora_B.", ".lora_magnitude_vector."}) {
    const size_t at = key.rfind(part);
    if (at == key.npos) continue;
    const std::string_view name = key.substr(at + part.size());
    const size_t dot = name.find('.');
    const std::string_view rest = dot == name.npos ? "" : name.substr(dot);
    if (name == "weight" || (rest != ".weight" && !rest.empty())) continue;
    return std::string(key.substr(0, at + part.size() - 1)) + std::string(rest);
  }
  return std::string(key);
}

}  // namespace

std::optional<PartName> part_name(std::string_view key) {
  const std::string plain = without_adapter_name(key);
  const Suffix* suffix = longest_suffix(plain);
  if (!suffix) return {};
  return PartName{plain.substr(0, plain.size() - suffix->text.size()), suffix->part, suffix->peft, suffix->kind};
}

const char* suffix_of(Part part) {
  const auto* found = std::ranges::find(kSuffixes, part, &Suffix::part);
  return found->text.data();
}

}  // namespace inkstone
