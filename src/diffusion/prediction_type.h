// What a U-Net of Stable Diffusion 2 predicts, where no file says it.
#pragma once

#include "models/config.h"
#include "weights/weights.h"

namespace inkstone {

// Whether it predicts v, not the noise. Measured, as AUTOMATIC1111's program does it: of a constant
// latent of 0.5 at timestep 999, a U-Net that predicts noise returns about the latent, one that
// predicts v far less. One evaluation of a latent of 8x8, on the CPU. `weights` is bound to the U-Net.
bool predicts_v(const UnetConfig& config, const Weights& weights);

}  // namespace inkstone
