#include "diffusion/component_graphs.h"

#include "base/error.h"
#include "compile/passes.h"
#include "diffusion/unet_parts.h"
#include "models/clip.h"
#include "models/vae.h"

namespace inkstone {
namespace {

std::string numbered(const char* name, size_t number) { return std::string(name) + "_" + std::to_string(number); }

std::vector<std::string> numbered(const char* name, const std::vector<size_t>& numbers) {
  std::vector<std::string> names;
  for (const size_t number : numbers) names.push_back(numbered(name, number));
  return names;
}

std::vector<std::string> own_inputs(const Graph& graph) {
  std::vector<std::string> names;
  for (const NamedShape& input : inputs_of(graph)) names.push_back(input.name);
  return names;
}

std::string shape_name(const PictureSize& size, int batch) {
  return std::to_string(size.width) + "x" + std::to_string(size.height) + "_b" + std::to_string(batch);
}

void check_size(const Model& model, const PictureSize& size) {
  const int multiple = model.size_multiple();
  INKSTONE_CHECK_USAGE(size.width % multiple == 0 && size.height % multiple == 0, "a size of ", size.width, "x",
                       size.height, ": width and height must be multiples of ", multiple, " for this model");
}

ComponentGraph part_of_unet(const char* part, Graph graph, const char* output) {
  ComponentGraph made{std::string("unet_") + part, part, {0, 0}, 1, 1, fold(graph), {}, {}};
  made.inputs = own_inputs(made.graph);
  for (size_t i = 0; i < made.graph.outputs().size(); ++i) made.outputs.push_back(numbered(output, i));
  return made;
}

}  // namespace

std::vector<ComponentGraph> text_encoder_graphs(const Model& model, const std::vector<int>& batches) {
  std::vector<ComponentGraph> made;
  for (const int batch : batches)
    made.push_back({"text_encoder_b" + std::to_string(batch),
                    "text_encoder",
                    {0, 0},
                    batch,
                    1,
                    fold(clip_graph(model.clip_config, batch)),
                    {"ids"},
                    {"text"}});
  return made;
}

std::vector<ComponentGraph> unet_graphs(const Model& model, const std::vector<PictureSize>& sizes,
                                        const std::vector<int>& batches) {
  std::vector<ComponentGraph> made;
  const int scale = model.vae_scale();
  for (const PictureSize& size : sizes) check_size(model, size);
  for (const PictureSize& size : sizes)
    for (const int batch : batches)
      for (const int copies : {1, 2}) {
        LatentSize latent{batch, size.height / scale, size.width / scale, model.clip_config.tokens};
        latent.copies = copies;
        UnetParts parts = unet_parts(model.unet_config, latent, DType::kF32);
        if (made.empty()) {
          made.push_back(part_of_unet("prompt", std::move(parts.prompt), "text"));
          made.push_back(part_of_unet("time", std::move(parts.time), "time"));
        }
        std::vector<std::string> inputs{"latent"};
        for (std::string& name : numbered("text", parts.keys)) inputs.push_back(std::move(name));
        for (std::string& name : numbered("time", parts.times)) inputs.push_back(std::move(name));
        const std::string name = "unet_step_" + shape_name(size, batch) + (copies == 2 ? "_guided" : "");
        made.push_back({name, "step", size, batch, copies, fold(parts.step), std::move(inputs), {"noise"}});
      }
  return made;
}

std::vector<ComponentGraph> vae_decoder_graphs(const Model& model, const std::vector<PictureSize>& sizes,
                                               const std::vector<int>& batches) {
  std::vector<ComponentGraph> made;
  const int scale = model.vae_scale();
  for (const PictureSize& size : sizes) check_size(model, size);
  for (const PictureSize& size : sizes)
    for (const int batch : batches) {
      const Graph graph = vae_decoder_graph(model.vae_config, batch, size.height / scale, size.width / scale);
      made.push_back({"vae_decoder_" + shape_name(size, batch),
                      "vae_decoder",
                      size,
                      batch,
                      1,
                      fold(graph),
                      {"latent"},
                      {"image"}});
    }
  return made;
}

}  // namespace inkstone
