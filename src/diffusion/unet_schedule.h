// What each U-Net evaluation of an image runs: with or without the unconditional half, full or shallow. It follows from
// the request alone, so that an image does not depend on the batch.
#pragma once

#include <vector>

#include "diffusion/resolved_request.h"
#include "diffusion/stages.h"
#include "models/unet.h"

namespace inkstone {

struct UnetEvaluation {
  int cfg_copies = 1;  // rows of its batch: 2 with the unconditional half
  UnetPart part = UnetPart::kFull;
  int chunks = 1;          // of text (StageShape)
  bool residuals = false;  // of ControlNets (StageShape)
  int features = 0;        // of T2I-Adapters (StageShape)
  auto operator<=>(const UnetEvaluation&) const = default;
};

// The step of so many jobs that makes the evaluation, of images of that size in pixels.
StageShape step_shape(int jobs, const UnetEvaluation& evaluation, int width, int height);

// Evaluations 0, N, 2N, ... of the cache interval N are full, counted
// as the scheduler makes them (PNDM evaluates twice at its second timestep, and both count). So is any evaluation in which
// guidance sets in: none before it made the unconditional half's cached feature.
std::vector<UnetEvaluation> unet_schedule(const ResolvedRequest& request, int evaluations, int chunks = 1);

}  // namespace inkstone
