// The autoencoder between pixels and latents: resnets at several sizes and one attention in the
// middle. Weight names are those of diffusers. The functions that make a graph, and the host's part of
// decoding, take a tiny autoencoder's configuration too (tiny_vae.h).
#pragma once

#include <span>
#include <vector>

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

// image [n, 3, 8h, 8w], -1 to 1 -> mean and log variance [n, 8, h, w]
Value vae_encode(Scope s, const VaeConfig& config, Value image);
// latent [n, 4, h, w] as decoder_input() gives it -> image [n, 3, 8h, 8w], -1 to 1
Value vae_decode(Scope s, const VaeConfig& config, Value latent);

// Of the U-Net's latent what the decoder takes: divided by the scaling factor, shifted, and kept within its
// bound. Both have as many numbers.
void decoder_input(const VaeConfig& config, std::span<const float> latent, std::span<float> out);

// The smallest graphs of the halves that it has. They name all of its weights.
std::vector<Graph> vae_graphs(const VaeConfig& config);
int vae_scale(const VaeConfig& config);  // pixels for each latent pixel
// The input is "latent".
Graph vae_decoder_graph(const VaeConfig& config, int64_t rows, int64_t latent_height, int64_t latent_width);
// The input is "image"; sizes are in pixels. The result: mean and log variance [rows, 8, h, w], or of a VAE
// without a posterior the latent [rows, 4, h, w]. Throws Error if the VAE has no encoder.
Graph vae_encoder_graph(const VaeConfig& config, int64_t rows, int64_t height, int64_t width);

}  // namespace inkstone
