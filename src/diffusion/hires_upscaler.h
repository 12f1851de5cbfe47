// How an image's first leg becomes the larger one that its second leg begins with (legs.h): its latent, or its pixels.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/picture.h"
#include "base/tensor.h"

namespace inkstone {

enum class LatentFilter { kNearest, kNearestExact, kBilinear, kBicubic };

struct HiresUpscaler {
  const char* name;   // "latent-bicubic"
  const char* label;  // as AUTOMATIC1111 calls it: "Latent (bicubic)"
  bool of_latent;     // else of pixels, which the VAE decodes and encodes
  LatentFilter filter = LatentFilter::kBilinear;
  bool antialias = false;
  Resampling resampling = Resampling::kLanczos;  // of pixels
};

const HiresUpscaler* find_hires_upscaler(std::string_view name);  // by name or label, in whatever case; null: none
const std::vector<HiresUpscaler>& hires_upscalers_all();          // the default first
std::vector<std::string> hires_upscalers();                       // by name

// torch.nn.functional.interpolate of [n, c, h, w], with align_corners false and the size given, in fp32. With antialias,
// which bilinear and bicubic have, a = -0.5 in the cubic, else -0.75.
Tensor enlarged_latent(const Tensor& latent, int64_t height, int64_t width, LatentFilter filter, bool antialias);

}  // namespace inkstone
