#include "app/loading.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "adapters/tags.h"
#include "app/number.h"
#include "base/error.h"
#include "base/given_file.h"
#include "base/parallel.h"
#include "base/spelling.h"
#include "diffusion/few_step.h"
#include "diffusion/hires_upscaler.h"
#include "diffusion/model_folder.h"
#include "diffusion/pipeline_controls.h"
#include "diffusion/pipeline_embeddings.h"
#include "diffusion/pipeline_upscalers.h"
#include "diffusion/preview_vae.h"
#include "diffusion/request_fields.h"
#include "hub/find_model.h"

namespace inkstone {
namespace {

Choice choice_of(const std::optional<std::string>& text) {
  if (text == "on") return Choice::kOn;
  if (text == "off") return Choice::kOff;
  return Choice::kAuto;
}

}  // namespace

int thread_count(const Options& options, const Console& console) {
  const int most = usable_cores(), asked = options.threads.value_or(most);
  if (asked > most)
    console.say(fmt::format("inkstone: --threads {}: this process may use {} processor{}, so it computes with {}",
                            asked, most, most == 1 ? "" : "s", most));
  return std::min(asked, most);
}

EngineOptions engine_options(const Options& options) {
  EngineOptions result;
  result.device = options.device.value_or("cpu");
  result.compiled = options.compiled.value_or("");
  for (const Precision precision : {Precision::kFp32, Precision::kBf16, Precision::kFp16, Precision::kMixed})
    if (options.precision == name_of(precision)) result.precision = precision;
  result.vae_tiling = choice_of(options.vae_tiling);
  result.attention_slicing = choice_of(options.attention_slicing);
  if (options.memory_budget) result.memory_budget = options.memory_budget->bytes;
  return result;
}

AdapterSet adapters_of(const Options& options) {
  AdapterSet set;
  for (const std::string& text : options.loras.value_or(std::vector<std::string>{})) set.push_back(parse_adapter(text));
  return set;
}

namespace {

// Takes numbers from the text's end, each behind a colon, at most `most`: the last one first.
std::vector<float> take_numbers(std::string& text, size_t most) {
  std::vector<float> numbers;
  while (numbers.size() < most) {
    const size_t colon = text.rfind(':');
    float value = 0;
    if (colon == text.npos || !parse_number(std::string_view(text).substr(colon + 1), value)) break;
    numbers.push_back(value);
    text.resize(colon);
  }
  return numbers;
}

bool is_there(const std::string& path) {
  std::error_code none;
  return std::filesystem::exists(path, none);
}

// Where the path ends and the hint begins: at the only colon, or the only one with what is there on both sides.
std::optional<size_t> cut_of(const std::string& text) {
  std::vector<size_t> colons, good;
  for (size_t at = text.find(':'); at != text.npos; at = text.find(':', at + 1)) colons.push_back(at);
  if (colons.size() < 2) return colons.empty() ? std::nullopt : std::optional(colons.front());
  for (const size_t at : colons)
    if (is_there(text.substr(0, at)) && is_there(text.substr(at + 1))) good.push_back(at);
  INKSTONE_CHECK_USAGE(good.size() == 1, "--control ", text, ": which colon stands between the two files? ",
                       good.empty() ? "None names two that are there" : "Several do", ": rename one");
  return good.front();
}

}  // namespace

ControlOption parse_control(const std::string& text) {
  ControlOption option;
  std::string rest = text;
  if (!is_there(rest)) {
    const std::vector<float> numbers = take_numbers(rest, 3);
    INKSTONE_CHECK_USAGE(numbers.size() != 2, "--control ", text, ": after the hint stand SCALE, or SCALE:START:END");
    if (!numbers.empty()) option.scale = numbers.back();
    if (numbers.size() == 3) option.start = numbers[1], option.end = numbers[0];
  }
  const std::optional<size_t> cut = is_there(rest) ? std::nullopt : cut_of(rest);
  option.path = rest.substr(0, cut.value_or(rest.size()));
  if (cut) option.hint = rest.substr(*cut + 1);
  return option;
}

void check_controls_alone(const Options& options) {
  for (const std::string& text : options.controls.value_or(std::vector<std::string>{})) {
    const std::string path = parse_control(text).path;
    INKSTONE_CHECK_USAGE(path == text, "--control ", text, ": here it names the file alone, --control ", path,
                         "; its hint and numbers are said with each image");
  }
}

std::optional<std::vector<ControlUse>> control_uses(const Options& options, bool plans) {
  if (!options.controls) return {};
  std::vector<ControlUse> uses;
  for (const std::string& text : *options.controls) {
    const ControlOption option = parse_control(text);
    INKSTONE_CHECK_USAGE(plans || !option.hint.empty(), "--control ", text,
                         ": which picture is the hint? FILE:HINT, such as canny.safetensors:edges.png");
    ControlUse& use =
        uses.emplace_back(ControlUse{model_name(option.path), {}, option.scale, option.start, option.end});
    if (!plans) use.image = read_given_picture(option.hint);
  }
  return uses;
}

ModelSettings settings_of(const Options& options) {
  ModelSettings said;
  if (options.prediction) said.prediction = find_prediction(*options.prediction);
  if (options.zero_snr) said.zero_snr = options.zero_snr == "on";
  said.few_step = options.few_step;
  return said;
}

void add_previews(Pipeline& model, const Options& options) {
  if (options.preview_vae) return add_preview_vae(model, *options.preview_vae);
  if (!options.preview || !model.vae_config.tiny) return;
  const auto replaced = model.replaced.find("vae");
  add_preview_vae(model, replaced == model.replaced.end() ? model.path / "vae" : replaced->second);
}

namespace {

// Of --hires-upscaler, where that names no way to enlarge without a network.
std::optional<std::string> upscaler_file(const Options& options) {
  const std::optional<std::string>& asked = options.request.hires_upscaler;
  if (!asked || find_hires_upscaler(*asked)) return {};
  const std::vector<std::string> all = hires_upscalers();
  const std::string meant = nearest(*asked, all);
  INKSTONE_CHECK_USAGE(is_there(*asked), "--hires-upscaler ", *asked,
                       ": there is no such file; without a network it is one of ", listed(all),
                       meant.empty() ? "" : "; did you mean " + meant + "?");
  return asked;
}

}  // namespace

Pipeline open_model(const Options& options, const AdapterSet& more, const MakeRoom& make_room, bool refiners) {
  std::map<std::string, std::filesystem::path> replaced;
  for (const auto& [component, file] : replaced_components(options))
    if (*file) replaced[component] = **file;
  const auto open = refiners ? Pipeline::open_any : Pipeline::open;
  Pipeline model = open(options.model ? find_model(*options.model) : demo_model(), replaced, settings_of(options));
  AdapterSet set = adapters_of(options);
  set.insert(set.end(), more.begin(), more.end());
  if (!set.empty()) merge(model, set, options.memory_budget ? options.memory_budget->bytes : 0, make_room);
  std::set<std::string> controls;  // one may be used several times
  for (const std::string& text : options.controls.value_or(std::vector<std::string>{}))
    if (const std::string path = parse_control(text).path; controls.insert(path).second) add_control(model, path);
  load_embeddings(model, {options.embeddings.value_or(std::vector<std::string>{}), options.embedding_dir.value_or(""),
                          /*skip_misfits=*/model.traits.refiner});
  for (const MergedAdapter& adapter : model.adapters)
    if (const auto what = few_step_of_name(adapter.name, "by an adapter's name"); what && !options.few_step)
      apply(*what, /*with_scheduler=*/true, model.traits);
  for (const std::string& file : options.upscalers.value_or(std::vector<std::string>{})) add_upscaler(model, file);
  if (const auto file = upscaler_file(options)) add_upscaler(model, *file);
  add_previews(model, options);
  return model;
}

void check_refiner(const Options& options) {
  INKSTONE_CHECK_USAGE(options.refiner || !options.refiner_start, "--refiner-start ", options.refiner_start.value_or(0),
                       ": which refiner? add --refiner");
  INKSTONE_CHECK_USAGE(!options.refiner || !options.compiled, "--refiner and --compiled ",
                       options.compiled.value_or(""),
                       ": the compiled files are of one model; leave one of the two out");
}

Loaded load(const Options& options) {
  check_refiner(options);
  const auto begin = std::chrono::steady_clock::now();
  Loaded loaded;
  Pipeline model = open_model(options);
  loaded.name = model.name();
  loaded.engine = std::make_unique<Engine>(std::move(model), engine_options(options));
  if (options.refiner) {
    INKSTONE_CHECK_USAGE(loaded.model().traits.sdxl, "--refiner ", *options.refiner, ": ", loaded.model().path.string(),
                         " is no SDXL model, and only their latents are what a refiner goes on with");
    Pipeline refiner = Pipeline::open_refiner(find_model(*options.refiner));
    load_embeddings(refiner, {options.embeddings.value_or(std::vector<std::string>{}),
                              options.embedding_dir.value_or(""), /*skip_misfits=*/true});
    loaded.refiner = std::make_unique<Engine>(std::move(refiner), engine_options(options));
    loaded.refiner_start = options.refiner_start.value_or(kRefinerStart);
  }
  loaded.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return loaded;
}

std::optional<Refinement> refinement_of(const Loaded& loaded, const ResolvedRequest& resolved,
                                        const ImageRequest& asked) {
  if (!loaded.refiner) return std::nullopt;
  return refine(*loaded.engine, resolved, *loaded.refiner, asked, loaded.refiner_start);
}

ResolvedRequest resolve_request(const Engine& engine, const ImageRequest& request) {
  ImageRequest named = request;
  for (const Upscaler& upscaler : engine.pipeline().upscalers)
    if (named.hires_upscaler == upscaler.file().string()) named.hires_upscaler = upscaler.name();
  try {
    return engine.resolve(named);
  } catch (const RequestError& error) {
    if (error.rule().empty()) throw;
    const std::string own = is_set(error.field(), request) ? "" : " (the model's own)";
    fail<UsageError>(INKSTONE_HERE, {"--", error.field().flag, " ", error.value(), own, ": must be ", error.rule()});
  }
}

}  // namespace inkstone
