// What a job's steps begin with: noise, a picture with noise, and what the steps read of a picture that is repainted in part.
// The numbers are drawn in the order of diffusers' pipelines.
#pragma once

#include <optional>

#include "diffusion/image_upscaler.h"
#include "diffusion/job.h"
#include "diffusion/vae_codec.h"

namespace inkstone {

// The pictures of a request through the VAE's encoder.
struct EncodedSource {
  std::optional<EncodedPicture> picture;
  std::optional<Tensor> latent;          // of an image that was drawn, in place of a picture
  std::optional<EncodedPicture> masked;  // with grey where it is drawn anew
  std::vector<uint8_t> repainted;        // SourcePixels'
};
// Of the request's picture, or of what the leg `before` has drawn where this one is enlarged; a U-Net that reads a mask
// has a grey picture without one. Throws as source_pixels() and VaeCodec::encode().
EncodedSource encode_source(VaeCodec& codec, ImageUpscaler& upscaler, const ResolvedRequest& request, bool reads_mask,
                            const Job* before);

// Fills the job's latent [1, 4, h, w] and its noise generator, and of a picture what the steps read of it.
void draw_first_latent(Job& job, EncodedSource source, bool reads_mask);

}  // namespace inkstone
