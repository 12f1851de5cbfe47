// The list of the graphs that a pipeline runs. The memory plan, the programs and the reports walk
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "diffusion/conditioning.h"
#include "diffusion/pipeline.h"
#include "diffusion/prompt_syntax.h"
#include "models/clip.h"
#include "models/unet.h"

namespace inkstone {

// How many results are kept for later requests: text of prompts, keys and values of prompts,
// embeddings of timesteps.
inline constexpr size_t kTextsKept = 2 * kMaxPromptTexts + 1, kPromptsKept = 4, kTimestepsKept = 128;

// When a stage runs. This decides which memory is used at the same time (memory_planner.cpp).
enum class StagePosition { kBeforeSteps, kEachStep, kAfterSteps };

// The shape of a step or of a decoding.
struct StageShape {
  int jobs = 1;
  // rows of a job: 2 with the unconditional half
  int cfg_copies = 1;
  int width = 0, height = 0;  // pixels
  UnetPart part = UnetPart::kFull;
  int chunks = 1;          // of text: each has the text encoder's 77 tokens
  bool residuals = false;  // of ControlNets, which the U-Net takes
  int features = 0;        // of T2I-Adapters, which the U-Net takes: so many
  // Of a ControlNet's own step: its number in Pipeline::controls, and whether it adds to another's residuals. -1: the U-Net's.
  int control = -1;
  bool adds = false;
  auto operator<=>(const StageShape&) const = default;
};

struct PipelineStage {
  // has the weights: "text_encoder", "text_encoder_2", "unet", "vae", "preview_vae", "control_NAME", "upscaler"
  std::string component;
  // Unique: "text_encoder", "unet_prompt", "unet_time", "unet_added", "unet", "unet_shallow", "preview_vae",
  // "vae_encoder", "vae"; of a ControlNet "control_NAME_prompt" ..., "control_NAME", and "control_NAME_hint" as of a
  // T2I-Adapter.
  std::string name;
  StagePosition position = StagePosition::kBeforeSteps;
  Graph graph{};
  DependsOn depends = DependsOn::kPrompt;  // only for stages before the steps
  // Of conditioning stages: the outputs, by the names of the step's inputs.
  std::vector<std::string> values{};
  size_t results_kept = 0;  // results cached for later requests
  // A job holds the results, one for each of its rows.
  bool held_by_jobs = false;
  bool takes_tiling = false;  // CompileOptions::vae_tiling
  // Its packed weights are a subset of those of another stage of the component.
  bool shares_packed = false;
  int control = -1;  // of Pipeline::controls; -1: none of them
};

// A stage before the steps has one graph for all shapes; one that reads text takes a chunk of it.
// Stages whose results nothing reads are left out. A shallow step's stage is "unet_shallow". `precision` decides the type of values that
// are passed from stage to stage.
// Those of controls follow, of the ones named by their numbers.
std::vector<PipelineStage> stages_before_steps(const Pipeline& pipeline, Precision precision,
                                               const std::vector<int>& controls = {});
// Of a picture: a ControlNet's hint, or a T2I-Adapter's features.
PipelineStage hint_stage(const Pipeline& pipeline, int control, int width, int height);
// How a text encoder is run: it stops before its last clip_skip - 1 layers, and reads ids, or vectors where some are not
// its own.
struct TextForm {
  int clip_skip = 1;
  ClipInput input = ClipInput::kIds;
  bool operator==(const TextForm&) const = default;
};
PipelineStage text_stage(const TextEncoder& encoder, const TextForm& form = {});
PipelineStage step_stage(const Pipeline& pipeline, const StageShape& shape, Precision precision);
// Of a pipeline with previews: between steps. Its image is of the decoder's own scale.
PipelineStage preview_stage(const Pipeline& pipeline, int width, int height);
PipelineStage decode_stage(const Pipeline& pipeline, int width, int height);
// For images that begin with a picture; before the steps, but with a graph for each size.
PipelineStage encode_stage(const Pipeline& pipeline, int width, int height);
// An upscaler has a stage in plans and no program of its own in memory: its parts are compiled as they run.
inline constexpr const char* kUpscalerStage = "upscaler";
// Components of one turn are in memory together where components take turns: previews are decoded while the U-Net
// is there.
std::string_view turn_of(std::string_view component);

}  // namespace inkstone
