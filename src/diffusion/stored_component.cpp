#include "diffusion/stored_component.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "models/ldm_names.h"
#include "models/shape_config.h"
#include "weights/names.h"

namespace inkstone {
namespace {

constexpr char kTextModel[] = "text_model.", kProjection[] = "text_projection.weight";
constexpr int64_t kMaxWidth = 1 << 16;

struct Layout {
  const char* prefix;
  Naming naming;
  bool whole;  // of a file that has other components too
};
constexpr Layout kUnets[] = {{"model.diffusion_model.", Naming::kLdm, true},
                             {"", Naming::kLdm, false},
                             {"", Naming::kDiffusers, false},
                             {"unet.", Naming::kDiffusers, false}};
constexpr Layout kVaes[] = {{"first_stage_model.", Naming::kLdm, true},
                            {"vae.", Naming::kLdm, true},
                            {"", Naming::kLdm, false},
                            {"", Naming::kDiffusers, false},
                            {"vae.", Naming::kDiffusers, false},
                            {"", Naming::kTaesd, false},
                            {"", Naming::kTaesdDecoder, false},
                            {"", Naming::kTaesdEncoder, false}};
constexpr Layout kTexts[] = {{"", Naming::kDiffusers, false},
                             {"", Naming::kOpenClip, false},
                             {"text_encoders.clip_l.transformer.", Naming::kDiffusers, false},
                             {"text_encoders.clip_g.transformer.", Naming::kDiffusers, false},
                             {"cond_stage_model.transformer.", Naming::kDiffusers, false}};

std::string unet_name(const StoredComponent& at, const std::string& name, const UnetConfig& config) {
  return at.prefix + (at.naming == Naming::kLdm ? ldm_unet_name(name, config) : name);
}

// The guidance's embedding came after the training code: some files have it under diffusers' name.
std::vector<StoredName> unet_names(const StoredComponent& at, const std::string& name, const UnetConfig& config) {
  if (name != "time_embedding.cond_proj.weight") return {{unet_name(at, name, config)}};
  return {{unet_name(at, name, config)}, {at.prefix + name}};
}

// Of "decoder.layers.0.weight". TAESD's decoder counts its bound as the first layer. A name without a half stays.
std::string taesd_name(Naming naming, const std::string& name) {
  constexpr std::string_view kHalves[] = {"encoder.layers.", "decoder.layers."};
  const bool decoder = name.starts_with(kHalves[1]);
  if (!decoder && !name.starts_with(kHalves[0])) return name;
  if (naming == (decoder ? Naming::kTaesdEncoder : Naming::kTaesdDecoder)) return name;
  const std::string prefix = naming != Naming::kTaesd ? "" : decoder ? "taesd_decoder." : "taesd_encoder.";
  const std::string rest = name.substr(kHalves[decoder].size());
  const size_t dot = rest.find('.');
  const int layer = std::atoi(rest.substr(0, dot).c_str());
  return prefix + std::to_string(layer + decoder) + rest.substr(dot);
}

bool is_taesd(Naming naming) {
  return naming == Naming::kTaesd || naming == Naming::kTaesdDecoder || naming == Naming::kTaesdEncoder;
}

// Older diffusers' too.
std::vector<StoredName> vae_names(const StoredComponent& at, const std::string& name, const VaeConfig& config) {
  if (at.naming == Naming::kLdm) return {{at.prefix + ldm_vae_name(name, config)}};
  if (is_taesd(at.naming)) return {{at.prefix + taesd_name(at.naming, name)}};
  std::vector<StoredName> names;
  for (const std::string& known : known_names(name)) names.push_back({at.prefix + known});
  return names;
}

// transformers' names begin with "text_model."; some files leave that out.
std::vector<StoredName> text_names(const StoredComponent& at, const std::string& name) {
  if (at.naming == Naming::kOpenClip) {
    const OpenClipName stored = open_clip_name(name);
    if (stored.transposed) return {{at.prefix + stored.name, 0, 1, true}, {at.prefix + name}};
    if (stored.third < 0) return {{at.prefix + stored.name}};
    return {{at.prefix + stored.name, stored.third, 3}};
  }
  const bool prefixed = name.starts_with(kTextModel);
  return {{at.prefix + name}, {at.prefix + (prefixed ? name.substr(std::size(kTextModel) - 1) : kTextModel + name)}};
}

// The first of the names that the file has, else the first.
const std::string& there(const Checkpoint& file, const std::vector<StoredName>& names) {
  const auto found = std::ranges::find_if(names, [&](const StoredName& one) { return file.shape_of(one.name); });
  return found == names.end() ? names.front().name : found->name;
}

ShapeOf shapes_of(const Checkpoint& file) {
  return [&file](const std::string& name) { return file.shape_of(name); };
}

bool has_any(const Checkpoint& file, const std::vector<StoredName>& names) {
  return std::ranges::any_of(names, [&](const StoredName& one) { return file.shape_of(one.name) != nullptr; });
}

template <size_t N, typename Has>
std::optional<StoredComponent> first_of(const Layout (&layouts)[N], bool whole, const Has& has) {
  for (const Layout& layout : layouts) {
    const StoredComponent at{layout.prefix, layout.naming};
    if ((layout.whole || !whole) && has(at)) return at;
  }
  return {};
}

// Of the pooled text, by the matrix that makes it; 0: there is none.
int projection_width(const Checkpoint& file, const StoredComponent& at, const std::string& source) {
  for (const StoredName& stored : text_names(at, kProjection)) {
    const Shape* shape = file.shape_of(stored.name);
    if (!shape) continue;
    const bool possible =
        shape->size() == 2 && std::ranges::all_of(*shape, [](int64_t size) { return size >= 1 && size <= kMaxWidth; });
    INKSTONE_CHECK(possible, source, ": the tensor ", stored.name, " is ", to_string(*shape),
                   ": impossible in a model");
    return static_cast<int>(stored.transposed ? shape->back() : shape->front());
  }
  return 0;
}

}  // namespace

std::optional<StoredComponent> find_unet(const Checkpoint& file, bool whole) {
  return first_of(kUnets, whole, [&](const StoredComponent& at) {
    return file.shape_of(unet_name(at, "down_blocks.0.resnets.0.conv1.weight", {})) != nullptr;
  });
}

std::optional<StoredComponent> find_vae(const Checkpoint& file, bool whole) {
  return first_of(kVaes, whole, [&](const StoredComponent& at) {
    if (at.naming != Naming::kLdm &&
        is_tiny_vae(shapes_of(file), [&](const std::string& name) { return there(file, vae_names(at, name, {})); }))
      return true;
    return !is_taesd(at.naming) && has_any(file, vae_names(at, "decoder.mid_block.resnets.0.conv1.weight", {}));
  });
}

std::optional<StoredComponent> find_text_encoder(const Checkpoint& file) {
  return first_of(kTexts, false, [&](const StoredComponent& at) { return has_text_encoder(file, at); });
}

bool has_text_encoder(const Checkpoint& file, const StoredComponent& at) {
  return has_any(file, text_names(at, "text_model.encoder.layers.0.mlp.fc1.weight"));
}

UnetConfig unet_config_of(const Checkpoint& file, const StoredComponent& at, const std::string& source) {
  return unet_config_of(
      shapes_of(file),
      [&](const std::string& name, const UnetConfig& so_far) { return there(file, unet_names(at, name, so_far)); },
      source);
}

VaeConfig vae_config_of(const Checkpoint& file, const StoredComponent& at, const std::string& source) {
  return vae_config_of(
      shapes_of(file), [&](const std::string& name) { return there(file, vae_names(at, name, {})); }, source);
}

ClipConfig clip_config_of(const Checkpoint& file, const StoredComponent& at, const std::string& source) {
  ClipConfig config = clip_config_of(
      shapes_of(file), [&](const std::string& name) { return there(file, text_names(at, name)); }, source);
  config.projection = projection_width(file, at, source);
  if (at.naming == Naming::kOpenClip) {
    INKSTONE_CHECK(config.layers >= 2, source, ": the text encoder has ", config.layers,
                   " layer, two at least are wanted");
    config.layers_after_text = 1;
    config.activation = Activation::kGelu;
  }
  return config;
}

Weights unet_weights(const Checkpoint& file, const StoredComponent& at, const UnetConfig& config,
                     std::span<const WeightSpec> specs) {
  return file.take(specs, [&](const std::string& spec) { return unet_names(at, spec, config); });
}

Weights find_vae_weights(const Checkpoint& file, const StoredComponent& at, const VaeConfig& config,
                         std::span<const WeightSpec> specs) {
  return file.find(specs, [&](const std::string& spec) { return vae_names(at, spec, config); });
}

Weights vae_weights(const Checkpoint& file, const StoredComponent& at, const VaeConfig& config,
                    std::span<const WeightSpec> specs) {
  Weights weights = find_vae_weights(file, at, config, specs);
  weights.bind(specs);
  return weights;
}

Weights text_weights(const Checkpoint& file, const StoredComponent& at, std::span<const WeightSpec> specs) {
  return file.take(specs, [&](const std::string& spec) { return text_names(at, spec); });
}

}  // namespace inkstone
