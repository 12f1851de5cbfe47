// inkstone export: a model's graphs as ONNX files that Ascend's ATC compiles, with a manifest that says what each is.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "app/byte_size.h"
#include "app/calibration.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/export_files.h"
#include "base/error.h"
#include "base/parallel.h"
#include "diffusion/hub.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int kMostBatch = 64, kMostPixels = 8192;

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
    INKSTONE_CHECK_USAGE(std::ranges::count(sizes, size) == 0, "--sizes ", *options.sizes, ": ", piece,
                         " stands twice");
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
    INKSTONE_CHECK_USAGE(std::ranges::count(batches, batch) == 0, "--batch ", *options.batch, ": ", batch,
                         " stands twice");
    batches.push_back(batch);
  }
  return batches;
}

ExportChoice choice_of(const Options& options, const Model& model) {
  ExportChoice choice;
  choice.graphs = {sizes_of(options, model), batches_of(options), options.gears.value_or(false),
                   options.vae_tile.value_or(0), options.encoder.value_or(false)};
  choice.precision = options.precision.value_or(choice.precision);
  choice.opset = options.opset.value_or(choice.opset);
  choice.attention_heads = options.attention_heads.value_or(0);
  choice.whole_timesteps = options.timestep == "int32";
  for (const PictureSize& size : choice.graphs.sizes)
    INKSTONE_CHECK_USAGE(choice.graphs.vae_tile * model.vae_scale() < size.height || !choice.graphs.vae_tile,
                         "--vae-tile ", choice.graphs.vae_tile, ": a picture of ", size.height, " rows has ",
                         size.height / model.vae_scale(), " latent rows, and a band must have fewer");
  return choice;
}

JsonObject result_json(const Manifest& manifest, const fs::path& folder) {
  JsonArray files;
  uint64_t bytes = 0;
  for (const GraphRecord& graph : manifest.graphs) {
    files.emplace_back((folder / graph.onnx.file).string());
    bytes += graph.onnx.bytes;
  }
  for (const FileRecord& weights : manifest.weights) bytes += weights.bytes;
  return {{"manifest", (folder / kManifestName).string()},
          {"model", manifest.model},
          {"precision", manifest.precision},
          {"opset", manifest.opset},
          {"graphs", files},
          {"bytes", bytes}};
}

}  // namespace

int run_export(const Options& options) {
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false)};
  set_threads(options.threads.value_or(usable_cores()));
  INKSTONE_CHECK_USAGE(options.out.has_value(), "--out is missing: the folder to write into");
  std::vector<std::string> prompts;
  if (options.calibration) prompts = calibration_prompts(*options.calibration);
  const fs::path folder = *options.out, source = options.model ? find_model(*options.model) : demo_model();
  const Model model = Model::open(source);
  const ExportChoice choice = choice_of(options, model);
  const auto tell = [&](const std::string& line) { console.say(line); };
  const Manifest manifest = export_model(model, choice, folder, tell);
  if (!prompts.empty()) write_calibration(source, prompts, manifest, folder, tell);
  const JsonObject result = result_json(manifest, folder);
  console.say(fmt::format("{} graphs, {}, written to {}; nothing is compiled: that is ATC's part",
                          manifest.graphs.size(), byte_text(result.at("bytes").to_number<uint64_t>()),
                          folder.string()));
  if (options.json.value_or(false)) print_json(result);
  return 0;
}

}  // namespace inkstone
