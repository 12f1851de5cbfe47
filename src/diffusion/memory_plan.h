// How an engine will use its memory, decided before anything runs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "diffusion/stages.h"

namespace inkstone {

enum class Choice { kAuto, kOn, kOff };

struct PlannedStage {
  std::string component, name;  // of the stage (stages.h)
  StagePosition position = StagePosition::kBeforeSteps;
  bool shares_packed = false;
  MemoryUse use;
  size_t weights_limit = SIZE_MAX;  // CompileOptions::weights_limit
};

struct EnginePlan {
  Precision precision = Precision::kFp32;
  bool vae_tiling = false, attention_slicing = false;
  // only one of text encoder, U-Net, VAE resident
  bool components_in_turn = false;
  // Weights that do not fit pass through memory call by call.
  bool weight_streaming = false;
  bool upscaler_bands = false;  // an upscaler's blocks work in the lowest bands
  // In the order in which they run; a shallow step comes before the full one.
  std::vector<PlannedStage> stages;
  // Values passed between stages: one job's, and those cached for later requests.
  size_t carried_bytes = 0;
  size_t program_bytes = 0;  // code, libraries, tokenizer
  // Weights that are in no file, such as merged ones. They are always resident.
  size_t owned_bytes = 0;
  // the most that is resident at once
  size_t peak_bytes = 0;
  size_t limit_bytes = 0;  // that it must not pass: the budget, or what was free; 0: none is known
  int jobs = 1;            // in one evaluation
  int chunks = 1;          // of text, at most
  // One line for each thing given up, with what it saved.
  std::vector<std::string> reasons;

  // all zero if there is no such stage
  const MemoryUse& use(std::string_view stage) const;
  size_t weights_limit(std::string_view stage) const;
};

// The most bytes that are resident at once. The policy decides which stages are resident together,
// and what is given back between them.
size_t peak_of(const EnginePlan& plan);

}  // namespace inkstone
