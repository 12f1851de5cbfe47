// SDXL's second model: the base runs the calls whose timestep is at least round(1000 - 1000 * start),
// the refiner those below it, from the base's latent and with no noise of its own at the beginning.
// Two pipelines of diffusers do the same, with denoising_end and denoising_start.
#pragma once

#include "diffusion/engine.h"

namespace inkstone {

struct Refinement {
  Engine* engine = nullptr;  // the refiner's
  ResolvedRequest request;   // by its own scheduler
  int base_calls = 0;        // that the base makes
  int first_call = 0;        // of the refiner's own schedule
  // Both do not fit into memory at once: one leaves it before the other runs.
  bool in_turn = false;
  size_t peak_bytes = 0;  // of both
  EnginePlan plan;        // the refiner's
};

// `asked` is what was said of the image, `base` what became of it; the refiner takes its steps,
// guidance and size. `start`: 0 to 1. Throws UsageError where it leaves one of them nothing to do.
Refinement refine(Engine& base, const ResolvedRequest& resolved, Engine& refiner, const ImageRequest& asked,
                  float start);

}  // namespace inkstone
