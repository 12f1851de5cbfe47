// What an engine does with its memory, decided before anything runs.
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
};

struct EnginePlan {
  Precision precision = Precision::kFp32;
  bool vae_tiling = false, attention_slicing = false;
  bool components_in_turn = false;   // text encoder, U-Net and VAE are not resident together
  bool weight_streaming = false;     // weights pass through memory, call by call, as far as they do not fit
  std::vector<PlannedStage> stages;  // in the order they run; a shallow step stands before the full one
  size_t carried_bytes = 0;          // what is carried between them: for one job, and what is kept for the next
  size_t program_bytes = 0;          // besides the components: code, libraries, tokenizer
  size_t owned_bytes = 0;            // of weights that no file holds, such as merged ones: resident at all times
  size_t peak_bytes = 0;             // of all of it, by the policy
  int jobs = 1;                      // in one call of the U-Net
  std::vector<std::string> reasons;  // a line for each thing given up, and what it saved

  const MemoryUse& use(std::string_view stage) const;  // all zero where there is no such stage
};

// Bytes that are resident at most, by the policy: which stages are there together, and what is given back between them.
size_t peak_of(const EnginePlan& plan);

}  // namespace inkstone
