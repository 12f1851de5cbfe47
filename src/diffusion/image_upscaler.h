// Images made larger by resampling, or by the networks of a pipeline, in the memory that an engine's plan has for them.
#pragma once

#include <optional>

#include "backend/backend.h"
#include "base/image.h"
#include "diffusion/hires_upscaler.h"
#include "diffusion/program_cache.h"
#include "diffusion/request_pictures.h"

namespace inkstone {

class ImageUpscaler {
 public:
  // `precision`: UpscaleOptions'.
  ImageUpscaler(const Pipeline& pipeline, Backend& backend, ProgramCache& programs, std::optional<Precision> precision)
      : pipeline_(pipeline), backend_(backend), programs_(programs), precision_(precision) {}

  // Of exactly that size: through the network, if `how` has one, and then resampled. Throws as Upscaler::upscale().
  // kCrop and kFill resample by Lanczos.
  Image upscale(Image image, int width, int height, const HiresUpscaler& how, ResizeMode mode = ResizeMode::kStretch);

 private:
  const Pipeline& pipeline_;
  Backend& backend_;
  ProgramCache& programs_;
  const std::optional<Precision> precision_;
};

}  // namespace inkstone
