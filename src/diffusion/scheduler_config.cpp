// scheduler_config.json, with the defaults of the class that reads it. diffusers remembers which
// values a file had and passes only those on to another class; its pipeline of SD 1.x and 2.x sets
// steps_offset to 1 and clip_sample to false. All of this is done here too.
#include <cmath>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/scheduler.h"

namespace inkstone {
namespace {

class Reader {
 public:
  Reader(const JsonObject& object, const std::string& source, SchedulerKind kind)
      : object_(object), source_(source), class_(diffusers_class(kind)) {
    if (class_.empty()) class_ = name_of(kind);
  }

  bool has(const char* key) const { return object_.if_contains(key) != nullptr; }

  // null is Python's None, which counts as false.
  bool flag(const char* key, bool fallback) const {
    const Json* value = object_.if_contains(key);
    if (!value) return fallback;
    if (value->is_null()) return false;
    return value->is_bool() ? value->get_bool() : refuse(key, *value, "true or false");
  }

  double number(const char* key, double fallback) const {
    const Json* value = object_.if_contains(key);
    if (!value) return fallback;
    const double number = value->is_number() ? value->to_number<double>() : NAN;
    return std::abs(number) <= 1'000'000 ? number : refuse(key, *value, "a number up to 1000000");
  }

  // As number(), or -Infinity as read_json() reads it.
  double number_or_minus_infinity(const char* key) const {
    constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
    const Json* value = object_.if_contains(key);
    return value && *value == Json("-Infinity") ? kMinusInfinity : number(key, kMinusInfinity);
  }

  int whole(const char* key, int fallback) const {
    const double value = number(key, fallback);
    const bool fits = value == std::trunc(value);
    return fits ? static_cast<int>(value) : refuse(key, *object_.if_contains(key), "a whole number up to 1000000");
  }

  std::optional<double> maybe(const char* key) const {
    const Json* value = object_.if_contains(key);
    if (!value || value->is_null()) return {};
    return number(key, 0);
  }

  template <typename T>
  T choice(const char* key, T fallback, std::initializer_list<std::pair<const char*, T>> choices) const {
    const Json* value = object_.if_contains(key);
    if (!value) return fallback;
    std::string names;
    for (const auto& [name, meaning] : choices) {
      if (value->is_string() && value->get_string() == name) return meaning;
      names += (names.empty() ? "\"" : ", \"") + std::string(name) + "\"";
    }
    refuse(key, *value, names);
  }

  template <typename T>
  std::vector<T> numbers(const char* key) const {
    std::vector<T> values;
    const Json* value = object_.if_contains(key);
    if (!value || value->is_null()) return values;
    if (!value->is_array()) refuse(key, *value, "a list of numbers");
    for (const Json& item : value->get_array()) {
      if (!item.is_number()) refuse(key, *value, "a list of numbers");
      const auto number = item.to_number<double>();
      if (!(std::abs(number) <= 1'000'000)) refuse(key, *value, "a list of numbers up to 1000000");
      values.push_back(static_cast<T>(number));
    }
    return values;
  }

  // For keys of which only one value is implemented.
  void only_false(const char* key) const {
    if (flag(key, false)) refuse(key, *object_.if_contains(key), "false");
  }
  void only_null(const char* key) const {
    const Json* value = object_.if_contains(key);
    if (value && !value->is_null()) refuse(key, *value, "null");
  }
  // A U-Net of a learned variance gives twice the channels. Other variances are of other classes.
  void no_learned_variance() const {
    const Json* value = object_.if_contains("variance_type");
    if (!value || (*value != Json("learned") && *value != Json("learned_range"))) return;
    refuse("variance_type", *value, "null or a variance that is not learned");
  }

  [[noreturn]] bool refuse(const char* key, const Json& value, const std::string& instead) const {
    std::string text = json_text(value);
    if (text.size() > 60) text = text.substr(0, 60) + "...";
    fail(INKSTONE_HERE, {source_, ": ", key, " ", text, " is not supported for ", class_, "; it can be ", instead});
  }

 private:
  const JsonObject& object_;
  const std::string& source_;
  std::string class_;
};

// The defaults of the class for its noise schedule: of 2020's, of k-diffusion's, of distilled ones'.
struct BetaDefaults {
  double start, end;
  BetaSchedule schedule;
};
BetaDefaults beta_defaults(SchedulerKind kind) {
  switch (kind) {
    case SchedulerKind::kHeun:
    case SchedulerKind::kDpm2:
    case SchedulerKind::kDpm2Ancestral:
    case SchedulerKind::kDpmppSde:
    case SchedulerKind::kDpmpp2SAncestral:
    case SchedulerKind::kDpmpp3MSde: return {0.00085, 0.012, BetaSchedule::kLinear};
    case SchedulerKind::kLcm:
    case SchedulerKind::kTcd: return {0.00085, 0.012, BetaSchedule::kScaledLinear};
    default: return {0.0001, 0.02, BetaSchedule::kLinear};
  }
}

void read_common(const Reader& reader, SchedulerConfig& config) {
  const BetaDefaults betas = beta_defaults(config.kind);
  config.train_timesteps = reader.whole("num_train_timesteps", 1000);
  config.beta_start = reader.number("beta_start", betas.start);
  config.beta_end = reader.number("beta_end", betas.end);
  config.beta_schedule = reader.choice("beta_schedule", betas.schedule,
                                       {{"linear", BetaSchedule::kLinear},
                                        {"scaled_linear", BetaSchedule::kScaledLinear},
                                        {"squaredcos_cap_v2", BetaSchedule::kSquaredCosCap}});
  config.trained_betas = reader.numbers<float>("trained_betas");
  config.steps_offset = reader.whole("steps_offset", 0);
  if (reader.has("timestep_spacing")) {
    config.spacing = reader.choice("timestep_spacing", TimestepSpacing::kLeading,
                                   {{"leading", TimestepSpacing::kLeading},
                                    {"linspace", TimestepSpacing::kLinspace},
                                    {"trailing", TimestepSpacing::kTrailing}});
  }
  const PredictionType epsilon = PredictionType::kEpsilon, v = PredictionType::kVPrediction,
                       sample = PredictionType::kSample;
  config.prediction =
      config.kind == SchedulerKind::kEuler
          ? reader.choice("prediction_type", epsilon,
                          {{"epsilon", epsilon}, {"v_prediction", v}, {"sample", sample}, {"original_sample", sample}})
          : reader.choice("prediction_type", epsilon, {{"epsilon", epsilon}, {"v_prediction", v}, {"sample", sample}});
}

// DDIM, LCM and Heun.
void read_clipping(const Reader& reader, SchedulerConfig& config) {
  config.clip_sample = reader.flag("clip_sample", config.kind == SchedulerKind::kDdim);
  config.clip_sample_range = static_cast<float>(reader.number("clip_sample_range", 1));
  reader.only_false("thresholding");
}

// Those that go over sigmas, but Euler ancestral.
void read_sigmas(const Reader& reader, SchedulerConfig& config, bool knows_lu = false) {
  const struct {
    const char* key;
    Schedule schedule;
    bool known;
  } rows[] = {{"use_karras_sigmas", Schedule::kKarras, true},
              {"use_exponential_sigmas", Schedule::kExponential, true},
              {"use_beta_sigmas", Schedule::kBeta, true},
              {"use_lu_lambdas", Schedule::kLu, knows_lu}};
  const char* before = nullptr;
  for (const auto& [key, schedule, known] : rows) {
    if (!known || !reader.flag(key, false)) continue;
    if (before) reader.refuse(key, true, std::string("false beside ") + before + ": only one can be set");
    before = key;
    config.schedule = schedule;
  }
  // Not arguments of most, but kept in their config, where respaced sigmas read them.
  config.sigma_min = reader.maybe("sigma_min");
  config.sigma_max = reader.maybe("sigma_max");
}

// Euler, DPM++ and UniPC.
void read_final_sigma(const Reader& reader, SchedulerConfig& config) {
  config.final_sigma_min = reader.choice("final_sigmas_type", false, {{"zero", false}, {"sigma_min", true}});
}

// DPM++, UniPC and DEIS.
void read_solver(const Reader& reader, SchedulerConfig& config) {
  config.solver_order = reader.whole("solver_order", 2);
  if (config.solver_order < 1 || config.solver_order > 3)
    reader.refuse("solver_order", config.solver_order, "1, 2 or 3");
  config.lower_order_final = reader.flag("lower_order_final", true);
  reader.only_false("thresholding");
  reader.only_false("use_flow_sigmas");
  reader.only_false("use_dynamic_shifting");
}

void read_dpmpp(const Reader& reader, SchedulerConfig& config) {
  read_sigmas(reader, config, true);
  read_final_sigma(reader, config);
  read_solver(reader, config);
  config.heun = reader.choice("solver_type", false,
                              {{"midpoint", false}, {"heun", true}, {"logrho", false}, {"bh1", false}, {"bh2", false}});
  config.euler_at_final = reader.flag("euler_at_final", false);
  config.lambda_min_clipped = reader.number_or_minus_infinity("lambda_min_clipped");
  reader.no_learned_variance();
}

void read_unipc(const Reader& reader, SchedulerConfig& config) {
  read_sigmas(reader, config);
  read_final_sigma(reader, config);
  read_solver(reader, config);
  config.bh1 = reader.choice("solver_type", false,
                             {{"bh2", false}, {"bh1", true}, {"midpoint", false}, {"heun", false}, {"logrho", false}});
  if (!reader.flag("predict_x0", true)) reader.refuse("predict_x0", false, "true");
  config.disable_corrector = reader.numbers<int>("disable_corrector");
  reader.only_null("solver_p");
  reader.only_null("shift_terminal");
}

void read_deis(const Reader& reader, SchedulerConfig& config) {
  read_sigmas(reader, config);
  read_solver(reader, config);
  config.final_sigma_min = true;  // its integrals have no end at zero
  reader.choice("solver_type", false,
                {{"logrho", false}, {"midpoint", false}, {"heun", false}, {"bh1", false}, {"bh2", false}});
}

void read_distilled(const Reader& reader, SchedulerConfig& config) {
  config.original_inference_steps = reader.whole("original_inference_steps", 50);
}

void read_class(const Reader& reader, SchedulerConfig& config) {
  if (takes_zero_snr(config.kind)) config.rescale_betas_zero_snr = reader.flag("rescale_betas_zero_snr", false);
  switch (config.kind) {
    case SchedulerKind::kPndm:
      config.set_alpha_to_one = reader.flag("set_alpha_to_one", false);
      config.skip_prk_steps = reader.flag("skip_prk_steps", false);
      return;
    case SchedulerKind::kDdim:
      config.set_alpha_to_one = reader.flag("set_alpha_to_one", true);
      return read_clipping(reader, config);
    case SchedulerKind::kEuler:
      read_sigmas(reader, config);
      read_final_sigma(reader, config);
      config.log_linear = reader.choice("interpolation_type", false, {{"linear", false}, {"log_linear", true}});
      config.continuous_timesteps = reader.choice("timestep_type", false, {{"discrete", false}, {"continuous", true}});
      return;
    case SchedulerKind::kEulerAncestral: return;
    case SchedulerKind::kDpmpp2M:
    case SchedulerKind::kDpmpp2MSde: return read_dpmpp(reader, config);
    case SchedulerKind::kUniPc: return read_unipc(reader, config);
    case SchedulerKind::kHeun: read_clipping(reader, config); return read_sigmas(reader, config);
    case SchedulerKind::kDpm2:
    case SchedulerKind::kDpm2Ancestral:
    case SchedulerKind::kLms:
    case SchedulerKind::kDpmppSde: return read_sigmas(reader, config);
    case SchedulerKind::kDpmpp2SAncestral: return read_sigmas(reader, config);
    case SchedulerKind::kDpmpp3MSde:
      read_sigmas(reader, config);
      config.solver_order = 3;
      config.heun = true;
      config.lower_order_final = false;
      return;
    case SchedulerKind::kDeis: return read_deis(reader, config);
    case SchedulerKind::kTcd:
      read_distilled(reader, config);
      config.eta = 0.3f;  // of its step(); diffusers' pipelines pass 0 where nothing is said
      return;
    case SchedulerKind::kLcm:
      read_clipping(reader, config);
      read_distilled(reader, config);
      config.timestep_scaling = reader.number("timestep_scaling", 10);
      return;
  }
}

std::string class_in(const JsonObject& object, const std::string& source) {
  const Json* value = object.if_contains("_class_name");
  if (!value) return "";
  INKSTONE_CHECK(value->is_string(), source, ": _class_name ", json_text(*value), " is not a name");
  return std::string(value->get_string());
}

// The kind that the file names.
SchedulerKind kind_in(const JsonObject& object, const std::string& source, const std::string& file_class) {
  std::string known;
  for (const std::string& name : scheduler_names()) {
    const SchedulerKind kind = scheduler_kind(name);
    if (!file_class.empty() && file_class == diffusers_class(kind)) {
      if (kind != SchedulerKind::kDpmpp2M) return kind;
      return Reader(object, source, kind)
          .choice("algorithm_type", kind,
                  {{"dpmsolver++", kind}, {"sde-dpmsolver++", SchedulerKind::kDpmpp2MSde}, {"deis", kind}});
    }
    known += (known.empty() ? "" : ", ") + name;
  }
  fail(INKSTONE_HERE,
       {source, ": _class_name \"", file_class, "\" is no scheduler that is supported; choose one of ", known});
}

}  // namespace

SchedulerConfig scheduler_config(const Json& json, const std::string& source, std::optional<SchedulerKind> kind,
                                 SetByPipeline set) {
  INKSTONE_CHECK(json.is_object(), source, ": not a JSON object");
  const JsonObject& object = json.get_object();
  const std::string file_class = class_in(object, source);
  SchedulerConfig config;
  config.kind = kind ? *kind : kind_in(object, source, file_class);
  const Reader reader(object, source, config.kind);
  read_common(reader, config);
  read_class(reader, config);
  if (set == SetByPipeline::kNothing) return config;
  // A value that the pipeline sets is not passed on to another class if the file did not have the
  // key.
  const bool own = !file_class.empty() && file_class == diffusers_class(config.kind);
  if (own || reader.has("steps_offset")) config.steps_offset = 1;
  if (own || reader.has("clip_sample")) config.clip_sample = false;
  return config;
}

}  // namespace inkstone
