#include "convert/whole_model.h"

#include <utility>

#include "base/error.h"
#include "diffusion/open_pipeline.h"
#include "ir/graph.h"
#include "models/clip.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// The encoder whose last layer and final norm give its text. A file of Stable Diffusion 2 has a layer after
// those that are used, which no folder has.
ClipConfig as_trained(ClipConfig config) {
  if (config.norm_of_text) config.layers -= config.layers_after_text;
  config.layers_after_text = 0;
  config.norm_of_text = true;
  return config;
}

std::vector<WeightSpec> specs_of(const ClipConfig& config) {
  std::vector<WeightSpec> specs;
  for (const NamedShape& weight : weights_of(clip_graph(config, 1))) specs.push_back({weight.name, weight.shape});
  return specs;
}

}  // namespace

WholeModel open_whole(const fs::path& path, const std::map<std::string, fs::path>& replaced,
                      const std::optional<std::string>& variant, const ModelSettings& said) {
  Opening opening = open_model(path, {}, said);
  INKSTONE_CHECK_USAGE(!variant || fs::is_directory(path), path.string(),
                       " is a single file, which has no variants of its weights");
  if (variant)
    opening.weights = [path, variant](const std::string& component, std::span<const WeightSpec> specs) {
      Weights weights = Weights::open(path / component, variant);
      weights.bind(specs);
      return weights;
    };
  for (const auto& [component, file] : replaced) replace_component(opening, component, file);
  opening.role = Opening::Role::kAny;
  const auto weights_of_component = opening.weights;
  WholeModel model{finish(std::move(opening)), {}, {}};
  for (Component& component : model.pipeline.components)
    if (!component.name.starts_with("text_encoder"))
      model.weights.emplace(component.name, std::move(component.weights));
  for (const TextEncoder& encoder : model.pipeline.text_encoders) {
    model.texts.push_back(as_trained(encoder.config));
    model.weights.emplace(encoder.component, weights_of_component(encoder.component, specs_of(model.texts.back())));
  }
  return model;
}

TensorToWrite tensor_to_write(std::string name, const Weights& weights, const std::string& spec,
                              std::optional<DType> type) {
  const StoredWeight stored = weights.stored(spec);
  TensorToWrite tensor{std::move(name), *stored.view};
  tensor.type = type;
  tensor.file = stored.file;
  return tensor;
}

}  // namespace inkstone
