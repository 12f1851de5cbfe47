// How an image's first leg becomes the larger one that its second leg begins with (legs.h): its latent, or its pixels.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/picture.h"
#include "base/tensor.h"
#include "diffusion/image_request.h"
#include "diffusion/model_traits.h"

namespace inkstone {

enum class LatentFilter { kNearest, kNearestExact, kBilinear, kBicubic };

struct HiresUpscaler {
  std::string name;        // "latent-bicubic"; a network's own
  std::string label;       // as AUTOMATIC1111 calls it: "Latent (bicubic)"
  bool of_latent = false;  // else of pixels, which the VAE decodes and encodes
  LatentFilter filter = LatentFilter::kBilinear;
  bool antialias = false;
  Resampling resampling = Resampling::kLanczos;  // of pixels: to the size that is wanted
  int network = -1;  // of ModelTraits::upscalers, through which the pixels go before that; -1: none
};

const HiresUpscaler* find_hires_upscaler(std::string_view name);  // by name or label, in whatever case; null: none
// The same, or one of the networks.
std::optional<HiresUpscaler> find_hires_upscaler(std::string_view name, const std::vector<UpscalerTrait>& networks);
// The one that a request names there. Throws RequestError with the names that there are.
HiresUpscaler named_upscaler(std::optional<std::string> ImageRequest::*member, const ImageRequest& request,
                             const std::vector<UpscalerTrait>& networks);
const std::vector<HiresUpscaler>& hires_upscalers_all();  // without networks; the default first
std::vector<std::string> hires_upscalers(const std::vector<UpscalerTrait>& networks = {});  // by name

// torch.nn.functional.interpolate of [n, c, h, w], with align_corners false and the size given, in fp32. With antialias,
// which bilinear and bicubic have, a = -0.5 in the cubic, else -0.75.
Tensor enlarged_latent(const Tensor& latent, int64_t height, int64_t width, LatentFilter filter, bool antialias);

}  // namespace inkstone
