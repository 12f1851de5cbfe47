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

// Where a family keeps a text encoder.
struct TextLayout {
  const char* prefix;
  bool open_clip;
};

// A family, known by its text encoders: the first whose encoders are all there.
struct Family {
  std::vector<TextLayout> texts;
  bool xl;
};
const Family kFamilies[] = {
    {{{"conditioner.embedders.0.transformer.", false}, {"conditioner.embedders.1.model.", true}}, true},
    {{{"cond_stage_model.transformer.", false}}, false},   // SD 1.x
    {{{"cond_stage_model.model.", true}}, false},          // SD 2.x
    {{{"conditioner.embedders.0.model.", true}}, false}};  // SD-Turbo

// The schedulers that diffusers' models of these families have.
constexpr char kPndm[] = R"({"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1})";
constexpr char kDdimOfV[] = R"({"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "v_prediction",
  "set_alpha_to_one": false, "clip_sample": false, "steps_offset": 1})";
constexpr char kEuler[] = R"({"_class_name": "EulerDiscreteScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "interpolation_type": "linear", "timestep_spacing": "leading", "steps_offset": 1})";
constexpr int kPixels = 512, kPixelsOfV = 768, kPixelsOfXl = 1024;  // that the families were trained on
constexpr int64_t kMaxWidth = 1 << 16;
constexpr float kScalingOfXl = 0.13025f;

// What else people find in a gallery, by a name that tells it.
struct OtherFile {
  std::string_view prefix, what;
};
constexpr OtherFile kOthers[] = {
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

// Throws where the file is no whole model.
const Family& family_of(const Checkpoint& file, const std::string& source) {
  for (const auto& [prefix, what] : kOthers)
    INKSTONE_CHECK(!file.has_prefix(std::string(prefix)), source, " is ", what);
  const auto has = [&](const TextLayout& layout) { return file.has_prefix(layout.prefix); };
  const auto* family =
      std::ranges::find_if(kFamilies, [&](const Family& one) { return std::ranges::all_of(one.texts, has); });
  const auto require = [&](bool there, const char* what, const char* prefix) {
    INKSTONE_CHECK(there, source, " has no ", what, " (tensors ", prefix,
                   "*): single-file checkpoints of SD 1.x, SD 2.x and SDXL are read");
  };
  require(file.has_prefix(kUnet), "U-Net", kUnet);
  require(file.has_prefix(kVae), "VAE", kVae);
  require(family != std::end(kFamilies), "text encoder", "cond_stage_model.* or conditioner.embedders.");
  return *family;
}

// transformers' names begin with "text_model."; some files leave that out.
std::vector<StoredName> text_names(const TextLayout& layout, const std::string& name) {
  const std::string prefix = layout.prefix;
  if (layout.open_clip) {
    const OpenClipName stored = open_clip_name(name);
    if (stored.transposed) return {{prefix + stored.name, 0, 1, true}, {prefix + name}};
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

// Of the pooled text, by the matrix that makes it.
int projection_width(const Checkpoint& file, const TextLayout& layout, const std::string& source) {
  const std::string name = std::string(layout.prefix) + "text_projection";
  const Shape *turned = file.shape_of(name), *shape = turned ? turned : file.shape_of(name + ".weight");
  INKSTONE_CHECK(shape, source, ": the tensor ", name, " is missing");
  INKSTONE_CHECK(shape->size() == 2 && shape->front() >= 1 && shape->back() >= 1 && shape->back() <= kMaxWidth &&
                     shape->front() <= kMaxWidth,
                 source, ": the tensor ", name, " is ", to_string(*shape), ": impossible in a model");
  return static_cast<int>(turned ? shape->back() : shape->front());
}

ShapeOf below(const Checkpoint& file, std::string prefix) {
  return [&file, prefix = std::move(prefix)](const std::string& name) { return file.shape_of(prefix + name); };
}

std::vector<TextEncoder> encoders_of(const Checkpoint& file, const Family& family, const std::string& source) {
  std::vector<TextEncoder> encoders;
  for (const TextLayout& layout : family.texts) {
    ClipConfig config = text_config(file, layout, source);
    if (family.xl) take_text_as_xl(config);
    Tokenizer tokenizer = Tokenizer::from_merges(clip_files().front().bytes, layout.open_clip ? "!" : "");
    encoders.push_back({encoders.empty() ? "text_encoder" : "text_encoder_2", config,
                        std::make_unique<Tokenizer>(std::move(tokenizer))});
  }
  if (family.xl) encoders.back().config.projection = projection_width(file, family.texts.back(), source);
  return encoders;
}

// What no tensor tells: how images are made by default.
void set_defaults(Pipeline& m, const Family& family, const std::string& source) {
  const bool v = !family.xl && family.texts.front().open_clip && predicts_v(m.unet_config, m.component("unet").weights);
  const int pixels = family.xl ? kPixelsOfXl : v ? kPixelsOfV : kPixels;
  m.unet_config.sample_width = m.unet_config.sample_height = pixels / m.vae_scale();
  if (family.xl) m.traits.guidance_scale = kGuidanceOfXl;
  m.zeros_for_no_negative = family.xl;
  m.traits.scheduler = std::make_shared<const Json>(parse_json(family.xl ? kEuler : v ? kDdimOfV : kPndm, source));
  m.traits.scheduler_file = source + ", which has none: that of its family";
  set_sizes(m);
}

}  // namespace

Pipeline open_checkpoint(const fs::path& path) {
  const Checkpoint file(path);
  const std::string source = path.string();
  const Family& family = family_of(file, source);
  Pipeline m;
  m.path = path;
  m.unet_config = ldm_unet_config(below(file, kUnet), source);
  m.vae_config = ldm_vae_config(below(file, kVae), source);
  if (family.xl) m.vae_config.scaling_factor = kScalingOfXl;  // its VAE has the shapes of SD 1.x's
  m.text_encoders = encoders_of(file, family, source);
  check_fit(m, [&](const char*, const char*) { return source; });

  add_components(m, [&](const std::string& name, std::span<const WeightSpec> specs) {
    return file.take(specs, [&](const std::string& spec) -> std::vector<StoredName> {
      if (name == "unet") return {{kUnet + ldm_unet_name(spec, m.unet_config)}};
      if (name == "vae") return {{kVae + ldm_vae_name(spec, m.vae_config)}};
      return text_names(family.texts[name == "text_encoder" ? 0 : 1], spec);
    });
  });
  set_defaults(m, family, source);
  return m;
}

}  // namespace inkstone
