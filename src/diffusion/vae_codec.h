// Between pixels and the U-Net's latents, by the VAE of a pipeline.
#pragma once

#include <optional>

#include "base/image.h"
#include "base/tensor.h"
#include "diffusion/noise.h"
#include "diffusion/program_cache.h"

namespace inkstone {

// What an encoder makes of a picture: a normal distribution of latents [1, 4, h, w], in the U-Net's scale. A VAE without
// a posterior gives the latent itself: no deviation.
struct EncodedPicture {
  Tensor mean, deviation;
};

class VaeCodec {
 public:
  VaeCodec(const Pipeline& pipeline, ProgramCache& programs) : pipeline_(pipeline), programs_(programs) {}

  // The picture's sides are multiples of the model's. Throws Error of kind kNotFinite.
  // Where `holes`, a byte a pixel, is 1 the picture is grey (0 of -1 to 1).
  EncodedPicture encode(const Image& picture, std::span<const uint8_t> holes = {});
  // A latent of an image of that size in pixels. Throws Error of kind kNotFinite.
  Image decode(const Tensor& latent, int width, int height);
  // The same by the pipeline's decoder of previews; nothing without one, where the device has no program for it, and
  // for what is not finite.
  std::optional<Image> preview(const Tensor& latent, int width, int height);

 private:
  const Pipeline& pipeline_;
  ProgramCache& programs_;
};

// A latent of that distribution, with the next numbers of `noise`; where there is no deviation, the mean, and none is
// drawn.
Tensor drawn_from(const EncodedPicture& picture, NoiseGenerator& noise);

}  // namespace inkstone
