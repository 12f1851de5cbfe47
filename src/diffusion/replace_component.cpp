// A component of another file in place of a model's own: a VAE that was mended, a U-Net that was
// distilled.
#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/stored_component.h"
#include "diffusion/vae_file.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// What a text encoder's text is, is the model's to say, not the file's.
ClipConfig with_text_of(ClipConfig config, const ClipConfig& model) {
  if (!model.norm_of_text) take_text_as_xl(config);
  config.activation = model.activation;
  if (!model.projection) config.projection = 0;
  return config;
}

TextEncoder& encoder_of(Pipeline& m, const std::string& component) {
  const auto found = std::ranges::find(m.text_encoders, component, &TextEncoder::component);
  INKSTONE_CHECK_USAGE(found != m.text_encoders.end(), m.path.string(), ": this model has no component \"", component,
                       "\" to replace");
  return *found;
}

// The scaling factor that a file does not say is that of the model's own VAE; a tiny one's tells nothing of others.
TakeWeights replace_vae(Pipeline& m, const fs::path& path) {
  VaeFile vae = open_vae(path);
  if (!vae.says_scaling) {
    const bool tiny = m.vae_config.tiny.has_value();
    const float usual = m.unet_config.added ? kScalingOfXl : VaeConfig().scaling_factor;
    vae.config.scaling_factor = tiny ? usual : m.vae_config.scaling_factor;
    vae.config.shift_factor = tiny ? 0 : m.vae_config.shift_factor;
  }
  m.vae_config = std::move(vae.config);
  return std::move(vae.weights);
}

TakeWeights replace_by_folder(Pipeline& m, const std::string& component, const fs::path& folder) {
  const std::string source = (folder / "config.json").string();
  const Json config = read_json(source, kMaxConfigBytes);
  if (component == "unet") {
    m.unet_config = unet_config(config, source);
  } else {
    ClipConfig& own = encoder_of(m, component).config;
    own = with_text_of(clip_config(config, source), own);
  }
  return [folder](std::span<const WeightSpec> specs) {
    Weights weights = Weights::open(folder);
    weights.bind(specs);
    return weights;
  };
}

TakeWeights replace_by_file(Opening& opening, const std::string& component, const fs::path& path) {
  Pipeline& m = opening.pipeline;
  const auto file = std::make_shared<const Checkpoint>(path);
  const std::string source = path.string();
  const auto found = component == "unet" ? find_unet(*file, /*whole=*/false) : find_text_encoder(*file);
  INKSTONE_CHECK(found, source, " holds no ", component, ": no tensor has a name that one has");
  if (component == "unet") {
    const UnetConfig old = m.unet_config;
    opening.told = settings_of(*file, source);
    opening.title = title_of(*file);
    m.unet_config = unet_config_of(*file, *found, source);
    m.unet_config.sample_width = old.sample_width;
    m.unet_config.sample_height = old.sample_height;
    return [=, config = m.unet_config](std::span<const WeightSpec> specs) {
      return unet_weights(*file, *found, config, specs);
    };
  }
  ClipConfig& own = encoder_of(m, component).config;
  own = with_text_of(clip_config_of(*file, *found, source), own);
  return [=](std::span<const WeightSpec> specs) { return text_weights(*file, *found, specs); };
}

}  // namespace

void replace_component(Opening& opening, const std::string& component, const fs::path& path) {
  INKSTONE_CHECK(fs::exists(path), path.string(), ": no such file or folder");
  if (component.starts_with("text_encoder")) encoder_of(opening.pipeline, component);  // throws if there is none
  const bool whole_model = fs::is_directory(path / component);
  const fs::path place = whole_model ? path / component : path;
  const TakeWeights take = component == "vae"        ? replace_vae(opening.pipeline, place)
                           : fs::is_directory(place) ? replace_by_folder(opening.pipeline, component, place)
                                                     : replace_by_file(opening, component, place);
  opening.pipeline.replaced[component] = place;
  opening.missing.erase(component);
  opening.weights = [component, take, others = std::move(opening.weights)](const std::string& name,
                                                                           std::span<const WeightSpec> specs) {
    return name == component ? take(specs) : others(name, specs);
  };
  opening.file_of = [component, place, others = std::move(opening.file_of)](const std::string& name, const char* file) {
    if (name != component) return others(name, file);
    return fs::is_directory(place) ? (place / file).string() : place.string();
  };
}

}  // namespace inkstone
