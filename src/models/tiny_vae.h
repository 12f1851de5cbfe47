// A tiny autoencoder (TAESD; diffusers' AutoencoderTiny): blocks of three convolutions with ReLU, without
// norms and attention. It decodes and encodes the latents of a large VAE in a small part of the work. Weight
// names are those of diffusers.
#pragma once

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

// image [n, 3, 8h, 8w], -1 to 1 -> the U-Net's latent [n, 4, h, w] itself: nothing is drawn
Value tiny_vae_encode(Scope s, const VaeConfig& config, Value image);
// latent [n, 4, h, w] as decoder_input() (vae.h) gives it -> image [n, 3, 8h, 8w], -1 to 1
Value tiny_vae_decode(Scope s, const VaeConfig& config, Value latent);

}  // namespace inkstone
