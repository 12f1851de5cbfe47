// The graphs that a pipeline runs: the one list of them. The memory plan, the programs and the reports walk it.
#pragma once

#include <string>
#include <vector>

#include "backend/backend.h"
#include "diffusion/conditioning.h"
#include "diffusion/pipeline.h"
#include "models/unet.h"

namespace inkstone {

// Results that are kept for requests to come: prompts as text, prompts as keys and values, timesteps as embeddings.
inline constexpr size_t kTextsKept = 16, kPromptsKept = 4, kTimestepsKept = 128;

// When a stage runs, and so which memory is used at the same time (memory_planner.cpp).
enum class StagePosition { kBeforeSteps, kEachStep, kAfterSteps };

struct StageShape {  // of a step, and of what follows it
  int jobs = 1;
  int cfg_copies = 1;         // rows of a job: 2 with the unconditional half
  int width = 0, height = 0;  // pixels
  UnetPart part = UnetPart::kFull;
  auto operator<=>(const StageShape&) const = default;
};

struct PipelineStage {
  std::string component;  // whose weights it reads: "text_encoder", "unet", "vae"
  std::string name;       // unique: "text_encoder", "unet_prompt", "unet_time", "unet", "unet_shallow", "vae"
  StagePosition position = StagePosition::kBeforeSteps;
  Graph graph{};
  DependsOn depends = DependsOn::kPrompt;  // of what runs before the steps
  std::vector<std::string> values{};       // of conditioning: its outputs, by the names of the step's inputs
  size_t results_kept = 0;                 // of its latest runs, for requests to come
  bool held_by_jobs = false;               // a job holds what it gave, for each of its rows
  bool takes_tiling = false;               // CompileOptions::vae_tiling
  bool shares_packed = false;              // its packed weights are among those of another stage of the component
};

// Of the graphs that run before the steps there is one for all shapes; those that nothing reads are left out. A shallow
// step's stage is "unet_shallow". `precision` decides the type of what is carried from one to the next.
std::vector<PipelineStage> stages_before_steps(const Pipeline& pipeline, Precision precision);
PipelineStage step_stage(const Pipeline& pipeline, const StageShape& shape, Precision precision);
PipelineStage decode_stage(const Pipeline& pipeline, int width, int height);

}  // namespace inkstone
