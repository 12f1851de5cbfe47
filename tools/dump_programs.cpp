// dump_programs MODEL EXPORT OUT [--device NAME]: runs, in fp32 and on seeded random inputs, the
// graph behind every gear of every file of an export, and writes inputs and outputs for
// tools/check_onnx.py. The graphs are built here as the engine builds them; one whose identity is
// not the manifest's is an error.
#include <CLI/CLI.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <random>

#include "adapters/tags.h"
#include "atc/manifest.h"
#include "backend/backend.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "diffusion/component_graphs.h"
#include "diffusion/pipeline.h"
#include "diffusion/pipeline_adapters.h"
#include "diffusion/unet_parts.h"
#include "models/clip.h"
#include "models/vae.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

Graph graph_of(const Pipeline& model, const GraphRecord& record, const Gear& gear) {
  const int scale = model.vae_scale(), height = record.height / scale, width = record.width / scale;
  const int side = model.traits.size_multiple / scale;
  for (const TextEncoder& encoder : model.text_encoders)
    for (const bool ids : {true, false})
      if (record.part == encoder.component + (ids ? "" : kOfVectors))
        return clip_graph(encoder.config, 1, ids ? ClipInput::kIds : ClipInput::kVectors);
  if (record.part == "vae_decoder") return vae_decoder_graph(model.vae_config, 1, height, width);
  if (record.part == "vae_encoder") return vae_encoder_graph(model.vae_config, 1, record.height, record.width);
  UnetParts small = unet_parts(model.unet_config, {1, side, side, model.tokens()}, DType::kF32);
  for (ConditioningPart& part : small.before)
    if (record.part == part.name) return std::move(part.graph);
  LatentSize size{gear.batch, height, width, model.tokens() * record.prompt_chunks, record.cfg_copies};
  return unet_parts(model.unet_config, size, DType::kF32).step;
}

const Weights& weights_of(const Pipeline& model, const GraphRecord& record) {
  if (record.component.starts_with("text_encoder")) return model.component(record.component).weights;
  return model.component(record.component == "unet" ? "unet" : "vae").weights;
}

Tensor random_input(const NamedShape& input, const Pipeline& model, std::mt19937& random) {
  Tensor tensor(input.shape, input.type);
  std::normal_distribution<float> normal;
  if (input.type == DType::kI32)
    for (int32_t& id : tensor.ints())
      id = static_cast<int32_t>(random() % static_cast<unsigned>(input.name == "end"
                                                                     ? model.tokens()
                                                                     : model.text_encoders[0].config.vocabulary));
  else
    for (float& value : tensor.floats())
      value = input.name == "timestep" ? static_cast<float>(random() % 1000) : normal(random);
  return tensor;
}

JsonObject dump(const fs::path& folder, const Port& port, const Tensor& tensor) {
  const fs::path path = folder / (port.name + ".bin");
  fs::create_directories(folder);
  if (port.type == DType::kI32 && tensor.type() == DType::kF32) {
    Tensor whole(tensor.shape(), DType::kI32);
    for (int64_t i = 0; i < tensor.size(); ++i) whole.ints()[i] = static_cast<int32_t>(tensor.floats()[i]);
    write_file(path, {whole.data(), whole.bytes()});
  } else {
    write_file(path, {tensor.data(), tensor.bytes()});
  }
  return {{"name", port.name},
          {"type", name_of(port.type)},
          {"shape", JsonArray(tensor.shape().begin(), tensor.shape().end())},
          {"file", path.string()}};
}

JsonObject run(const Pipeline& model, const GraphRecord& record, const Gear& gear, Backend& backend,
               const fs::path& out) {
  const Graph graph = graph_of(model, record, gear);
  INKSTONE_CHECK(identity(graph) == gear.graph, record.name, ": the manifest's graph is another than the engine's");
  std::mt19937 random(static_cast<uint32_t>(gear.batch * 10 + record.cfg_copies));
  std::vector<Tensor> inputs, outputs;
  for (const NamedShape& input : inputs_of(graph)) inputs.push_back(random_input(input, model, random));
  for (const int id : graph.outputs()) outputs.emplace_back(graph.node(id).shape);
  std::vector<const Tensor*> in;
  std::vector<Tensor*> results;
  for (const Tensor& tensor : inputs) in.push_back(&tensor);
  for (Tensor& tensor : outputs) results.push_back(&tensor);
  backend.compile(graph, weights_of(model, record), {})->run(in, results);

  const fs::path folder = out / (record.name + "_" + std::to_string(gear.batch));
  JsonArray ins, outs;
  for (size_t i = 0; i < inputs.size(); ++i) ins.push_back(dump(folder, record.inputs.at(i), inputs[i]));
  for (size_t i = 0; i < outputs.size(); ++i) outs.push_back(dump(folder, record.outputs.at(i), outputs[i]));
  return {{"graph", record.name},
          {"onnx", record.onnx.file},
          {"batch", gear.batch},
          {"inputs", std::move(ins)},
          {"outputs", std::move(outs)}};
}

void dump_all(const fs::path& source, const std::string& lora, const fs::path& exported, const fs::path& out,
              const std::string& device) {
  Pipeline model = Pipeline::open(source);
  if (!lora.empty()) merge(model, {parse_adapter(lora)});
  const Manifest manifest = Manifest::read(exported);
  const auto backend = open_backend(device);
  JsonArray runs;
  for (const GraphRecord& record : manifest.graphs)
    for (const Gear& gear : record.gears) runs.push_back(run(model, record, gear, *backend, out));
  const std::string text = boost::json::serialize(runs) + "\n";
  write_file(out / "index.json", std::as_bytes(std::span(text)));
}

}  // namespace
}  // namespace inkstone

int main(int argc, char** argv) {
  std::string model, lora, exported, out, device = "reference";
  CLI::App app("Runs the graphs of an export and writes their inputs and outputs.");
  app.add_option("model", model)->required();
  app.add_option("export", exported)->required();
  app.add_option("out", out)->required();
  app.add_option("--lora", lora, "FILE:STRENGTH, as it was exported");
  app.add_option("--device", device)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    inkstone::set_threads(inkstone::usable_cores());
    inkstone::dump_all(model, lora, exported, out, device);
  } catch (const std::exception& error) {
    std::cerr << "dump_programs: " << error.what() << std::endl;
    return 1;
  }
}
