// A model in one file, as galleries have it: the tensors of U-Net, VAE and text encoder under the names of the training code,
// and nothing else. The configuration follows from their shapes (models/shape_config.h), the tokenizer is CLIP's own.
#include <algorithm>
#include <memory>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/file_defaults.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/prediction_type.h"
#include "diffusion/stored_component.h"
#include "models/esrgan.h"
#include "weights/checkpoint.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// A family, known by its text encoders: the first whose encoders are all there.
struct Family {
  std::vector<StoredComponent> texts;
  bool xl;
  // An empty negative prompt is no text.
  bool zeros = false;
  const char* tensor = "";  // that the file must have too
};
const Family kFamilies[] = {{{{"conditioner.embedders.0.transformer.", Naming::kDiffusers},
                              {"conditioner.embedders.1.model.", Naming::kOpenClip}},
                             true,
                             true},
                            {{{"cond_stage_model.transformer.", Naming::kDiffusers}}, false},  // SD 1.x
                            {{{"cond_stage_model.model.", Naming::kOpenClip}}, false},         // SD 2.x
                            // SDXL's refiner, and SD-Turbo
                            {{{"conditioner.embedders.0.model.", Naming::kOpenClip}},
                             true,
                             false,
                             "model.diffusion_model.label_emb.0.0.weight"},
                            {{{"conditioner.embedders.0.model.", Naming::kOpenClip}}, false}};

// Where SDXL's files have their first encoder: of one that is no SDXL's, only SD-Turbo has it there.
constexpr std::string_view kPackingOfTurbo = "conditioner.embedders.0.model.";

// The schedulers that diffusers' models of these families have.
constexpr char kPndm[] = R"({"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1})";
constexpr char kDdimOfV[] = R"({"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "v_prediction",
  "set_alpha_to_one": false, "clip_sample": false, "steps_offset": 1})";
constexpr char kEuler[] = R"({"_class_name": "EulerDiscreteScheduler", "beta_schedule": "scaled_linear",
  "beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000, "prediction_type": "epsilon",
  "interpolation_type": "linear", "timestep_spacing": "leading", "steps_offset": 1, "clip_sample": false,
  "set_alpha_to_one": false, "skip_prk_steps": true})";
constexpr int kPixels = 512, kPixelsOfV = 768, kPixelsOfXl = 1024;  // that the families were trained on
constexpr int64_t kMaxWidth = 1 << 16;

// What else people find in a gallery, by a name that tells it, and the flag that takes it beside a model.
struct OtherFile {
  std::string_view prefix, what, flag{};
};
constexpr OtherFile kOthers[] = {{"model.diffusion_model.joint_blocks.", "an SD 3 model, which is no latent U-Net"},
                                 {"model.diffusion_model.double_blocks.", "a Flux model, which is no latent U-Net"},
                                 {"double_blocks.", "a Flux model, which is no latent U-Net"},
                                 {"lora_unet_", "a LoRA", "--lora"},
                                 {"lora_te", "a LoRA", "--lora"},
                                 {"unet.", "a LoRA, or a U-Net alone (unet.)", "--lora or --unet"},
                                 {"control_model.", "a ControlNet, which is not supported yet"},
                                 {"emb_params", "a textual inversion", "--embedding"},
                                 {"input_blocks.", "a U-Net alone", "--unet"},
                                 {"down_blocks.", "a U-Net alone", "--unet"},
                                 {"encoder.layers.", "a text encoder alone", "--text-encoder"},
                                 {"encoder.", "a VAE alone", "--vae"},
                                 {"text_model.", "a text encoder alone", "--text-encoder"}};

void refuse_others(const Checkpoint& file, const std::string& source) {
  INKSTONE_CHECK(
      !find_esrgan([&](const std::string& name) { return file.shape_of(name); }), source,
      " is an upscaler (ESRGAN), no model: inkstone upscale IMAGE --upscaler FILE makes images larger with it");
  for (const auto& [prefix, what, flag] : kOthers) {
    if (!file.has_prefix(std::string(prefix))) continue;
    INKSTONE_CHECK(!flag.empty(), source, " is ", what);
    fail(INKSTONE_HERE, {source, " is ", what,
                         ", no single-file model: name the model it is for with --model, and this file with ", flag});
  }
}

std::vector<TextEncoder> encoders_of(const Checkpoint& file, const Family& family, const std::string& source) {
  std::vector<TextEncoder> encoders;
  for (const StoredComponent& at : family.texts) {
    ClipConfig config = clip_config_of(file, at, source);
    if (family.xl) take_text_as_xl(config);
    const bool pooled = family.xl && &at == &family.texts.back();
    INKSTONE_CHECK(!pooled || config.projection, source, ": the tensor ", at.prefix, "text_projection is missing");
    if (!pooled) config.projection = 0;
    Tokenizer tokenizer = Tokenizer::from_merges(clip_files().front().bytes, at.naming == Naming::kOpenClip ? "!" : "");
    encoders.push_back({encoders.empty() ? "text_encoder" : "text_encoder_2", config,
                        std::make_unique<Tokenizer>(std::move(tokenizer))});
  }
  return encoders;
}

bool is_sd2(const Family& family) { return !family.xl && family.texts.front().naming == Naming::kOpenClip; }

// What no tensor tells: how images are made by default.
void set_defaults(Pipeline& m, const Family& family, std::optional<PredictionType> said, const std::string& source) {
  const bool v = is_sd2(family) &&
                 (said ? said == PredictionType::kVPrediction : predicts_v(m.unet_config, m.component("unet").weights));
  const int pixels = family.xl ? kPixelsOfXl : v ? kPixelsOfV : kPixels;
  m.unet_config.sample_width = m.unet_config.sample_height = pixels / m.vae_scale();
  if (family.xl) m.traits.guidance_scale = kGuidanceOfXl;
  m.zeros_for_no_negative = family.zeros;
  m.traits.scheduler = std::make_shared<const Json>(parse_json(family.xl ? kEuler : v ? kDdimOfV : kPndm, source));
  m.traits.scheduler_file = source + ", which has none: that of its family";
}

const Family& family_of(const Checkpoint& file, const std::string& source) {
  const Family* family = std::ranges::find_if(kFamilies, [&](const Family& one) {
    if (*one.tensor && !file.has(one.tensor)) return false;
    return std::ranges::all_of(one.texts, [&](const StoredComponent& at) { return has_text_encoder(file, at); });
  });
  INKSTONE_CHECK(family != std::end(kFamilies), source,
                 " has no text encoder (tensors cond_stage_model.* or conditioner.embedders.*): single-file "
                 "checkpoints of SD 1.x, SD 2.x and SDXL are read");
  return *family;
}

}  // namespace

Opening open_checkpoint(const fs::path& path, const ModelSettings& said) {
  const auto file = std::make_shared<const Checkpoint>(path);
  const std::string source = path.string();
  refuse_others(*file, source);
  const Family& family = family_of(*file, source);
  const std::optional<StoredComponent> unet = find_unet(*file, /*whole=*/true), vae = find_vae(*file, /*whole=*/true);
  Opening opening;
  Pipeline& m = opening.pipeline;
  m.path = path;
  m.text_encoders = encoders_of(*file, family, source);
  if (unet) m.unet_config = unet_config_of(*file, *unet, source);
  if (!unet) opening.missing["unet"] = source + " has no U-Net (tensors model.diffusion_model.*): name one with --unet";
  if (vae) m.vae_config = vae_config_of(*file, *vae, source);
  if (!vae) opening.missing["vae"] = source + " has no VAE (tensors first_stage_model.*): name one with --vae";
  if (family.xl) m.vae_config.scaling_factor = kScalingOfXl;  // its VAE has the shapes of SD 1.x's
  opening.file_of = [source](const std::string&, const char*) { return source; };
  opening.weights = [=, &family, unet_config = m.unet_config, vae_config = m.vae_config](
                        const std::string& component, std::span<const WeightSpec> specs) {
    if (component == "unet") return unet_weights(*file, *unet, unet_config, specs);
    if (component == "vae") return vae_weights(*file, *vae, vae_config, specs);
    return text_weights(*file, family.texts[component == "text_encoder" ? 0 : 1], specs);
  };
  opening.told = settings_of(*file, source);
  opening.title = title_of(*file);
  opening.few_step_packing = !family.xl && family.texts.front().prefix == kPackingOfTurbo;
  // Of SD 2.x it is measured, because such files' metadata is often wrong after merging.
  if (is_sd2(family) && !file->has("v_pred")) opening.told.prediction.reset();
  opening.decide = [&family, source, prediction = said.prediction ? said.prediction : opening.told.prediction](
                       Pipeline& pipeline) { set_defaults(pipeline, family, prediction, source); };
  apply_file_defaults(opening, file->metadata(), source);
  return opening;
}

}  // namespace inkstone
