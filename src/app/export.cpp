// inkstone export: a model's graphs as ONNX files that Ascend's ATC compiles, with a manifest that says what each is.
#include "onnx/export.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>
#include <filesystem>

#include "app/commands.h"
#include "app/console.h"
#include "app/version.h"
#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "diffusion/component_graphs.h"
#include "diffusion/hub.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestVersion = 1, kMostBatch = 64, kMostPixels = 8192;

std::vector<std::string> pieces_of(const std::string& text) {
  std::vector<std::string> pieces;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    pieces.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return pieces;
}

bool read_number(std::string_view text, int most, int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= most;
}

std::vector<PictureSize> sizes_of(const Options& options, const Model& model) {
  if (!options.sizes) return {{model.defaults.width, model.defaults.height}};
  std::vector<PictureSize> sizes;
  for (const std::string& piece : pieces_of(*options.sizes)) {
    const std::string_view text = piece;
    const size_t cross = text.find('x');
    PictureSize size;
    bool good = read_number(text.substr(0, cross), kMostPixels, size.width);
    size.height = size.width;
    if (cross != std::string_view::npos) good = good && read_number(text.substr(cross + 1), kMostPixels, size.height);
    INKSTONE_CHECK_USAGE(good, "--sizes ", *options.sizes, ": \"", piece,
                         "\" is no size: write 512 or WIDTHxHEIGHT, separated by commas");
    sizes.push_back(size);
  }
  return sizes;
}

std::vector<int> batches_of(const Options& options) {
  std::vector<int> batches;
  for (const std::string& piece : pieces_of(options.batch.value_or("1"))) {
    int batch = 0;
    INKSTONE_CHECK_USAGE(read_number(piece, kMostBatch, batch), "--batch ", *options.batch, ": \"", piece,
                         "\" must be a whole number from 1 to ", kMostBatch, ", several separated by commas");
    batches.push_back(batch);
  }
  return batches;
}

JsonArray ports_json(const std::vector<OnnxPort>& ports) {
  JsonArray array;
  for (const OnnxPort& port : ports)
    array.push_back(JsonObject{
        {"name", port.name}, {"shape", JsonArray(port.shape.begin(), port.shape.end())}, {"type", name_of(port.type)}});
  return array;
}

JsonObject file_json(const OnnxFile& file) {
  return {{"file", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}};
}

JsonObject export_component(const std::string& name, const Weights& weights, std::vector<ComponentGraph> graphs,
                            const OnnxOptions& options, const fs::path& folder) {
  OnnxExport out(weights, options, name + ".bin");
  for (const ComponentGraph& graph : graphs) out.add(graph.graph, {graph.inputs, graph.outputs}, graph.name + ".onnx");
  const std::vector<OnnxFile> files = out.write(folder);
  JsonArray array;
  for (size_t i = 0; i < graphs.size(); ++i) {
    JsonObject entry = file_json(files[i]);
    entry["part"] = graphs[i].part;
    if (graphs[i].size.width) {
      entry["width"] = graphs[i].size.width;
      entry["height"] = graphs[i].size.height;
    }
    entry["batch"] = graphs[i].batch;
    entry["texts_per_latent"] = graphs[i].copies;
    entry["inputs"] = ports_json(files[i].inputs);
    entry["outputs"] = ports_json(files[i].outputs);
    array.push_back(std::move(entry));
  }
  return {{"weights", file_json(files.back())}, {"graphs", std::move(array)}};
}

}  // namespace

int run_export(const Options& options) {
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false)};
  set_threads(options.threads.value_or(usable_cores()));
  INKSTONE_CHECK_USAGE(options.out.has_value(), "--out is missing: the folder to write into");
  INKSTONE_CHECK_USAGE(options.compile.value_or("never") == "never", "--compile ", *options.compile,
                       ": this build does not call ATC yet: use --compile never");
  const std::vector<int> batches = batches_of(options);
  const Model model = Model::open(options.model ? find_model(*options.model) : demo_model());
  const std::vector<PictureSize> sizes = sizes_of(options, model);
  OnnxOptions onnx;
  onnx.opset = options.opset.value_or(onnx.opset);
  onnx.type = options.precision == "fp16" ? DType::kF16 : DType::kF32;
  onnx.attention_heads = options.attention_heads.value_or(0);
  onnx.int32_inputs = {"timestep"};
  const fs::path folder = *options.out;
  std::error_code error;
  fs::create_directories(folder, error);
  INKSTONE_CHECK(!error, "cannot make the folder ", folder.string(), ": ", error.message());

  JsonObject components;
  const auto add = [&](const char* name, const Weights& weights, std::vector<ComponentGraph> graphs) {
    console.say(fmt::format("{}: {} graphs", name, graphs.size()));
    components[name] = export_component(name, weights, std::move(graphs), onnx, folder);
  };
  add("text_encoder", model.clip, text_encoder_graphs(model, batches));
  add("unet", model.unet, unet_graphs(model, sizes, batches));
  add("vae_decoder", model.vae, vae_decoder_graphs(model, sizes, batches));
  const JsonObject manifest{{"manifest", kManifestVersion},
                            {"inkstone", kVersion},
                            {"model", model.name()},
                            {"opset", onnx.opset},
                            {"precision", name_of(onnx.type)},
                            {"attention_heads", onnx.attention_heads},
                            {"compiled", false},
                            {"components", std::move(components)}};
  const std::string text = boost::json::serialize(manifest) + "\n";
  write_file(folder / "manifest.json", std::as_bytes(std::span(text)));
  console.say(fmt::format("written to {}; nothing is compiled: that is ATC's part", folder.string()));
  if (options.json.value_or(false)) print_json(manifest);
  return 0;
}

}  // namespace inkstone
