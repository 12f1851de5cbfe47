// The denoising U-Net of Stable Diffusion 1.5, 2.1 and XL. Weight names are those of diffusers.
#pragma once

#include <optional>

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

struct UnetInputs {
  Value latent;      // [n, 4, h, w]
  Value timestep;    // [n]
  Value text;        // [n, 77, context]
  Value added{};     // [n, added]: SDXL's pooled text and embedded sizes, only when config.added
  Value guidance{};  // [n, guidance_channels]: LCM's guidance embedding, only when config.guidance_channels
  // An input "cached_feature" of this type stands for the cached feature (see UnetPart), and nothing reads what would make it.
  std::optional<DType> cached_feature{};
};

struct UnetOutputs {
  Value output;  // like latent
  Value cached_feature;
};

UnetOutputs unet(Scope s, const UnetConfig& config, const UnetInputs& in);

// How much of the U-Net an evaluation runs. Its cached feature, the input of the last kShallowLayers layers of the way up, changes little
// from one call to the next: a shallow call takes an earlier call's and runs only those layers and what they read besides, conv_in
// and the first kShallowLayers - 1 layers of the way down (DeepCache, arXiv 2312.00858).
enum class UnetPart {
  kFull,
  kFullKeepFeature,  // a second output: the cached feature
  kShallow,          // a last input "cached_feature" in its place
};
inline constexpr int kShallowLayers = 1;  // why not 2: docs/performance.md

struct LatentSize {
  int64_t rows, height, width, tokens = 77;
  int64_t cfg_copies = 1;  // texts for each latent: 2 with classifier-free guidance
  UnetPart part = UnetPart::kFull;
  DType cached_feature = DType::kF32;  // the type in which the cached feature goes out and comes in
};
// Inputs "latent" and "timestep" (and "guidance", where the config has it), a row for each latent; "text" (and "added"), a row for each copy of
// it, and so the output: [rows * cfg_copies, ...], the copies of a latent one after another. Throws Error where the size does not divide.
Graph unet_graph(const UnetConfig& config, LatentSize size);

}  // namespace inkstone
