#include "diffusion/preview_vae.h"

#include <utility>

#include "base/error.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/vae_file.h"
#include "models/config_json.h"
#include "models/vae.h"

namespace inkstone {

void add_preview_vae(Pipeline& pipeline, const std::filesystem::path& path) {
  VaeFile vae = open_vae(path);
  INKSTONE_CHECK(vae.config.tiny, path.string(),
                 ": previews are decoded by a tiny VAE (TAESD), and this one is as large as the model's own");
  INKSTONE_CHECK(vae.config.latent == pipeline.vae_config.latent, path.string(), ": it decodes latents of ",
                 vae.config.latent, " channels, the model's have ", pipeline.vae_config.latent);
  vae.config.tiny->encoder.clear();  // is not read
  pipeline.components.push_back(
      open_component(kPreviewVae, vae_class(vae.config), vae_graphs(vae.config), vae.weights));
  if (std::string warning = taesd_name_warning(path, pipeline.traits.sdxl); !warning.empty())
    pipeline.notes.push_back(std::move(warning));
  pipeline.preview_vae = std::move(vae.config);
}

}  // namespace inkstone
