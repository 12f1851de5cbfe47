#include "diffusion/pipeline_upscalers.h"

#include "base/error.h"
#include "diffusion/hires_upscaler.h"

namespace inkstone {

void add_upscaler(Pipeline& pipeline, const std::filesystem::path& path) {
  Upscaler upscaler = Upscaler::open(path);
  INKSTONE_CHECK_USAGE(!find_hires_upscaler(upscaler.name(), pipeline.traits.upscalers), path.string(),
                       ": an upscaler has the name ", upscaler.name(), " already: rename the file");
  pipeline.traits.upscalers.push_back({upscaler.name(), upscaler.factor()});
  pipeline.upscalers.push_back(std::move(upscaler));
}

}  // namespace inkstone
