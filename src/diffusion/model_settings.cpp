#include "diffusion/model_settings.h"

#include <array>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "base/spelling.h"

namespace inkstone {
namespace {

struct Refused {
  const char *tensor, *what;
};
constexpr Refused kRefused[] = {
    {"edm_vpred.sigma_max", "a CosXL model, whose noise levels (EDM, v-prediction) are not supported"},
    {"edm_mean", "a Playground 2.5 model, whose noise levels (EDM) and normalised latents are not supported"},
    {"edm_std", "a Playground 2.5 model, whose noise levels (EDM) and normalised latents are not supported"}};

// As Stability's ModelSpec and ComfyUI write it.
std::optional<PredictionType> prediction_in(const std::map<std::string, std::string>& metadata) {
  for (const char* key : {"modelspec.prediction_type", "modelspec.predict_key"}) {
    const auto found = metadata.find(key);
    if (found == metadata.end()) continue;
    const std::string text = lower(found->second);
    return text == "v" ? PredictionType::kVPrediction : find_prediction(text);
  }
  return {};
}

std::string text_in(const ModelTraits& traits, const char* key) {
  const JsonObject* config = traits.scheduler ? traits.scheduler->if_object() : nullptr;
  const Json* value = config ? config->if_contains(key) : nullptr;
  return value && value->is_string() ? std::string(value->get_string()) : "";
}

// Its class knows a schedule that ends without signal; so does one that is no scheduler, of which
// resolve() says so.
bool takes_zero_snr(const ModelTraits& traits) {
  const std::string name = text_in(traits, "_class_name");
  for (const std::string& own : scheduler_names())
    if (const SchedulerKind kind = scheduler_kind(own); diffusers_class(kind) == name) return takes_zero_snr(kind);
  return true;
}

}  // namespace

ModelSettings settings_of(const Checkpoint& file, const std::string& source) {
  for (const auto& [tensor, what] : kRefused)
    INKSTONE_CHECK(!file.has(tensor), source, " is ", what, " (tensor ", tensor, ")");
  ModelSettings settings;
  settings.prediction = prediction_in(file.metadata());
  if (file.has("v_pred")) settings.prediction = PredictionType::kVPrediction;
  if (file.has("ztsnr")) settings.zero_snr = true;
  return settings;
}

std::string title_of(const Checkpoint& file) {
  std::string title;
  for (const char* key : {"modelspec.title", "modelspec.architecture"})
    if (const auto found = file.metadata().find(key); found != file.metadata().end()) title += found->second + " ";
  return title;
}

void apply(const ModelSettings& settings, ModelTraits& traits) {
  if ((!settings.prediction && !settings.zero_snr) || !traits.scheduler || !traits.scheduler->is_object()) return;
  JsonObject config = traits.scheduler->get_object();
  if (settings.prediction) config["prediction_type"] = name_of(*settings.prediction);
  if (settings.zero_snr) config["rescale_betas_zero_snr"] = *settings.zero_snr;
  if (settings.zero_snr.value_or(false)) {
    config["timestep_spacing"] = "trailing";
    if (!takes_zero_snr(traits)) config["_class_name"] = diffusers_class(SchedulerKind::kEuler);
  }
  traits.scheduler = std::make_shared<const Json>(std::move(config));
}

void check_settings(const ModelSettings& said, const ModelTraits& traits) {
  const std::string predicts = text_in(traits, "prediction_type");
  INKSTONE_CHECK_USAGE(
      !said.zero_snr.value_or(false) || (!predicts.empty() && predicts != "epsilon"),
      "--zero-snr on: this model predicts the noise (epsilon), and where nothing but noise is left that "
      "says nothing of the image: add --prediction v_prediction, or leave it out");
}

std::string prediction_hint(const std::string& name, const ModelTraits& traits) {
  std::string letters;
  for (const char c : lower(name))
    if (c >= 'a' && c <= 'z') letters += c;
  if (letters.find("vpred") == std::string::npos) return "";
  const std::string predicts = text_in(traits, "prediction_type");
  if (!predicts.empty() && predicts != "epsilon") return "";
  return "its name says that it predicts v, and nothing in it does: if images are noise or burnt, try --prediction "
         "v_prediction (and --zero-snr on)";
}

}  // namespace inkstone
