// A model in one file, as galleries have it: the tensors of U-Net, VAE and text encoder under the names of the training code,
// and nothing else. The configuration follows from their shapes (models/ldm_config.h), the tokenizer is CLIP's own.
#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/prediction_type.h"
#include "models/ldm_config.h"
#include "models/ldm_names.h"
#include "weights/checkpoint.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr char kUnet[] = "model.diffusion_model.", kVae[] = "first_stage_model.";
constexpr char kTextModel[] = "text_model.";

// Where a family keeps its text encoder.
struct TextLayout {
  const char* prefix;
  bool open_clip;  // SD 2.x
};
constexpr TextLayout kTexts[] = {{"cond_stage_model.transformer.", false},
                                 {"cond_stage_model.model.", true},
                                 {"conditioner.embedders.0.model.", true}};

// The schedulers that diffusers' models of these families have.
constexpr char kPndm[] = R"({"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1})";
constexpr char kDdimOfV[] = R"({"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "v_prediction",
  "set_alpha_to_one": false, "clip_sample": false, "steps_offset": 1})";
constexpr int kPixels = 512, kPixelsOfV = 768;  // that the families were trained on

// What else people find in a gallery, by a name that tells it.
struct OtherFile {
  std::string_view prefix, what;
};
constexpr OtherFile kOthers[] = {
    {"conditioner.embedders.1.", "an SDXL model (conditioner.embedders.1); two text encoders are not supported yet"},
    {"model.diffusion_model.joint_blocks.", "an SD 3 model, which is no latent U-Net"},
    {"model.diffusion_model.double_blocks.", "a Flux model, which is no latent U-Net"},
    {"double_blocks.", "a Flux model, which is no latent U-Net"},
    {"lora_unet_", "a LoRA, which changes a model and is none: adapters are not supported yet"},
    {"lora_te", "a LoRA, which changes a model and is none: adapters are not supported yet"},
    {"unet.", "a LoRA or a U-Net alone (unet.); neither is supported yet"},
    {"control_model.", "a ControlNet, which is not supported yet"},
    {"emb_params", "a textual inversion embedding, which is not supported yet"},
    {"input_blocks.", "a U-Net without text encoder and VAE; a single-file checkpoint has all three"},
    {"down_blocks.", "the U-Net of a folder in diffusers' layout; name the model's folder"},
    {"encoder.", "a VAE without U-Net and text encoder; a single-file checkpoint has all three"},
    {"text_model.", "a text encoder without U-Net and VAE; a single-file checkpoint has all three"}};

// The layout of the text encoder; throws where the file is no whole model.
TextLayout check_is_model(const Checkpoint& file, const std::string& source) {
  for (const auto& [prefix, what] : kOthers)
    INKSTONE_CHECK(!file.has_prefix(std::string(prefix)), source, " is ", what);
  const auto* text =
      std::ranges::find_if(kTexts, [&](const TextLayout& layout) { return file.has_prefix(layout.prefix); });
  const auto require = [&](bool there, const char* what, const char* prefix) {
    INKSTONE_CHECK(there, source, " has no ", what, " (tensors ", prefix,
                   "*): single-file checkpoints of SD 1.x and 2.x are read");
  };
  require(file.has_prefix(kUnet), "U-Net", kUnet);
  require(file.has_prefix(kVae), "VAE", kVae);
  require(text != std::end(kTexts), "text encoder", kTexts[0].prefix);
  return *text;
}

// transformers' names begin with "text_model."; some files leave that out.
std::vector<StoredName> text_names(const TextLayout& layout, const std::string& name) {
  const std::string prefix = layout.prefix;
  if (layout.open_clip) {
    const OpenClipName stored = open_clip_name(name);
    if (stored.third < 0) return {{prefix + stored.name}};
    return {{prefix + stored.name, stored.third, 3}};
  }
  const bool prefixed = name.starts_with(kTextModel);
  return {{prefix + name}, {prefix + (prefixed ? name.substr(std::size(kTextModel) - 1) : kTextModel + name)}};
}

ClipConfig text_config(const Checkpoint& file, const TextLayout& layout, const std::string& source) {
  if (layout.open_clip)
    return open_clip_config([&](const std::string& name) { return file.shape_of(layout.prefix + name); }, source);
  const auto shape_of = [&](const std::string& name) -> const Shape* {
    for (const StoredName& stored : text_names(layout, name))
      if (const Shape* shape = file.shape_of(stored.name)) return shape;
    return nullptr;
  };
  return ldm_clip_config(shape_of, source);
}

ShapeOf below(const Checkpoint& file, std::string prefix) {
  return [&file, prefix = std::move(prefix)](const std::string& name) { return file.shape_of(prefix + name); };
}

// What no tensor tells: how images are made by default.
void set_defaults(Pipeline& m, bool open_clip, const std::string& source) {
  const bool v = open_clip && predicts_v(m.unet_config, m.component("unet").weights);
  m.unet_config.sample_width = m.unet_config.sample_height = (v ? kPixelsOfV : kPixels) / m.vae_scale();
  m.traits.scheduler = std::make_shared<const Json>(parse_json(v ? kDdimOfV : kPndm, source));
  m.traits.scheduler_file = source + ", which has none: that of its family";
  set_sizes(m);
}

}  // namespace

Pipeline open_checkpoint(const fs::path& path) {
  const Checkpoint file(path);
  const std::string source = path.string();
  const TextLayout text = check_is_model(file, source);
  Pipeline m;
  m.path = path;
  m.unet_config = ldm_unet_config(below(file, kUnet), source);
  m.vae_config = ldm_vae_config(below(file, kVae), source);
  m.clip_config = text_config(file, text, source);
  m.tokenizer =
      std::make_unique<Tokenizer>(Tokenizer::from_merges(clip_files().front().bytes, text.open_clip ? "!" : ""));
  check_fit(m, [&](const char*, const char*) { return source; });

  add_components(m, [&](const std::string& name, std::span<const WeightSpec> specs) {
    return file.take(specs, [&](const std::string& spec) -> std::vector<StoredName> {
      if (name == "unet") return {{kUnet + ldm_unet_name(spec, m.unet_config)}};
      if (name == "vae") return {{kVae + ldm_vae_name(spec, m.vae_config)}};
      return text_names(text, spec);
    });
  });
  set_defaults(m, text.open_clip, source);
  return m;
}

}  // namespace inkstone
