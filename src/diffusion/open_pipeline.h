// How a pipeline is opened: what its different layouts on disk share.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "diffusion/pipeline.h"

namespace inkstone {

Pipeline open_folder(const std::filesystem::path& folder);  // in diffusers' layout
Pipeline open_checkpoint(const std::filesystem::path& file);

// The default of diffusers' StableDiffusionXLPipeline.
inline constexpr float kGuidanceOfXl = 5;
// SDXL's text is what the last layer of each encoder has not seen, without the final norm.
inline void take_text_as_xl(ClipConfig& config) {
  config.layers_after_text = 1;
  config.norm_of_text = false;
}

// The weights of the component of that name ("unet"), bound to the specs.
using BoundWeights = std::function<Weights(const std::string& name, std::span<const WeightSpec> specs)>;
// Of a pipeline whose configurations are set.
void add_components(Pipeline& pipeline, const BoundWeights& bound);
// Where the configuration of a component stands, for errors: "config.json" of "unet".
using ComponentFile = std::function<std::string(const char* component, const char* file)>;
// Throws Error where the components, each right by itself, do not fit together. It names the file of
// the one that fits no other.
void check_fit(const Pipeline& pipeline, const ComponentFile& file_of);
// The traits that follow from the configurations.
void set_sizes(Pipeline& pipeline);

}  // namespace inkstone
