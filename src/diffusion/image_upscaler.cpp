#include "diffusion/image_upscaler.h"

namespace inkstone {

Image ImageUpscaler::upscale(Image image, int width, int height, const HiresUpscaler& how, ResizeMode mode) {
  if (how.network >= 0) {
    const Upscaler& network = pipeline_.upscalers.at(static_cast<size_t>(how.network));
    programs_.begin_turn(kUpscalerStage);
    image = network.upscale(backend_, image,
                            network.measure(backend_, image.width, image.height, {precision_},
                                            programs_.plan().upscaler_bands ? Upscaler::kLowestBands : 0));
  }
  return mode == ResizeMode::kStretch ? resize(image, width, height, how.resampling)
                                      : fitted(image, width, height, mode);
}

}  // namespace inkstone
