// The denoising U-Net of Stable Diffusion 1.5, 2.1 and XL. Weight names are those of diffusers.
#pragma once

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

struct UnetInputs {
  Value latent;      // [n, 4, h, w]
  Value timestep;    // [n]
  Value text;        // [n, 77, context]
  Value added{};     // [n, added]: SDXL's pooled text and embedded sizes, only when config.added
  Value guidance{};  // [n, guidance_channels]: LCM's guidance embedding, only when config.guidance_channels
};

Value unet(Scope s, const UnetConfig& config, const UnetInputs& in);  // the model's output, like latent

struct LatentSize {
  int64_t rows, height, width, tokens = 77;
  int64_t copies = 1;  // texts for each latent: 2 with classifier-free guidance
};
// Inputs "latent" and "timestep" (and "guidance", where the config has it), a row for each latent; "text" (and "added"), a row for each copy of
// it, and so the output: [rows * copies, ...], the copies of a latent one after another. Throws Error where the size does not divide.
Graph unet_graph(const UnetConfig& config, LatentSize size);

}  // namespace inkstone
