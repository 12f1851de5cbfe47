#include "diffusion/work_estimate.h"

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "models/work.h"

namespace inkstone {

double work_of_prompt(const Pipeline& pipeline) {
  double sum = 0;
  for (const TextEncoder& encoder : pipeline.text_encoders) sum += flops(clip_graph(encoder.config, 1));
  return sum;
}

WorkEstimate work_of_image(const Pipeline& pipeline, int width, int height) {
  const int scale = pipeline.vae_scale();
  LatentSize latent{1, height / scale, width / scale, pipeline.tokens()};
  return {work_of_prompt(pipeline), flops(unet_graph(pipeline.unet_config, latent)),
          flops(vae_decoder_graph(pipeline.vae_config, 1, height / scale, width / scale)),
          pipeline.traits.encodes ? flops(vae_encoder_graph(pipeline.vae_config, 1, height, width)) : 0};
}

double usual_speed(Backend& backend, Precision precision) {
  constexpr double kUsualPart = 0.6;
  constexpr int kTries = 2;
  return kUsualPart * backend.peak_flops(precision == Precision::kBf16 ? DType::kBF16 : DType::kF32, kTries);
}

double seconds_of_image(const WorkEstimate& work, const ResolvedRequest& request, double speed) {
  const int texts = request.cfg_copies(), rows = request.evaluations() * request.cfg_copies();
  const double pictures = request.image ? work.encode_picture : 0;
  return (texts * work.encode + pictures + rows * work.row + work.decode) / speed;
}

}  // namespace inkstone
