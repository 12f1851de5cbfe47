// The autoencoder between pixels and latents: resnets at several sizes and one attention in the
// middle. Weight names are those of diffusers.
#pragma once

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

// image [n, 3, 8h, 8w] -> mean and log variance [n, 8, h, w]
Value vae_encode(Scope s, const VaeConfig& config, Value image);
// latent [n, 4, h, w], already divided by the scaling factor -> image [n, 3, 8h, 8w]
Value vae_decode(Scope s, const VaeConfig& config, Value latent);

int vae_scale(const VaeConfig& config);  // pixels for each latent pixel
// The input is "latent".
Graph vae_decoder_graph(const VaeConfig& config, int64_t rows, int64_t latent_height, int64_t latent_width);
// The input is "image"; sizes are in pixels.
Graph vae_encoder_graph(const VaeConfig& config, int64_t rows, int64_t height, int64_t width);

}  // namespace inkstone
