#include "diffusion/vae_codec.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/conditioner.h"
#include "models/vae.h"

namespace inkstone {
namespace {

Image to_image(const Tensor& pixels) {
  Image image{static_cast<int>(pixels.dim(3)), static_cast<int>(pixels.dim(2)), {}};
  const int64_t area = pixels.dim(2) * pixels.dim(3);
  image.rgb.resize(3 * area);
  for (int64_t i = 0; i < area; ++i)
    for (int c = 0; c < 3; ++c) {
      const float value = std::clamp(pixels.floats()[c * area + i] / 2 + 0.5f, 0.0f, 1.0f);
      image.rgb[3 * i + c] = static_cast<uint8_t>(std::nearbyint(value * 255));
    }
  return image;
}

// [1, 3, height, width], -1 to 1
void fill_pixels(const Image& image, std::span<const uint8_t> holes, std::span<float> to) {
  const size_t area = to.size() / 3;
  for (size_t i = 0; i < area; ++i)
    for (size_t c = 0; c < 3; ++c) {
      const bool hole = !holes.empty() && holes[i];
      to[c * area + i] = hole ? 0 : static_cast<float>(image.rgb[3 * i + c]) / 255 * 2 - 1;
    }
}

}  // namespace

EncodedPicture VaeCodec::encode(const Image& picture, std::span<const uint8_t> holes) {
  constexpr float kLeast = -30, kMost = 20;  // of the log of the variance, as diffusers
  const VaeConfig& config = pipeline_.vae_config;
  BoundProgram& encoder = programs_.vae({true, picture.width, picture.height});
  fill_pixels(picture, holes, encoder.host_input("image").floats());
  programs_.make_room_before_steps();
  encoder.run();
  encoder.program().release_pages();
  encoder.drop_inputs();
  const Tensor& moments = encoder.output(0);
  check_finite(moments.floats(), "the VAE's encoder");
  const Shape shape{1, config.latent, moments.dim(2), moments.dim(3)};
  EncodedPicture made{Tensor(shape), config.posterior() ? Tensor(shape) : Tensor()};
  const auto half = static_cast<size_t>(made.mean.size());
  for (size_t i = 0; i < half; ++i) {
    made.mean.floats()[i] = (moments.floats()[i] - config.shift_factor) * config.scaling_factor;
    if (!config.posterior()) continue;
    const float log_variance = std::clamp(moments.floats()[half + i], kLeast, kMost);
    made.deviation.floats()[i] = std::exp(log_variance / 2) * config.scaling_factor;
  }
  return made;
}

Image VaeCodec::decode(const Tensor& latent, int width, int height) {
  BoundProgram& decoder = programs_.vae({false, width, height});
  decoder_input(pipeline_.vae_config, latent.floats(), decoder.host_input("latent").floats());
  decoder.run();
  const Tensor& pixels = decoder.output(0);
  check_finite(pixels.floats(), "the VAE");
  return to_image(pixels);
}

std::optional<Image> VaeCodec::preview(const Tensor& latent, int width, int height) {
  if (!pipeline_.preview_vae) return std::nullopt;
  BoundProgram* decoder = programs_.preview_decoder(width, height);
  if (!decoder) return std::nullopt;
  decoder_input(*pipeline_.preview_vae, latent.floats(), decoder->host_input("latent").floats());
  decoder->run();
  const Tensor& pixels = decoder->output(0);
  if (!std::ranges::all_of(pixels.floats(), [](float value) { return std::isfinite(value); })) return std::nullopt;
  return to_image(pixels);
}

Tensor drawn_from(const EncodedPicture& picture, NoiseGenerator& noise) {
  if (picture.deviation.size() == 0) return picture.mean.clone();
  Tensor latent(picture.mean.shape());
  noise.fill(latent.floats());
  for (size_t i = 0; i < latent.floats().size(); ++i)
    latent.floats()[i] = picture.mean.floats()[i] + picture.deviation.floats()[i] * latent.floats()[i];
  return latent;
}

}  // namespace inkstone
