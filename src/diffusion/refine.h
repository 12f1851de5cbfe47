// SDXL's second model on the same machine (legs.h): whether both stay in memory.
#pragma once

#include "diffusion/engine.h"
#include "diffusion/legs.h"

namespace inkstone {

struct Refinement {
  Engine* engine = nullptr;  // the refiner's
  ResolvedRequest request;   // by its own scheduler, from its first call on
  ResolvedRequest base;      // to where that goes on
  // Both do not fit into memory at once: one leaves it before the other runs.
  bool in_turn = false;
  size_t peak_bytes = 0;  // of both
  EnginePlan plan;        // the refiner's
};

// `asked` is what was said of the image, `resolved` what became of it. Throws UsageError as refined_calls().
Refinement refine(Engine& base, const ResolvedRequest& resolved, Engine& refiner, const ImageRequest& asked,
                  float start);

}  // namespace inkstone
