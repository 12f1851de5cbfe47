// How a pipeline is opened: what its different layouts on disk share.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "diffusion/image_request.h"
#include "diffusion/pipeline.h"
#include "ir/graph.h"

namespace inkstone {

// A pipeline whose configurations are known and whose weights are not bound yet, so that a component
// may still be replaced by another file's.
struct Opening {
  Pipeline pipeline;
  // Where the configuration of a component stands, for errors: "config.json" of "unet".
  std::function<std::string(const std::string& component, const char* file)> file_of;
  // The weights of the component of that name ("unet"), bound to the specs.
  std::function<Weights(const std::string& component, std::span<const WeightSpec> specs)> weights;
  // Of components that are not there, unless they are replaced: what to say.
  std::map<std::string, std::string> missing;
  enum class Role { kDraws, kRefines, kAny };
  Role role = Role::kDraws;  // what it is opened for
  ModelSettings said;        // by the caller
  ModelSettings told;        // by the file of the U-Net
  std::string title;         // that its metadata give it, with its architecture
  // By generation_config.json, which is nearer than what a name tells.
  std::optional<int> steps;
  std::optional<float> guidance_scale;
  bool few_step_packing = false;   // the encoder's place tells SD-Turbo
  bool has_own_scheduler = false;  // a file of the model's
  // What is to be decided of a pipeline with its weights.
  std::function<void(Pipeline& pipeline)> decide = [](Pipeline&) {};
};

using TakeWeights = std::function<Weights(std::span<const WeightSpec> specs)>;
// A component whose weights are those that the graphs name.
Component open_component(const std::string& name, const char* kind, const std::vector<Graph>& graphs,
                         const TakeWeights& weights);

// A folder or single file, with the components replaced that `replaced` names.
Opening open_model(const std::filesystem::path& path, const std::map<std::string, std::filesystem::path>& replaced,
                   const ModelSettings& said = {});
Opening open_folder(const std::filesystem::path& folder);  // in diffusers' layout
Opening open_checkpoint(const std::filesystem::path& file, const ModelSettings& said = {});
// Takes the component from a single file, or from a folder with its config.json, or from such a
// folder in a model's folder. What the file does not say (the VAE's scaling factor, what a text
// encoder's text is) stays as it was.
void replace_component(Opening& opening, const std::string& component, const std::filesystem::path& path);
Pipeline finish(Opening opening);

// Throws Error where the components, each right by itself, do not fit together. It names the file of
// the one that fits no other.
void check_fit(const Opening& opening);
bool is_told_a_score(const Pipeline& pipeline);  // Pipeline::takes_score, by the configurations
// The traits that follow from the configurations.
void set_sizes(Pipeline& pipeline);
// The fields that a generation_config.json has; unset where it does not say them. Throws Error naming
// `source` and what is out of its range.
ImageRequest generation_defaults(const Json& json, const std::string& source);

inline constexpr size_t kMaxConfigBytes = size_t{1} << 20;
// The default of diffusers' StableDiffusionXLPipeline.
inline constexpr float kGuidanceOfXl = 5;
constexpr float kScalingOfXl = 0.13025f;  // of its VAE, which has the shapes of SD 1.x's
// SDXL's text is what the last layer of each encoder has not seen, without the final norm.
inline void take_text_as_xl(ClipConfig& config) {
  config.layers_after_text = 1;
  config.norm_of_text = false;
}

}  // namespace inkstone
