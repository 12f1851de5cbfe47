#include "app/export_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "app/byte_size.h"
#include "base/error.h"
#include "base/version.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

std::set<std::string> files_of(const Manifest& manifest) {
  std::set<std::string> names;
  for (const FileRecord& file : manifest.weights) names.insert(file.file);
  for (const GraphRecord& graph : manifest.graphs) names.insert(graph.onnx.file);
  return names;
}

// Graphs that share a file of weights. The time embedding is fp32 always: fp16 cannot tell timesteps apart.
struct Group {
  std::string file;
  const Weights* weights;
  DType type;
  std::vector<const ComponentGraph*> graphs;
  const Pipeline* model = nullptr;  // of which they are; nullptr: of an upscaler
};

Group group_of(const Pipeline& model, const ComponentGraph& graph, const std::string& precision) {
  const DType type = precision == "fp16" ? DType::kF16 : DType::kF32;
  if (graph.part == "time") return {"unet_time.bin", &model.component("unet").weights, DType::kF32, {}};
  if (graph.component == "unet") return {"unet.bin", &model.component("unet").weights, type, {}};
  if (graph.component.starts_with("text_encoder"))
    return {graph.component + ".bin", &model.component(graph.component).weights, type, {}};
  return {graph.component + ".bin",
          &model.component("vae").weights,
          DType::kF32,
          {}};  // ATC makes fp16 of it, but for its norms
}

std::vector<Group> groups_of(const Pipeline& model, const std::vector<ComponentGraph>& graphs,
                             const std::string& precision) {
  std::vector<Group> groups;
  for (const ComponentGraph& graph : graphs) {
    Group own = group_of(model, graph, precision);
    own.model = &model;
    auto group = std::ranges::find(groups, own.file, &Group::file);
    if (group == groups.end()) group = groups.insert(groups.end(), std::move(own));
    group->graphs.push_back(&graph);
  }
  return groups;
}

Gear gear_of(int batch, const Graph& graph) {
  Gear gear{batch, identity(graph), {}, {}};
  for (const NamedShape& input : inputs_of(graph)) gear.inputs.push_back(input.shape);
  for (const int output : graph.outputs()) gear.outputs.push_back(graph.node(output).shape);
  return gear;
}

// SDXL's VAE has values that fp16 cannot hold not in its norms alone.
bool stays_fp32(const Pipeline& model, const ComponentGraph& graph) {
  return graph.part == "time" ||
         (graph.component.starts_with("vae") && model.traits.sdxl && model.vae_config.force_upcast);
}

GraphRecord record_of(const Pipeline* model, const ComponentGraph& graph, const OnnxFile& file) {
  GraphRecord record;
  record.name = graph.name;
  record.component = graph.component;
  record.part = graph.part;
  record.width = graph.size.width;
  record.height = graph.size.height;
  record.cfg_copies = graph.cfg_copies;
  record.prompt_chunks = graph.prompt_chunks;
  record.vae_tile = graph.vae_tile;
  record.onnx = {file.name, file.bytes, file.sha256};
  for (const OnnxPort& port : file.inputs) record.inputs.push_back({port.name, port.shape, port.type});
  for (const OnnxPort& port : file.outputs) record.outputs.push_back({port.name, port.shape, port.type});
  for (size_t i = 0; i < graph.batches.size(); ++i) record.gears.push_back(gear_of(graph.batches[i], graph.engine[i]));
  if (graph.component.starts_with("vae")) record.fp32_nodes = file.norms;
  record.all_fp32 = model && stays_fp32(*model, graph);
  if (record.all_fp32) record.fp32_nodes = file.nodes;
  return record;
}

// A line for each tenth of a long file.
std::function<void(size_t)> teller(const std::string& file, size_t total, const Tell& tell) {
  return [=, tenth = size_t{0}, said = std::chrono::steady_clock::now()](size_t bytes) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (bytes * 10 / total == tenth || now - said < std::chrono::seconds(1)) return;
    tenth = bytes * 10 / total;
    said = now;
    tell(fmt::format("{}: {} of {} written", file, byte_text(bytes), byte_text(total)));
  };
}

void export_group(const Group& group, const ExportChoice& choice, const fs::path& folder, const Tell& tell,
                  Manifest& manifest) {
  OnnxOptions options{choice.opset, group.type, choice.attention_heads, {}};
  if (choice.whole_timesteps) options.int32_inputs = {"timestep"};
  OnnxExport out(*group.weights, options, group.file);
  for (const ComponentGraph* graph : group.graphs) {
    const OnnxPorts ports{graph->inputs, graph->outputs};
    if (graph->other)
      out.add_of_any_rows(graph->graph, *graph->other, ports, graph->name + ".onnx");
    else
      out.add(graph->graph, ports, graph->name + ".onnx");
    tell(fmt::format("{}.onnx is checked", graph->name));
  }
  tell(fmt::format("{}: {} of weights, {}", group.file, byte_text(out.weight_bytes()), name_of(group.type)));
  const std::vector<OnnxFile> files = out.write(folder, teller(group.file, out.weight_bytes(), tell));
  const std::string fingerprint = group.weights->fingerprint();
  for (size_t i = 0; i < group.graphs.size(); ++i) {
    GraphRecord& record = manifest.graphs.emplace_back(record_of(group.model, *group.graphs[i], files[i]));
    record.weights = group.file;
    record.fingerprint = fingerprint;
  }
  manifest.weights.push_back({files.back().name, files.back().bytes, files.back().sha256});
}

Manifest export_groups(const std::string& model, const std::vector<Group>& groups, const ExportChoice& choice,
                       const fs::path& folder, const Tell& tell) {
  claim_export_folder(folder, model);
  std::set<std::string> left;
  if (fs::exists(folder / kManifestName)) left = files_of(Manifest::read(folder));
  Manifest manifest{kVersion, model, choice.precision, choice.opset, {}, {}};
  manifest.write(folder);
  for (const Group& group : groups) export_group(group, choice, folder, tell, manifest);
  manifest.write(folder);
  for (const std::string& name : files_of(manifest)) left.erase(name);
  std::error_code ignored;
  for (const std::string& name : left) fs::remove(folder / name, ignored);
  return manifest;
}

}  // namespace

void claim_export_folder(const fs::path& folder, const std::string& model) {
  std::error_code error;
  fs::create_directories(folder, error);
  INKSTONE_CHECK(fs::is_directory(folder), "cannot make the folder ", folder.string(), ": ",
                 error ? error.message() : "a file of that name is there");
  if (fs::exists(folder / kManifestName)) {
    const Manifest before = Manifest::read(folder);
    INKSTONE_CHECK_USAGE(before.model == model, folder.string(), " holds an export of ", before.model, ", not of ",
                         model, ": name another folder");
    return;
  }
  INKSTONE_CHECK_USAGE(fs::is_empty(folder), folder.string(), " is not empty and holds no export (no ", kManifestName,
                       "): name a new folder");
}

Manifest export_model(const Pipeline& model, const ExportChoice& choice, const fs::path& folder, const Tell& tell) {
  const std::vector<ComponentGraph> graphs = component_graphs(model, choice.graphs);
  return export_groups(model.name(), groups_of(model, graphs, choice.precision), choice, folder, tell);
}

Manifest export_upscaler(const Upscaler& upscaler, const ExportChoice& choice, const fs::path& folder,
                         const Tell& tell) {
  std::vector<ComponentGraph> graphs;
  for (const ImageSize& size : choice.graphs.sizes)
    for (UpscalerPart& part : upscaler.parts(size.width, size.height)) {
      ComponentGraph& made = graphs.emplace_back();
      made.name = fmt::format("upscaler_{}_{}x{}", part.name, size.width, size.height);
      made.component = "upscaler";
      made.part = std::move(part.name);
      made.size = size;
      made.batches = {1};
      made.graph = part.graph;
      for (const NamedShape& input : inputs_of(part.graph)) made.inputs.push_back(input.name);
      made.outputs = {part.output};
      made.engine.push_back(std::move(part.graph));
    }
  Group group{"upscaler.bin", &upscaler.weights(), choice.precision == "fp16" ? DType::kF16 : DType::kF32, {}};
  for (const ComponentGraph& graph : graphs) group.graphs.push_back(&graph);
  return export_groups(upscaler.name(), {group}, choice, folder, tell);
}

}  // namespace inkstone
