// inkstone export: a model's graphs as ONNX files that Ascend's ATC compiles, with a manifest that says what each is.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/byte_size.h"
#include "app/calibration.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/export_files.h"
#include "app/loading.h"
#include "app/number.h"
#include "app/report.h"
#include "atc/compiler.h"
#include "atc/om_cache.h"
#include "atc/soc.h"
#include "backend/devices.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxBatch = 64;

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
  return parse_number(text, value) && value >= 1 && value <= most;
}

// None where --sizes is not said.
std::vector<ImageSize> sizes_of(const Options& options) {
  if (!options.sizes) return {};
  std::vector<ImageSize> sizes;
  for (const std::string& piece : pieces_of(*options.sizes)) {
    const std::string_view text = piece;
    const size_t cross = text.find('x');
    ImageSize size;
    bool good = read_number(text.substr(0, cross), kMaxImageSide, size.width);
    size.height = size.width;
    if (cross != std::string_view::npos) good = good && read_number(text.substr(cross + 1), kMaxImageSide, size.height);
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
    INKSTONE_CHECK_USAGE(read_number(piece, kMaxBatch, batch), "--batch ", *options.batch, ": \"", piece,
                         "\" must be a whole number from 1 to ", kMaxBatch, ", several separated by commas");
    INKSTONE_CHECK_USAGE(std::ranges::count(batches, batch) == 0, "--batch ", *options.batch, ": ", batch,
                         " stands twice");
    batches.push_back(batch);
  }
  return batches;
}

ExportChoice choice_of(const Options& options, const Pipeline& model) {
  ExportChoice choice;
  std::vector<ImageSize> sizes = sizes_of(options);
  if (sizes.empty()) sizes = {{model.traits.width, model.traits.height}};
  choice.graphs = {std::move(sizes),
                   batches_of(options),
                   options.max_prompt_chunks.value_or(1),
                   options.gears.value_or(false),
                   options.vae_tile.value_or(0),
                   options.encoder.value_or(false)};
  choice.precision = options.precision.value_or(choice.precision);
  choice.opset = options.opset.value_or(choice.opset);
  choice.attention_heads = options.attention_heads.value_or(0);
  choice.whole_timesteps = options.timestep == "int32";
  for (const ImageSize& size : choice.graphs.sizes)
    INKSTONE_CHECK_USAGE(choice.graphs.vae_tile * model.vae_scale() < size.height || !choice.graphs.vae_tile,
                         "--vae-tile ", choice.graphs.vae_tile, ": an image of ", size.height, " rows has ",
                         size.height / model.vae_scale(), " latent rows, and a band must have fewer");
  return choice;
}

// --upscaler in place of a model: its parts know no batches, texts or timesteps.
Manifest export_upscaler_of(const Options& options, const fs::path& folder, const Tell& tell) {
  const std::vector<std::string> taken = {"upscaler", "out",      "sizes",   "precision", "opset", "soc",
                                          "compile",  "host-cpu", "threads", "json",      "quiet", "verbose"};
  for (const Setting& setting : settings())
    INKSTONE_CHECK_USAGE(!(setting.commands & bit(Command::kExport)) || std::ranges::count(taken, setting.name) ||
                             !is_set(options, setting),
                         "--upscaler ", *options.upscaler, " and --", setting.name,
                         ": an upscaler is exported alone, and that means nothing for it: leave one of the two out");
  ExportChoice choice;
  choice.graphs.sizes = sizes_of(options);
  INKSTONE_CHECK_USAGE(!choice.graphs.sizes.empty(), "--upscaler ", *options.upscaler,
                       ": --sizes is missing: of the images that will be given to it, such as 512,768x512");
  choice.precision = options.precision.value_or(choice.precision);
  choice.opset = options.opset.value_or(choice.opset);
  return export_upscaler(Upscaler::open(*options.upscaler), choice, folder, tell);
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

std::string chip_of_this_machine() {
  for (const DeviceStatus& device : device_status())
    if (device.present && device.name.starts_with("npu")) return device.chip;
  return "";
}

// ATC's time is minutes a file: each is named as it begins, and how long it takes is said now and then.
CompileSummary compile(Manifest& manifest, const fs::path& folder, const Options& options, const Console& console) {
  constexpr double kSayEach = 10;  // seconds
  AtcOptions atc;
  atc.policy = compile_policy(options.compile.value_or("auto"));
  atc.soc = *options.soc;
  if (atc.soc == "auto") atc.detected_soc = chip_of_this_machine();
  atc.host_cpu = options.host_cpu.value_or("");
  atc.cache = default_om_cache();
  double said = 0;
  AtcProgress progress;
  progress.say = [&](const std::string& line) {
    said = 0;
    console.say(line);
  };
  progress.atc_line = [&](std::string_view line) { console.detail(line); };
  progress.still_going = [&](const GraphRecord& graph, double seconds) {
    if (seconds >= said + kSayEach) console.say(fmt::format("{}: {:.0f} s", graph.name, said = seconds));
    return true;
  };
  return compile_for_ascend(manifest, folder, atc, progress);
}

std::string summary_text(const CompileSummary& summary) {
  std::string text;
  const auto add = [&](int count, const char* what) {
    if (count) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, what);
  };
  add(summary.made, "compiled");
  add(summary.from_cache, "from the cache");
  add(summary.taken_in, "taken in from compile.sh");
  add(summary.had, "there before");
  add(summary.left, "left to compile.sh: run it where ATC is, then this command again");
  return text.empty() ? "nothing compiled" : text;
}

int run_export(const Options& options) {
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false)};
  set_threads(thread_count(options, console));
  check_controls_alone(options);
  INKSTONE_CHECK_USAGE(options.out.has_value(), "--out is missing: the folder to write into");
  std::vector<std::string> prompts;
  if (options.calibration) prompts = calibration_prompts(*options.calibration);
  const fs::path folder = *options.out;
  const bool compiles = options.soc && options.compile != "never";
  INKSTONE_CHECK_USAGE(compiles || options.compile.value_or("never") == "never", "--compile ", *options.compile,
                       ": for which chip? add --soc, such as --soc Ascend910B4, or --soc auto");
  const bool detects = options.soc == "auto";
  if (compiles || (options.soc && !detects))
    choose_soc(*options.soc, detects ? chip_of_this_machine() : "");  // before anything is written
  const auto tell = [&](const std::string& line) { console.say(line); };
  Manifest manifest;
  if (options.upscaler) {
    manifest = export_upscaler_of(options, folder, tell);
  } else {
    const Pipeline model = open_model(options);
    manifest = export_model(model, choice_of(options, model), folder, tell);
  }
  if (!prompts.empty()) write_calibration(open_model(options), prompts, manifest, folder, tell);
  JsonObject result = result_json(manifest, folder);
  console.say(fmt::format("{} graphs, {}, written to {}", manifest.graphs.size(),
                          byte_text(result.at("bytes").to_number<uint64_t>()), folder.string()));
  if (compiles) {
    const CompileSummary summary = compile(manifest, folder, options, console);
    console.say(summary_text(summary));
    result["compiled"] = manifest.graphs.size() - static_cast<size_t>(summary.left);
    result["left_to_compile_sh"] = summary.left;
  }
  if (options.json.value_or(false)) print_json(result);
  return 0;
}

}  // namespace inkstone
