#include "diffusion/component_graphs.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "compile/passes.h"
#include "diffusion/stages.h"
#include "diffusion/unet_parts.h"
#include "models/clip.h"
#include "models/vae.h"

namespace inkstone {
namespace {

const char* output_name(DependsOn depends) {
  switch (depends) {
    case DependsOn::kPrompt: return "text";
    case DependsOn::kTimestep: return "time";
    case DependsOn::kRequest: return "added";
  }
  return "";
}

std::vector<std::string> numbered(const ConditioningPart& part) {
  std::vector<std::string> names;
  for (size_t i = 0; i < part.values.size(); ++i) names.push_back(port_name(part.depends, i));
  return names;
}

// The step's inputs, under these names.
std::vector<std::string> short_inputs(const UnetParts& parts) {
  std::map<std::string, std::string> known;
  for (const ConditioningPart& part : parts.before) {
    const std::vector<std::string> names = numbered(part);
    for (size_t i = 0; i < names.size(); ++i) known[part.values[i]] = names[i];
  }
  std::vector<std::string> inputs;
  for (const NamedShape& input : inputs_of(parts.step)) {
    const auto found = known.find(input.name);
    inputs.push_back(found == known.end() ? input.name : found->second);
  }
  return inputs;
}

std::vector<std::string> own_inputs(const Graph& graph) {
  std::vector<std::string> names;
  for (const NamedShape& input : inputs_of(graph)) names.push_back(input.name);
  return names;
}

class Lister {
 public:
  Lister(const Pipeline& model, const GraphChoice& choice) : model_(model), choice_(choice), scale_(model.vae_scale()) {
    const int multiple = model.traits.size_multiple;
    for (const ImageSize& size : choice.sizes)
      INKSTONE_CHECK_USAGE(
          size.width > 0 && size.height > 0 && size.width % multiple == 0 && size.height % multiple == 0, "a size of ",
          size.width, "x", size.height, ": width and height must be multiples of ", multiple, " for this model");
  }

  std::vector<ComponentGraph> list() {
    for (const TextEncoder& encoder : model_.text_encoders) add_text_encoder(encoder);
    add_unet();
    for (const ImageSize& size : choice_.sizes) add_vae(size);
    return std::move(made_);
  }

 private:
  ComponentGraph& add(std::string name, std::string part, Graph graph, std::vector<std::string> inputs,
                      std::vector<std::string> outputs) {
    ComponentGraph& made = made_.emplace_back();
    made.name = std::move(name);
    made.component = made.part = std::move(part);
    made.batches = {1};
    made.graph = compile::fold(graph);
    made.engine.push_back(std::move(graph));
    made.inputs = std::move(inputs);
    made.outputs = std::move(outputs);
    return made;
  }

  void add_text_encoder(const TextEncoder& encoder) {
    std::vector<std::string> outputs{"text"};
    if (encoder.config.projection) outputs.emplace_back("pooled");
    Graph graph = clip_graph(encoder.config, 1);
    std::vector<std::string> inputs = own_inputs(graph);
    add(encoder.component, encoder.component, std::move(graph), std::move(inputs), outputs);
    if (model_.embeddings.empty()) return;
    graph = clip_graph(encoder.config, 1, ClipInput::kVectors);
    inputs = own_inputs(graph);
    const std::string name = encoder.component + kOfVectors;
    add(name, name, std::move(graph), std::move(inputs), std::move(outputs)).component = encoder.component;
  }

  // Of a network before its steps; `network`: "unet" or a control's component.
  void add_parts(const std::string& network, std::vector<ConditioningPart> parts) {
    for (ConditioningPart& part : parts) {
      if (part.values.empty()) continue;
      std::vector<std::string> inputs = own_inputs(part.graph), outputs = numbered(part);
      const std::string name = network == "unet" ? part.name : "control_" + part.name;
      add(network + "_" + part.name, name, std::move(part.graph), std::move(inputs), std::move(outputs)).component =
          network;
    }
  }

  LatentSize latent_of(const ImageSize& size, int batch, int cfg_copies, int chunks) const {
    LatentSize latent{batch, size.height / scale_, size.width / scale_, model_.tokens() * chunks};
    latent.cfg_copies = cfg_copies;
    return latent;
  }

  // What a step of the U-Net takes besides: of ControlNets, of T2I-Adapters, of both.
  struct Controlled {
    bool residuals = false;
    int features = 0;
  };
  std::vector<Controlled> controlled() const {
    bool residuals = false;
    int features = 0;
    for (const ControlTrait& control : model_.traits.controls) {
      residuals = residuals || !control.features;
      features = std::max(features, control.features);
    }
    std::vector<Controlled> all{{}};
    if (residuals) all.push_back({true, 0});
    if (features) all.push_back({false, features});
    if (residuals && features) all.push_back({true, features});
    return all;
  }

  void add_unet() {
    const ImageSize least{model_.traits.size_multiple, model_.traits.size_multiple};
    const LatentSize small = latent_of(least, 1, 1, 1);
    add_parts("unet", conditioning_parts(model_.unet_config, small, DType::kF32));
    for (const Control& control : model_.controls)
      if (const ControlnetConfig* net = control.net())
        add_parts(control.component, conditioning_parts(*net, small, DType::kF32));
    const bool distilled = model_.unet_config.guidance_channels > 0;
    for (const ImageSize& size : choice_.sizes) {
      for (int cfg_copies = 1; cfg_copies <= (distilled ? 1 : 2); ++cfg_copies)
        for (int chunks = 1; chunks <= choice_.prompt_chunks; ++chunks) {
          for (const Controlled& extra : controlled()) add_steps(size, cfg_copies, chunks, extra);
          add_control_steps(latent_of(size, 1, cfg_copies, chunks), size, chunks);
        }
      add_hints(size);
    }
  }

  static std::string variant(int chunks, int cfg_copies) {
    return (chunks > 1 ? "_c" + std::to_string(chunks) : "") + (cfg_copies == 2 ? "_guided" : "");
  }

  void add_hints(const ImageSize& size) {
    for (size_t i = 0; i < model_.controls.size(); ++i) {
      const int multiple = model_.traits.controls[i].size_multiple;
      if (size.width % multiple || size.height % multiple) continue;
      PipelineStage stage = hint_stage(model_, static_cast<int>(i), size.width, size.height);
      std::vector<std::string> outputs;
      for (size_t k = 0; k < stage.graph.outputs().size(); ++k) outputs.push_back("hint_" + std::to_string(k));
      ComponentGraph& made = add(stage.name + of(size), "hint", std::move(stage.graph), {"hint"}, std::move(outputs));
      made.component = stage.component;
      made.size = size;
    }
  }

  // The engine runs them for one image at a time. Those that add to another's residuals are there where there is another.
  void add_control_steps(const LatentSize& latent, const ImageSize& size, int chunks) {
    const auto is_net = [](const Control& control) { return control.net() != nullptr; };
    const bool several = std::ranges::count_if(model_.controls, is_net) > 1;
    for (const Control& control : model_.controls)
      for (int adds = 0; control.net() && adds <= (several ? 1 : 0); ++adds) {
        UnetParts net{conditioning_parts(*control.net(), latent, DType::kF32),
                      controlnet_step(*control.net(), latent, adds == 1, DType::kF32)};
        std::vector<std::string> inputs = short_inputs(net), outputs;
        for (int i = 0; i < residual_count(control.net()->net); ++i) outputs.push_back("out_" + residual_name(i));
        const std::string name =
            control.component + (adds ? "_adds" : "") + of(size) + variant(chunks, static_cast<int>(latent.cfg_copies));
        ComponentGraph& step = add(name, "control_step", std::move(net.step), std::move(inputs), std::move(outputs));
        step.component = control.component;
        step.size = size;
        step.cfg_copies = static_cast<int>(latent.cfg_copies);
        step.prompt_chunks = chunks;
      }
  }

  void add_steps(const ImageSize& size, int cfg_copies, int chunks, const Controlled& extra) {
    const bool plain = !extra.residuals && !extra.features;
    const std::string guided = std::string(extra.residuals ? "_residuals" : "") + (extra.features ? "_features" : "") +
                               variant(chunks, cfg_copies);
    const auto parts = [&](int batch) {
      LatentSize latent = latent_of(size, batch, cfg_copies, chunks);
      latent.residuals = extra.residuals;
      latent.features = extra.features;
      return unet_parts(model_.unet_config, latent, DType::kF32);
    };
    const auto named = [&](int batch, const std::string& name) -> ComponentGraph& {
      UnetParts unet = parts(batch);
      std::vector<std::string> inputs = short_inputs(unet);
      ComponentGraph& step =
          add(name, plain ? "step" : "controlled_step", std::move(unet.step), std::move(inputs), {"noise"});
      step.component = "unet";
      step.size = size;
      step.cfg_copies = cfg_copies;
      step.prompt_chunks = chunks;
      step.batches = {batch};
      return step;
    };
    if (!choice_.open_rows) {
      for (const int batch : choice_.batches)
        named(batch, "unet_step" + of(size) + "_b" + std::to_string(batch) + guided);
      return;
    }
    ComponentGraph& step = named(choice_.batches[0], "unet_step" + of(size) + guided);
    step.batches = choice_.batches;
    std::ranges::sort(step.batches);
    step.engine.clear();
    for (const int batch : step.batches) step.engine.push_back(parts(batch).step);
    step.graph = compile::fold(parts(2).step);
    step.other = compile::fold(parts(3).step);
  }

  void add_vae(const ImageSize& size) {
    const int height = size.height / scale_, width = size.width / scale_, tile = choice_.vae_tile;
    const Graph decoder = vae_decoder_graph(model_.vae_config, 1, height, width);
    add("vae_decoder" + of(size), "vae_decoder", decoder, {"latent"}, {"image"}).size = size;
    if (tile > 0 && tile < height) {
      const std::string name = "vae_decoder" + of(size) + "_tile" + std::to_string(tile);
      ComponentGraph& tiled = add(name, "vae_decoder", decoder, {"latent"}, {"image"});
      tiled.size = size;
      tiled.vae_tile = tile;
      // The largest maps, of the image's size and half of it, need the memory.
      tiled.graph =
          compile::tile_rows(compile::fuse(tiled.graph), int64_t{size.height} * size.width / 4, int64_t{tile} * scale_);
    }
    if (!choice_.encoder && !model_.traits.inpaints) return;
    add("vae_encoder" + of(size), "vae_encoder", vae_encoder_graph(model_.vae_config, 1, size.height, size.width),
        {"image"}, {model_.vae_config.posterior() ? "moments" : "latent"})
        .size = size;
  }

  static std::string of(const ImageSize& size) {
    return "_" + std::to_string(size.width) + "x" + std::to_string(size.height);
  }

  const Pipeline& model_;
  const GraphChoice& choice_;
  int scale_;
  std::vector<ComponentGraph> made_;
};

}  // namespace

std::string port_name(DependsOn depends, size_t index) { return output_name(depends) + ("_" + std::to_string(index)); }

std::vector<ComponentGraph> component_graphs(const Pipeline& model, const GraphChoice& choice) {
  INKSTONE_CHECK_USAGE(!choice.batches.empty() && !choice.sizes.empty(), "no size or no batch to export");
  return Lister(model, choice).list();
}

}  // namespace inkstone
