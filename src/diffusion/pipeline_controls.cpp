#include "diffusion/pipeline_controls.h"

#include <algorithm>

#include "base/error.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "diffusion/file_kind.h"
#include "diffusion/model_folder.h"
#include "models/controlnet.h"
#include "models/unet.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

std::string widths_text(const std::vector<int>& widths) {
  std::vector<std::string> texts;
  for (const int width : widths) texts.push_back(std::to_string(width));
  return listed(texts);
}

std::string family_of(int context, int added) {
  if (!context) return added ? "SDXL" : "";
  const std::string family = family_of_context(context);
  return family.empty() ? "a text of " + std::to_string(context) : family;
}

void check_fit(const ControlnetConfig& control, const Pipeline& pipeline, const std::string& source) {
  const UnetConfig &net = control.net, &unet = pipeline.unet_config;
  const bool attends = net.mid_depth || std::ranges::any_of(net.depth, &LayerDepths::any);
  const bool same_text = !attends || net.context == unet.context;
  INKSTONE_CHECK(same_text && net.added == unet.added, source, " is ", control_text(control), ", and ",
                 pipeline.path.string(), " is ", family_of(unet.context, unet.added),
                 ": take a ControlNet that was made for this family");
  INKSTONE_CHECK(net.channels == unet.channels && net.blocks == unet.blocks && net.in_channels == unet.out_channels,
                 source, ": the ControlNet has levels of ", widths_text(net.channels), " channels and layers of ",
                 widths_text(net.blocks), ", the U-Net of ", pipeline.path.string(), " levels of ",
                 widths_text(unet.channels), " and layers of ", widths_text(unet.blocks),
                 ": it was made for another model");
  INKSTONE_CHECK(control.hint_channels == 3 && hint_scale(control) == pipeline.vae_scale(), source,
                 ": the ControlNet takes hints of ", control.hint_channels, " channels, ", hint_scale(control),
                 " pixels for each of the latent's; this model needs 3 channels and ", pipeline.vae_scale());
}

std::vector<Shape> feature_shapes(const Graph& features) {
  std::vector<Shape> shapes;
  for (const int id : features.outputs()) shapes.push_back(features.node(id).shape);
  return shapes;
}

void check_fit(const T2iConfig& adapter, const Pipeline& pipeline, const std::string& source) {
  const UnetConfig& unet = pipeline.unet_config;
  const size_t levels = unet.channels.size(), features = adapter.channels.size();
  const std::string other = source + " is " + control_text(adapter) + ", and the U-Net of " + pipeline.path.string() +
                            " has levels of " + widths_text(unet.channels) + " channels: it was made for another model";
  INKSTONE_CHECK(features == levels || features == levels + 1, other);
  INKSTONE_CHECK(adapter.hint_channels == 3 || adapter.hint_channels == 1, source, ": the T2I-Adapter takes hints of ",
                 adapter.hint_channels, " channels; 3 (colours) or 1 (greys) are supported");
  const int64_t side = size_multiple(adapter);
  INKSTONE_CHECK(side % pipeline.vae_scale() == 0, other);
  LatentSize latent{1, side / pipeline.vae_scale(), side / pipeline.vae_scale()};
  latent.features = static_cast<int>(features);
  std::vector<Shape> wanted;
  for (const NamedShape& one : inputs_of(unet_graph(unet, latent)))
    if (one.name.starts_with("feature_")) wanted.push_back(one.shape);
  INKSTONE_CHECK(feature_shapes(t2i_graph(adapter, side, side)) == wanted, other);
}

std::vector<Graph> graphs_of(const ControlnetConfig& config, const Pipeline& pipeline) {
  const int64_t side = int64_t{1} << (config.net.channels.size() - 1);
  return {hint_graph(config, side * pipeline.vae_scale(), side * pipeline.vae_scale()),
          controlnet_graph(config, {1, side, side}, false)};
}

std::vector<Graph> graphs_of(const T2iConfig& config, const Pipeline&) {
  return {t2i_graph(config, size_multiple(config), size_multiple(config))};
}

}  // namespace

std::string control_text(const ControlConfig& config) {
  if (const auto* net = std::get_if<ControlnetConfig>(&config)) {
    const std::string family = family_of(net->net.context, net->net.added);
    return "a ControlNet" + (family.empty() ? "" : " for " + family);
  }
  const T2iConfig& adapter = std::get<T2iConfig>(config);
  return "a T2I-Adapter of " + widths_text(adapter.channels) + " channels over blocks of " +
         std::to_string(adapter.scale) + " pixels";
}

void add_control(Pipeline& pipeline, const fs::path& path) {
  ControlFile file = open_control(path);
  const std::string source = path.string();
  std::visit([&](const auto& config) { check_fit(config, pipeline, source); }, file.config);
  Control control{model_name(path), "", path, file.config};
  const auto same = std::ranges::find(pipeline.controls, control.name, &Control::name);
  INKSTONE_CHECK_USAGE(same == pipeline.controls.end(), source, ": ", same->path.string(),
                       " has the same name: rename one of them");
  control.component = std::string(kControlPrefix) + control.name;
  const std::vector<Graph> graphs =
      std::visit([&](const auto& config) { return graphs_of(config, pipeline); }, file.config);
  std::vector<WeightSpec> specs;
  for (const Graph& graph : graphs)
    for (const NamedShape& weight : weights_of(graph)) specs.push_back({weight.name, weight.shape});
  Component component{control.component, control.net() ? "ControlNetModel" : "T2IAdapter", file.weights(specs)};
  for (const WeightSpec& spec : specs) component.parameters += count(spec.shape);
  component.stored = component.weights.type();
  component.file_bytes = component.weights.total_bytes();
  pipeline.components.push_back(std::move(component));
  ControlTrait trait{control.name};
  if (const T2iConfig* adapter = control.adapter()) {
    trait.features = static_cast<int>(adapter->channels.size());
    trait.size_multiple = static_cast<int>(size_multiple(*adapter));
  }
  pipeline.traits.controls.push_back(std::move(trait));
  pipeline.controls.push_back(std::move(control));
}

}  // namespace inkstone
