#include "diffusion/work_estimate.h"

#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "models/work.h"

namespace inkstone {

WorkEstimate work_of_image(const Pipeline& pipeline, int width, int height) {
  const int scale = pipeline.vae_scale();
  LatentSize latent{1, height / scale, width / scale, pipeline.clip_config.tokens};
  return {flops(clip_graph(pipeline.clip_config, 1)), flops(unet_graph(pipeline.unet_config, latent)),
          flops(vae_decoder_graph(pipeline.vae_config, 1, height / scale, width / scale))};
}

}  // namespace inkstone
