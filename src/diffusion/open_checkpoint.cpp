// A model in one file, as galleries have it: the tensors of U-Net, VAE and text encoder under the names of the training code,
// and nothing else. The configuration follows from their shapes (models/ldm_config.h), the tokenizer is CLIP's own.
#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/open_pipeline.h"
#include "models/ldm_config.h"
#include "models/ldm_names.h"
#include "weights/checkpoint.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr char kUnet[] = "model.diffusion_model.", kVae[] = "first_stage_model.";
constexpr char kText[] = "cond_stage_model.transformer.", kTextModel[] = "text_model.";
constexpr int kPixelsOfSd1 = 512;

// The scheduler of all models of SD 1.x, as diffusers writes it.
constexpr char kScheduler[] = R"({"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "set_alpha_to_one": false, "clip_sample": false, "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null})";

// What else people find in a gallery, by a name that tells it.
struct OtherFile {
  std::string_view prefix, what;
};
constexpr OtherFile kOthers[] = {
    {"conditioner.embedders.", "an SDXL model (conditioner.embedders); two text encoders are not supported yet"},
    {"cond_stage_model.model.", "an SD 2.x model (cond_stage_model.model); OpenCLIP is not supported yet"},
    {"model.diffusion_model.joint_blocks.", "an SD 3 model, which is no latent U-Net"},
    {"model.diffusion_model.double_blocks.", "a Flux model, which is no latent U-Net"},
    {"double_blocks.", "a Flux model, which is no latent U-Net"},
    {"lora_unet_", "a LoRA, which changes a model and is none: adapters are not supported yet"},
    {"lora_te", "a LoRA, which changes a model and is none: adapters are not supported yet"},
    {"unet.", "a LoRA or a U-Net alone (unet.); neither is supported yet"},
    {"control_model.", "a ControlNet, which is not supported yet"},
    {"emb_params", "a textual inversion embedding, which is not supported yet"},
    {"input_blocks.", "a U-Net without text encoder and VAE, which is not supported yet"},
    {"encoder.", "a VAE or text encoder without a U-Net"},
    {"text_model.", "a text encoder without a U-Net"}};

void check_is_model(const Checkpoint& file, const std::string& source) {
  for (const auto& [prefix, what] : kOthers)
    INKSTONE_CHECK(!file.has_prefix(std::string(prefix)), source, " is ", what);
  const std::pair<const char*, const char*> parts[] = {{kUnet, "U-Net"}, {kVae, "VAE"}, {kText, "text encoder"}};
  for (const auto& [prefix, what] : parts)
    INKSTONE_CHECK(file.has_prefix(prefix), source, " has no ", what, " (tensors ", prefix,
                   "*): single-file checkpoints of SD 1.x are read");
}

// transformers' names begin with "text_model."; some files leave that out.
std::vector<std::string> text_names(const std::string& name) {
  const bool prefixed = name.starts_with(kTextModel);
  return {kText + name, kText + (prefixed ? name.substr(std::size(kTextModel) - 1) : kTextModel + name)};
}

void check_fit(const Pipeline& m, const std::string& source) {
  const UnetConfig& unet = m.unet_config;
  INKSTONE_CHECK(unet.in_channels == unet.out_channels, source, ": the U-Net takes ", unet.in_channels,
                 " channels and gives ", unet.out_channels, " (inpainting and depth models are not supported)");
  INKSTONE_CHECK(m.vae_config.latent == unet.out_channels, source, ": the VAE has ", m.vae_config.latent,
                 " latent channels, the U-Net ", unet.out_channels);
  INKSTONE_CHECK(m.clip_config.width == unet.context, source, ": the text encoder is ", m.clip_config.width,
                 " wide, the U-Net takes ", unet.context);
  INKSTONE_CHECK(m.tokenizer->max_length() == m.clip_config.tokens, source, ": the text encoder takes ",
                 m.clip_config.tokens, " tokens, CLIP's has ", m.tokenizer->max_length());
  INKSTONE_CHECK(m.tokenizer->vocabulary() <= m.clip_config.vocabulary, source, ": the text encoder has ",
                 m.clip_config.vocabulary, " tokens, CLIP's has ", m.tokenizer->vocabulary());
}

ShapeOf below(const Checkpoint& file, std::string prefix) {
  return [&file, prefix = std::move(prefix)](const std::string& name) { return file.shape_of(prefix + name); };
}

}  // namespace

Pipeline open_checkpoint(const fs::path& path) {
  Checkpoint file(path);
  const std::string source = path.string();
  check_is_model(file, source);
  Pipeline m;
  m.path = path;
  m.unet_config = ldm_unet_config(below(file, kUnet), source);
  m.vae_config = ldm_vae_config(below(file, kVae), source);
  m.clip_config = ldm_clip_config(
      [&](const std::string& name) {
        const std::vector<std::string> names = text_names(name);
        const Shape* shape = file.shape_of(names[0]);
        return shape ? shape : file.shape_of(names[1]);
      },
      source);
  m.unet_config.sample_width = m.unet_config.sample_height = kPixelsOfSd1 / m.vae_scale();
  m.traits.scheduler = std::make_shared<const Json>(parse_json(kScheduler, source));
  m.traits.scheduler_file = source + ", which has none: that of SD 1.x";
  set_sizes(m);
  m.tokenizer = std::make_unique<Tokenizer>(Tokenizer::from_merges(clip_files().front().bytes));
  check_fit(m, source);

  add_components(m, [&](const std::string& name, std::span<const WeightSpec> specs) {
    return file.take(specs, [&](const std::string& spec) -> std::vector<std::string> {
      if (name == "unet") return {kUnet + ldm_unet_name(spec, m.unet_config)};
      if (name == "vae") return {kVae + ldm_vae_name(spec, m.vae_config)};
      return text_names(spec);
    });
  });
  return m;
}

}  // namespace inkstone
