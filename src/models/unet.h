// The denoising U-Net of Stable Diffusion 1.5, 2.1 and XL. Weight names are those of diffusers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

struct UnetInputs {
  Value latent;    // [n, 4, h, w]
  Value timestep;  // [n]
  Value text;      // [n, 77, context]
  // [n, added]: SDXL's pooled text and embedded sizes, only when config.added
  Value added{};
  // [n, guidance_channels]: LCM's guidance embedding, only when config.guidance_channels
  Value guidance{};
  // If set, the graph takes the cached feature (see UnetPart) as an input of this type, instead of
  // computing it.
  std::optional<DType> cached_feature{};
  // If set, the graph takes a ControlNet's residuals as inputs of this type (controlnet.h).
  std::optional<DType> residuals{};
  // [n, c, h, w]: what a T2I-Adapter adds to the levels of the down path, and to the middle if there is one more.
  std::vector<Value> features{};
};

struct UnetOutputs {
  Value output;  // like latent
  Value cached_feature;
};

UnetOutputs unet(Scope s, const UnetConfig& config, const UnetInputs& in);

// How much of the U-Net one evaluation runs. The cached feature is the input of the up path's last
// kShallowLayers layers; it changes little from one evaluation to the next. A shallow evaluation
// takes it from an earlier one. It runs only those layers and what else they read: conv_in and the
// first kShallowLayers - 1 layers of the down path (DeepCache, arXiv 2312.00858).
enum class UnetPart {
  kFull,
  kFullKeepFeature,  // a second output: the cached feature
  kShallow,          // its last input is "cached_feature"
};
inline constexpr int kShallowLayers = 1;  // why not 2: docs/performance.md

struct LatentSize {
  int64_t rows, height, width, tokens = 77;
  // texts for each latent: 2 with classifier-free guidance
  int64_t cfg_copies = 1;
  UnetPart part = UnetPart::kFull;
  // The cached feature's type and residuals', as outputs and inputs.
  DType passed = DType::kF32;
  bool residuals = false;  // takes those of ControlNets
  int features = 0;        // takes so many of T2I-Adapters
};
// Inputs "latent" and "timestep" (and "guidance" if the config has it) have a row for each latent.
// Input "text" (and "added") and the output have a row for each copy of a latent: [rows *
// cfg_copies, ...], the copies of one latent after another. So have "residual_0" ..., of ControlNets
// (controlnet.h); "feature_0" ... of T2I-Adapters have a row for each latent. Any height and width from 1 will do: a
// level halves an odd size upwards, and the up path doubles it back to that odd size.
Graph unet_graph(const UnetConfig& config, LatentSize size);
// The inputs "latent", "timestep", "text", "added" and "guidance", with a row for each copy of a latent.
UnetInputs unet_inputs(Graph& graph, const UnetConfig& config, const LatentSize& size);
std::string residual_name(int index);  // "residual_0"
std::string feature_name(int index);

}  // namespace inkstone
