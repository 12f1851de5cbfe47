#include "diffusion/file_kind.h"

#include <algorithm>
#include <set>

#include "adapters/layers.h"
#include "adapters/parts.h"
#include "base/error.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/control_file.h"
#include "diffusion/pipeline_controls.h"
#include "diffusion/stored_component.h"
#include "models/esrgan.h"
#include "weights/checkpoint.h"

namespace inkstone {
namespace {

// Of other programs' networks, by a name that tells them.
struct Stranger {
  std::string_view prefix, what;
};
constexpr Stranger kStrangers[] = {{"model.diffusion_model.joint_blocks.", "an SD 3 model"},
                                   {"joint_blocks.", "an SD 3 model"},
                                   {"model.diffusion_model.double_blocks.", "a Flux model"},
                                   {"double_blocks.", "a Flux model"},
                                   {"ip_adapter.", "an IP-Adapter"},
                                   {"layers.0.residual_group.", "an upscaler of another kind (SwinIR, HAT, DAT)"},
                                   {"body.0.weight", "an upscaler of another kind (SRVGG, as realesr-general)"},
                                   {"conv_first.", "an upscaler of another kind"},
                                   {"params_ema", "an upscaler of another kind"}};
// Metadata that people look for.
constexpr const char* kKeys[] = {"modelspec.title",          "modelspec.architecture", "modelspec.prediction_type",
                                 "modelspec.trigger_phrase", "ss_base_model_version",  "ss_sd_model_name",
                                 "ss_network_dim",           "ss_network_alpha"};

void add_metadata(FileKind& kind, const Checkpoint& file) {
  for (const char* key : kKeys)
    if (const auto found = file.metadata().find(key); found != file.metadata().end() && !found->second.empty())
      kind.facts.push_back(std::string("metadata ") + key + ": " + shown(found->second));
}

int64_t parameters(const Checkpoint& file, const std::string& prefix) {
  int64_t sum = 0;
  for (const auto& [name, view] : file.tensors())
    if (name.starts_with(prefix)) sum += count(view.shape);
  return sum;
}

std::string parameters_text(const Checkpoint& file, const std::string& prefix) {
  return std::to_string(parameters(file, prefix)) + " parameters";
}

// ---- Adapters

struct AdapterParts {
  size_t known = 0;
  std::set<std::string> layers, kinds;
  std::set<int64_t> ranks;
  bool text = false, second_text = false, unet = false;
  int64_t context = 0;  // of the text that its model's U-Net takes; 0: it does not tell
};

const char* kind_of_part(Part part) {
  if (part >= Part::kHadaW1A && part <= Part::kHadaT2) return "LoHa";
  if (part >= Part::kLokrW1 && part <= Part::kLokrT2) return "LoKr";
  if (part == Part::kDoraScale || part == Part::kMagnitude) return "DoRA";
  if (part == Part::kDiff || part == Part::kDiffBias) return "differences";
  return part == Part::kDown || part == Part::kUp ? "LoRA" : nullptr;
}

// LyCORIS' IA3 has ".weight", as any network, and this beside it.
bool has_ia3(const Checkpoint& file) {
  const auto tells = [](const auto& tensor) { return tensor.first.ends_with(".on_input"); };
  return std::ranges::any_of(file.tensors(), tells) || std::ranges::any_of(file.unread(), tells);
}

AdapterParts adapter_parts(const Checkpoint& file) {
  AdapterParts parts;
  const bool ia3 = has_ia3(file);
  if (ia3) parts.kinds.insert("IA3");
  for (const auto& [key, view] : file.tensors()) {
    const std::optional<PartName> name = part_name(key);
    if (!name || (name->part == Part::kIa3 && !ia3)) continue;
    ++parts.known;
    parts.layers.insert(name->stem);
    if (const char* kind = kind_of_part(name->part)) parts.kinds.insert(kind);
    const std::string stem = flat(name->stem);
    const bool text = names_text_encoder(name->stem);
    parts.text = parts.text || text;
    parts.second_text = parts.second_text || stem.starts_with("lora_te2") || stem.starts_with("text_encoder_2");
    parts.unet = parts.unet || !text;
    if (name->part != Part::kDown || view.shape.size() < 2) continue;
    parts.ranks.insert(view.shape[0]);
    if (stem.ends_with("attn2_to_k")) parts.context = view.shape[1];
  }
  return parts;
}

std::string of_family(const std::string& family) { return family.empty() ? "" : " for " + family; }

FileKind adapter_kind(const Checkpoint& file, const AdapterParts& parts) {
  FileKind kind;
  const std::vector<std::string> kinds(parts.kinds.begin(), parts.kinds.end());
  kind.what = "an adapter (" + (kinds.empty() ? "of a kind that is not known" : listed(kinds)) + ")" +
              of_family(parts.second_text ? "SDXL" : family_of_context(parts.context));
  kind.use = "it changes a model: --lora FILE[:STRENGTH] beside --model";
  std::string changes = parts.unet ? "U-Net" : "";
  if (parts.text)
    changes +=
        (changes.empty() ? "" : " and ") + std::string(parts.second_text ? "both text encoders" : "text encoder");
  kind.facts.push_back(std::to_string(parts.layers.size()) + " layers of " + changes);
  if (!parts.ranks.empty()) {
    const int64_t least = *parts.ranks.begin(), most = *parts.ranks.rbegin();
    kind.facts.push_back("rank " + std::to_string(least) + (most > least ? " to " + std::to_string(most) : ""));
  }
  add_metadata(kind, file);
  return kind;
}

// ---- Embeddings: a few vectors of a text encoder's width.

std::string family_of_vectors(int64_t width) {
  return width == 768 ? "Stable Diffusion 1.x" : width == 1024 ? "Stable Diffusion 2.x" : "";
}

std::optional<FileKind> embedding_kind(const Checkpoint& file) {
  if (file.unread().contains("string_to_param"))  // as A1111's web UI saves them
    return FileKind{
        false, {}, "a textual inversion embedding", "it adds a word to prompts: --embedding FILE beside --model", {}};
  constexpr size_t kMostTensors = 2;
  constexpr int64_t kMostVectors = 200, kWidths[] = {768, 1024, 1280};
  if (file.tensors().empty() || file.tensors().size() > kMostTensors) return {};
  int64_t vectors = 0, width = 0;
  for (const auto& [name, view] : file.tensors()) {
    if (view.shape.empty() || view.shape.size() > 2) return {};
    width = view.shape.back();
    vectors = view.shape.size() == 2 ? view.shape[0] : 1;
    if (std::ranges::find(kWidths, width) == std::end(kWidths) || vectors > kMostVectors) return {};
  }
  const bool xl = file.has("clip_l") && file.has("clip_g");
  FileKind kind;
  kind.what = "a textual inversion embedding" + of_family(xl ? "SDXL" : family_of_vectors(width));
  kind.use = "it adds a word to prompts: --embedding FILE beside --model";
  kind.facts.push_back(std::to_string(vectors) + (vectors == 1 ? " vector" : " vectors") +
                       (xl ? "" : " of " + std::to_string(width)));
  return kind;
}

// ---- Networks

FileKind unet_kind(const Checkpoint& file, const StoredComponent& at, const std::string& source) {
  FileKind kind;
  const UnetConfig config = unet_config_of(file, at, source);
  const std::string family = config.added ? "SDXL" : family_of_context(config.context);
  kind.what = "a U-Net alone" + of_family(family);
  kind.use = "it replaces a model's own: --unet FILE beside --model";
  kind.facts.push_back(parameters_text(file, at.prefix) + ", " + std::to_string(config.in_channels) +
                       " channels in, text of " + std::to_string(config.context));
  if (config.guidance_channels) kind.facts.push_back("distilled with guidance (LCM)");
  return kind;
}

FileKind tiny_vae_kind(const Checkpoint& file, const StoredComponent& at, const VaeConfig& config) {
  FileKind kind;
  const bool whole = config.has_encoder() && config.has_decoder();
  kind.what = whole ? "TAESD, a tiny VAE (decoder and encoder)"
                    : std::string("TAESD, a tiny ") + (config.has_decoder() ? "decoder" : "encoder") + " alone";
  kind.use =
      config.has_decoder()
          ? "it decodes in place of a model's VAE: --vae FILE beside --model; or previews alone: --preview-vae FILE"
          : "it lies beside its decoder, and --vae takes that: --vae taesd_decoder.safetensors";
  kind.facts.push_back(parameters_text(file, at.prefix) + ", latents of " + std::to_string(config.latent) +
                       " channels; TAESD of SD and of SDXL have the same shapes, so its name must tell the family");
  return kind;
}

FileKind vae_kind(const Checkpoint& file, const StoredComponent& at, const std::string& source) {
  FileKind kind;
  const VaeConfig config = vae_config_of(file, at, source);
  if (config.tiny) return tiny_vae_kind(file, at, config);
  kind.what = "a VAE alone";
  kind.use = "it replaces a model's own: --vae FILE beside --model";
  kind.facts.push_back(
      parameters_text(file, at.prefix) + ", latents of " + std::to_string(config.latent) +
      " channels; VAEs of SD 1.x, 2.x and SDXL have the same shapes, so its name must tell the family");
  return kind;
}

FileKind text_kind(const Checkpoint& file, const StoredComponent& at, const std::string& source) {
  FileKind kind;
  const ClipConfig config = clip_config_of(file, at, source);
  const char* name = config.width == 768    ? "CLIP-L, of SD 1.x and SDXL's first"
                     : config.width == 1024 ? "OpenCLIP-H, of SD 2.x"
                     : config.width == 1280 ? "OpenCLIP-bigG, SDXL's second"
                                            : "of another width";
  kind.what = std::string("a text encoder alone (") + name + ")";
  kind.use = std::string("it replaces a model's own: ") +
             (config.width == 1280 ? "--text-encoder-2" : "--text-encoder") + " FILE beside --model";
  kind.facts.push_back(parameters_text(file, at.prefix) + ", " + std::to_string(config.layers) + " layers, width " +
                       std::to_string(config.width));
  return kind;
}

FileKind control_kind(const Checkpoint& file, const std::string& source) {
  FileKind kind;
  const ControlConfig config = control_config_of(file, source);
  kind.what = control_text(config);
  kind.use = "it draws after a picture: --control FILE:HINT[:SCALE] beside --model";
  kind.facts.push_back(parameters_text(file, ""));
  if (const auto* net = std::get_if<ControlnetConfig>(&config); net && net->pooled)
    kind.facts.push_back("by its name its residuals are pooled over the image (shuffle)");
  add_metadata(kind, file);
  return kind;
}

std::optional<FileKind> upscaler_kind(const Checkpoint& file, const std::string& source) {
  const ShapeOf shape_of = [&](const std::string& name) { return file.shape_of(name); };
  const std::optional<EsrganNaming> naming = find_esrgan(shape_of);
  if (!naming) return {};
  const EsrganConfig config = esrgan_config_of(shape_of, *naming, source);
  FileKind kind;
  kind.what = "an upscaler (ESRGAN) of factor " + std::to_string(config.factor());
  kind.use = "it makes images larger: inkstone upscale IMAGE --upscaler FILE --out BIG.png";
  kind.facts.push_back(parameters_text(file, "") + ", " + std::to_string(config.blocks) +
                       (config.blocks == 1 ? " block of " : " blocks of ") + std::to_string(config.channels) + " and " +
                       std::to_string(config.growth) + " channels");
  add_metadata(kind, file);
  return kind;
}

std::optional<FileKind> model_kind(const Checkpoint& file) {
  const bool unet = find_unet(file, /*whole=*/true).has_value(), vae = find_vae(file, /*whole=*/true).has_value();
  const bool text = file.has_prefix("cond_stage_model.") || file.has_prefix("conditioner.embedders.");
  if (unet + vae + text < 2) return {};
  FileKind kind;
  kind.model = true;
  if (!unet) kind.missing.push_back("unet");
  if (!vae) kind.missing.push_back("vae");
  if (!text) kind.missing.push_back("text_encoder");
  kind.what = kind.missing.empty() ? "a model" : "a model without " + listed(kind.missing);
  kind.use = "--model FILE";
  if (!kind.missing.empty()) {
    std::vector<std::string> flags;
    for (std::string name : kind.missing) {
      std::ranges::replace(name, '_', '-');
      flags.push_back("--" + name);
    }
    kind.use += ", with what is missing named by " + listed(flags);
  }
  if (!text) kind.use = "it has no text encoder, without which no model is opened";
  if (unet) kind.facts.push_back("U-Net: " + parameters_text(file, find_unet(file, true)->prefix));
  if (vae) kind.facts.push_back("VAE: " + parameters_text(file, find_vae(file, true)->prefix));
  add_metadata(kind, file);
  return kind;
}

FileKind other_kind(const Checkpoint& file) {
  constexpr size_t kShown = 3;
  FileKind kind;
  kind.what = "a file of tensors of no kind that Inkstone knows";
  kind.use = "no flag takes it";
  std::vector<std::string> names;
  for (const auto& [name, view] : file.tensors()) names.push_back(shown(name));
  if (!names.empty()) kind.facts.push_back("tensors " + listed(names, kShown));
  add_metadata(kind, file);
  return kind;
}

}  // namespace

std::string family_of_context(int64_t width) {
  switch (width) {
    case 768: return "Stable Diffusion 1.x";
    case 1024: return "Stable Diffusion 2.x";
    case 1280: return "SDXL's refiner";
    case 2048: return "SDXL";
    default: return "";
  }
}

FileKind kind_of(const std::filesystem::path& path) {
  const Checkpoint file(path);
  if (std::optional<FileKind> upscaler = upscaler_kind(file, path.string())) return *upscaler;
  for (const auto& [prefix, what] : kStrangers)
    if (file.has_prefix(std::string(prefix))) return {false, {}, std::string(what), "it is not supported", {}};
  if (const std::string control = unread_control(file); !control.empty())
    return {false, {}, control.substr(0, control.find(',')), control.substr(control.find(", ") + 2), {}};
  if (std::optional<FileKind> model = model_kind(file)) return *model;
  if (is_control(file)) return control_kind(file, path.string());
  const AdapterParts parts = adapter_parts(file);
  if (2 * parts.known > file.tensors().size()) return adapter_kind(file, parts);
  if (std::optional<FileKind> embedding = embedding_kind(file)) return *embedding;
  if (const auto unet = find_unet(file, /*whole=*/false)) return unet_kind(file, *unet, path.string());
  if (const auto vae = find_vae(file, /*whole=*/false)) return vae_kind(file, *vae, path.string());
  if (const auto text = find_text_encoder(file)) return text_kind(file, *text, path.string());
  if (file.has_prefix("control_model.")) return {false, {}, "a ControlNet", "its hint's convolutions are missing", {}};
  return other_kind(file);
}

}  // namespace inkstone
