#include "diffusion/first_latent.h"

#include <algorithm>

#include "base/error.h"

namespace inkstone {
namespace {

// [1, 1, h, w]: the pixel at each latent pixel's corner, as torch's nearest resizing takes it.
Tensor latent_mask(const ResolvedRequest& request, const std::vector<uint8_t>& repainted, const Shape& latent) {
  Tensor mask({1, 1, latent[2], latent[3]});
  const int64_t scale = request.height / latent[2];
  for (int64_t y = 0; y < latent[2]; ++y)
    for (int64_t x = 0; x < latent[3]; ++x) {
      const auto at = static_cast<size_t>(y * scale * request.width + x * scale);
      mask.floats()[static_cast<size_t>(y * latent[3] + x)] = repainted.empty() || repainted[at] ? 1.0f : 0.0f;
    }
  return mask;
}

// What the picture's latent is under the mask.
void fill_latent(const ResolvedRequest& request, const Tensor& mask, Tensor& picture) {
  const MaskFill fill = request.repaint.fill;
  if (fill != MaskFill::kNoise && fill != MaskFill::kZeros) return;
  std::vector<float> noise(static_cast<size_t>(picture.size()));
  if (fill == MaskFill::kNoise) NoiseGenerator(request.seed).fill(noise);
  for (size_t i = 0; i < noise.size(); ++i)
    if (mask.floats()[i % static_cast<size_t>(mask.size())] > 0) picture.floats()[i] = noise[i];
}

Tensor side_by_side(const Tensor& mask, const Tensor& masked) {
  Tensor both({1, 1 + masked.dim(1), masked.dim(2), masked.dim(3)});
  const auto rest = std::ranges::copy(mask.floats(), both.floats().begin()).out;
  std::ranges::copy(masked.floats(), rest);
  return both;
}

// What the leg before has drawn becomes what this one begins with.
void enlarge(VaeCodec& codec, ImageUpscaler& upscaler, const ResolvedRequest& request, const Job* before,
             EncodedSource& source) {
  INKSTONE_CHECK(before && before->has_image(), "an image is enlarged before it is there");
  const HiresUpscaler& how = request.hires_upscaler;
  if (!how.of_latent) {
    Image small = codec.decode(before->latent, before->request.width, before->request.height);
    source.picture = codec.encode(upscaler.upscale(std::move(small), request.width, request.height, how));
    return;
  }
  const int64_t scale = before->request.height / before->latent.dim(2);
  source.latent =
      enlarged_latent(before->latent, request.height / scale, request.width / scale, how.filter, how.antialias);
}

}  // namespace

EncodedSource encode_source(VaeCodec& codec, ImageUpscaler& upscaler, const ResolvedRequest& request, bool reads_mask,
                            const Job* before) {
  EncodedSource source;
  if (request.enlarged) enlarge(codec, upscaler, request, before, source);
  if (!request.image && !reads_mask) return source;
  const size_t area = static_cast<size_t>(request.width) * static_cast<size_t>(request.height);
  SourcePixels pixels = request.image ? source_pixels(request) : SourcePixels{{request.width, request.height, {}}, {}};
  pixels.image.rgb.resize(3 * area);
  // Where all noise is drawn and the U-Net reads the mask, nothing of the picture's own latent is left.
  if (request.image && (!reads_mask || request.strength < 1)) source.picture = codec.encode(pixels.image);
  if (reads_mask)
    source.masked =
        codec.encode(pixels.image, pixels.repainted.empty() ? std::vector<uint8_t>(area, 1) : pixels.repainted);
  source.repainted = std::move(pixels.repainted);
  return source;
}

void draw_first_latent(Job& job, EncodedSource source, bool reads_mask) {
  const ResolvedRequest& request = job.request;
  const Scheduler& scheduler = *request.scheduler;
  const Shape& shape = job.latent.shape();
  job.noise = NoiseGenerator(request.seed);
  std::optional<Tensor> picture = std::move(source.latent);
  if (source.picture) picture = drawn_from(*source.picture, job.noise);
  const bool in_part = !source.repainted.empty();
  Tensor mask = in_part || reads_mask ? latent_mask(request, source.repainted, shape) : Tensor();
  Tensor noise(shape);
  job.noise.fill(noise.floats());
  // With a mask and the whole strength nothing of the picture is seen under it.
  const bool all_noise = !picture || (in_part && request.strength >= 1);
  const NoiseLevel level =
      all_noise ? NoiseLevel{0, scheduler.init_noise_sigma()} : scheduler.noise_level(request.first_call);
  Tensor begun = picture ? picture->clone() : Tensor(shape);
  if (in_part && !all_noise) fill_latent(request, mask, begun);
  for (size_t i = 0; i < job.latent.floats().size(); ++i)
    job.latent.floats()[i] = static_cast<float>(level.image * begun.floats()[i] + level.noise * noise.floats()[i]);
  if (reads_mask) job.more_channels = side_by_side(mask, drawn_from(source.masked.value(), job.noise));
  if (in_part && !reads_mask) {
    // diffusers encodes the masked picture for these U-Nets too: nothing reads it, but the numbers are drawn.
    drawn_from(source.picture.value(), job.noise);
    job.repaint_mask = std::move(mask);
    job.picture = std::move(*picture);
    job.picture_noise = std::move(noise);
  }
}

}  // namespace inkstone
