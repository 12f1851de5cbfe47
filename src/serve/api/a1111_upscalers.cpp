#include "serve/api/a1111_upscalers.h"

#include "base/spelling.h"

namespace inkstone::serve {
namespace {

struct UpscalerName {
  const char *theirs, *ours;
};
constexpr UpscalerName kUpscalerNames[] = {{"None", "lanczos"},
                                           {"R-ESRGAN 4x+", "RealESRGAN_x4plus"},
                                           {"R-ESRGAN 4x+ Anime6B", "RealESRGAN_x4plus_anime_6B"},
                                           {"R-ESRGAN 2x+", "RealESRGAN_x2plus"}};

}  // namespace

std::vector<UpscalerTrait> served_upscalers(const ImageService& service) {
  const std::vector<ServedModel>& models = service.models();
  return models.empty() || !models.front().card ? std::vector<UpscalerTrait>{} : models.front().card->traits.upscalers;
}

std::string a1111_upscaler(const std::string& name) {
  for (const UpscalerName& one : kUpscalerNames)
    if (lower(name) == lower(one.theirs)) return one.ours;
  return name;
}

}  // namespace inkstone::serve
