// The tensors that an adapter may have for one layer, told by the end of their names:
//   lora_unet_mid_block_attentions_0_proj_in.lora_down.weight
//   (stem: which layer                     )(suffix: which part)
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace inkstone {

enum class Part {
  kDown,
  kUp,
  kMid,  // LoRA, LoCon
  kHadaW1A,
  kHadaW1B,
  kHadaW2A,
  kHadaW2B,
  kHadaT1,
  kHadaT2,  // LoHa
  kLokrW1,
  kLokrW1A,
  kLokrW1B,
  kLokrW2,
  kLokrW2A,
  kLokrW2B,
  kLokrT2,
  kDiff,
  kDiffBias,  // the difference itself
  kNormWeight,
  kNormBias,
  kIa3,
  kOnInput,
  kAlpha,
  kDoraScale,  // LyCORIS' DoRA
  kMagnitude,  // PEFT's DoRA
  kRefused     // a known kind that is not applied here
};

struct PartName {
  std::string stem;
  Part part = Part::kDown;
  bool peft = false;      // in PEFT's form, whose scale may stand in the metadata
  const char* kind = "";  // of kRefused: "GLoRA"
};

// By the longest suffix that is known; nothing if none is.
std::optional<PartName> part_name(std::string_view key);

const char* suffix_of(Part part);  // ".lora_down.weight": as kohya and LyCORIS write it, for messages

}  // namespace inkstone
