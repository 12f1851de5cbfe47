// Schedulers are diffusers': whole trajectories against goldens, what scheduler_config.json means, and what a state
// promises.
#include "diffusion/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "diffusion/noise.h"
#include "diffusion/resolved_request.h"
#include "diffusion/scheduler_names.h"
#include "diffusion/scheduler_tables.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kFixtures = std::string(INKSTONE_SOURCE_DIR) + "/tests/fixtures/";
const std::string kSd15 =
    R"({"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000, "set_alpha_to_one": false, "skip_prk_steps": true, "steps_offset": 1, "clip_sample": false})";

SchedulerConfig read(const std::string& text, std::optional<SchedulerKind> kind = {}) {
  return scheduler_config(parse_json(text, "scheduler_config.json"), "scheduler_config.json", kind);
}

template <typename Kind = Error, typename F>
std::string error_of(const F& body) {
  try {
    body();
  } catch (const Kind& error) {
    return error.what();
  }
  return "no error";
}

// The model of schedulers.json.
void model(float t, float scale, const std::vector<float>& x, std::vector<float>& out) {
  const float u = t * 0.001f;
  const float a = 0.2f + 0.75f * u, b = 0.08f * u - 0.03f, c = 0.1f * u * u - 0.02f;
  for (size_t i = 0; i < x.size(); ++i) out[i] = a * (x[i] * scale) + b * (x[(i + 1) % x.size()] * scale) + c;
}

// A latent going through its calls; copyable midway.
struct Trajectory {
  Trajectory(const Scheduler& with, size_t size, uint64_t seed)
      : scheduler(&with), noise(seed), x(size), out(size), fresh(size) {
    noise.fill(x);
    for (float& value : x) value *= with.init_noise_sigma();
    state = with.start(size);
  }
  void step() {
    model(scheduler->timesteps()[call], scheduler->input_scale(call), x, out);
    const bool draws = scheduler->needs_noise(call);
    if (draws) noise.fill(fresh);
    scheduler->step(call++, out, draws ? std::span<const float>(fresh) : std::span<const float>(), x, state);
  }
  bool done() const { return call == static_cast<int>(scheduler->timesteps().size()); }

  const Scheduler* scheduler;
  NoiseGenerator noise;
  std::vector<float> x, out, fresh;
  SchedulerState state;
  int call = 0;
};

std::vector<SchedulerKind> kinds() {
  std::vector<SchedulerKind> all;
  for (const std::string& name : scheduler_names()) all.push_back(scheduler_kind(name));
  return all;
}

// The goldens are made without a pipeline.
SchedulerConfig without_pipeline(const Json& row, const std::string& name) {
  return scheduler_config(row.at("config"), name, scheduler_kind(std::string(row.at("name").as_string())),
                          SetByPipeline::kNothing);
}

// `closeness` of timesteps.
void expect_trajectory(const SchedulerConfig& config, const Json& row, const Weights& tensors, double closeness) {
  const std::string name(row.at("case").as_string());
  const auto scheduler = make_scheduler(config, static_cast<int>(row.at("steps").as_int64()));
  const Tensor timesteps = tensors.read(name + "/timesteps"), scales = tensors.read(name + "/input_scales");
  const Tensor noise = tensors.read(name + "/noise"), samples = tensors.read(name + "/samples");
  const float sigma = tensors.read(name + "/init_noise_sigma").floats()[0];
  ASSERT_EQ(scheduler->timesteps().size(), static_cast<size_t>(timesteps.size()));
  ASSERT_NEAR(scheduler->init_noise_sigma(), sigma, 1e-6 * sigma);

  const size_t size = static_cast<size_t>(noise.dim(1));
  std::vector<float> x(size), out(size);
  float largest = 0;
  for (size_t i = 0; i < size; ++i) largest = std::max(largest, std::abs(x[i] = noise.floats()[i] * sigma));
  for (const float value : samples.floats()) largest = std::max(largest, std::abs(value));
  SchedulerState state = scheduler->start(size);
  size_t draws = 1;
  for (int call = 0; call < timesteps.size(); ++call) {
    ASSERT_NEAR(scheduler->timesteps()[call], timesteps.floats()[call], closeness) << call;
    ASSERT_NEAR(scheduler->input_scale(call), scales.floats()[call], 1e-6) << call;
    const bool drew = std::ranges::count(row.at("noise_calls").as_array(), Json(call)) > 0;
    ASSERT_EQ(scheduler->needs_noise(call), drew) << call;
    model(timesteps.floats()[call], scheduler->input_scale(call), x, out);
    const auto fresh = drew ? noise.floats().subspan(size * draws++, size) : std::span<const float>();
    scheduler->step(call, out, fresh, x, state);
    for (size_t i = 0; i < size; ++i) ASSERT_NEAR(x[i], samples.floats()[size * call + i], 1e-5 * largest) << call;
  }
}

TEST(SchedulerGoldens, whole_trajectories_are_those_of_diffusers) {
  const Json goldens = read_json(kFixtures + "schedulers.json");
  const Weights tensors = Weights::open_files({kFixtures + "schedulers.safetensors"});
  ASSERT_GE(goldens.at("cases").as_array().size(), 270u);
  for (const Json& row : goldens.at("cases").as_array()) {
    const std::string name(row.at("case").as_string());
    SCOPED_TRACE(name);
    SchedulerConfig config = without_pipeline(row, name);
    if (const Json* eta = row.as_object().if_contains("eta")) config.eta = eta->to_number<float>();
    if (row.as_object().contains("overrides")) {
      const bool karras = row.at("overrides").at("use_karras_sigmas").as_bool();
      config.schedule = karras ? Schedule::kKarras : Schedule::kDefault;
    }
    expect_trajectory(config, row, tensors, 2e-4);  // three roundings of a float below 1024
  }
}

// Samplers and schedules that diffusers does not have, by k_diffusion.sampling (tools/fixtures/k_diffusion.py).
TEST(SchedulerGoldens, the_others_are_those_of_k_diffusion_and_the_web_ui) {
  const Json goldens = read_json(kFixtures + "k_diffusion.json");
  const Weights tensors = Weights::open_files({kFixtures + "k_diffusion.safetensors"});
  ASSERT_GE(goldens.at("cases").as_array().size(), 80u);
  for (const Json& row : goldens.at("cases").as_array()) {
    const std::string name(row.at("case").as_string());
    SCOPED_TRACE(name);
    SchedulerConfig config = without_pipeline(row, name);
    config.schedule = find_schedule(std::string(row.at("schedule").as_string()))->schedule;
    config.sdxl = row.at("sdxl").as_bool();
    // Where two sigmas of the table are a float's rounding apart, a timestep between them is not known closer.
    expect_trajectory(config, row, tensors, 2e-3);
  }
}

// By scipy 1.17: stats.beta.ppf(part, 0.6, 0.6).
TEST(SchedulerGoldens, quantiles_of_the_beta_distribution_are_scipys) {
  EXPECT_EQ(beta_quantile(0), 0);
  EXPECT_EQ(beta_quantile(1), 1);
  EXPECT_NEAR(beta_quantile(0.5), 0.5, 1e-12);
  EXPECT_NEAR(beta_quantile(1e-06), 1.8558824624053e-10, 1e-12);
  EXPECT_NEAR(beta_quantile(0.001), 1.8558738517452e-05, 1e-12);
  EXPECT_NEAR(beta_quantile(0.1), 0.0395844055887808, 1e-12);
  EXPECT_NEAR(beta_quantile(0.25), 0.175680378652695, 1e-12);
  EXPECT_NEAR(beta_quantile(0.6), 0.637299009246786, 1e-12);
  EXPECT_NEAR(beta_quantile(0.9), 0.960415594411219, 1e-12);
  EXPECT_NEAR(beta_quantile(0.999), 0.999981441261483, 1e-12);
}

// diffusers has no such scheduler: by k-diffusion's formulas in numpy (tools/fixtures/karras_ancestral.py).
TEST(SchedulerGoldens, euler_ancestral_takes_karras_sigmas) {
  const Json goldens = read_json(kFixtures + "karras_ancestral.json");
  ASSERT_EQ(goldens.at("cases").as_array().size(), 6u);
  for (const Json& row : goldens.at("cases").as_array()) {
    const int steps = static_cast<int>(row.at("steps").as_int64());
    SCOPED_TRACE(steps);
    SchedulerConfig config = scheduler_config(row.at("config"), "case", SchedulerKind::kEulerAncestral);
    config.schedule = Schedule::kKarras;
    const auto scheduler = make_scheduler(config, steps);
    const double sigma = row.at("init_noise_sigma").to_number<double>();
    ASSERT_NEAR(scheduler->init_noise_sigma(), sigma, 1e-6 * sigma);
    ASSERT_EQ(scheduler->timesteps().size(), static_cast<size_t>(steps));
    const auto noise = [&](int draw, size_t i) { return row.at("noise").at(draw).at(i).to_number<float>(); };
    std::vector<float> x(16), out(16), fresh(16);
    for (size_t i = 0; i < 16; ++i) x[i] = noise(0, i) * scheduler->init_noise_sigma();
    SchedulerState state = scheduler->start(16);
    for (int call = 0; call < steps; ++call) {
      EXPECT_NEAR(scheduler->timesteps()[call], row.at("timesteps").at(call).to_number<double>(), 2e-3);
      ASSERT_TRUE(scheduler->needs_noise(call));
      model(scheduler->timesteps()[call], scheduler->input_scale(call), x, out);
      for (size_t i = 0; i < 16; ++i) fresh[i] = noise(call + 1, i);
      scheduler->step(call, out, fresh, x, state);
      for (size_t i = 0; i < 16; ++i)
        ASSERT_NEAR(x[i], row.at("samples").at(call).at(i).to_number<double>(), 1e-5 * std::max(1.0, sigma)) << call;
    }
  }
}

// Settings without goldens: what diffusers 0.42.1 makes of x[i] = sin(i) (times init_noise_sigma), no noise, in values 3 and 12.
TEST(SchedulerGoldens, rare_settings_end_where_those_of_diffusers_do) {
  struct Row {
    const char* name;
    int steps;
    const char* settings;
    int calls;
    float second_timestep, third, twelfth;
  };
  const Row rows[] = {
      {"pndm", 7, R"("skip_prk_steps": false)", 16, 782, 0.213112503f, -0.911029816f},
      {"pndm", 7, R"("skip_prk_steps": false, "prediction_type": "v_prediction")", 16, 782, 0.0668272525f,
       -0.227053285f},
      {"euler", 6, R"("interpolation_type": "log_linear")", 6, 799.200012f, 0.079591766f, -1.06077933f},
      {"euler", 6, R"("timestep_type": "continuous", "prediction_type": "v_prediction")", 6, 0.406938225f,
       0.0799953565f, -0.26099959f},
      {"euler", 6, R"("use_karras_sigmas": true, "sigma_min": 0.1, "sigma_max": 10.0)", 6, 791.522217f, 0.149919271f,
       -1.01471651f},
      {"dpm++-2m", 6, R"("use_lu_lambdas": true)", 6, 757, 0.254520804f, -0.951171935f},
      {"dpm++-2m", 6, R"("use_karras_sigmas": true, "sigma_min": 0.1, "sigma_max": 10.0)", 6, 792, 0.234413207f,
       -0.941590369f},
      {"dpm++-2m", 6, R"("lambda_min_clipped": -2.0)", 6, 730, 0.199054569f, -0.909027815f},
      {"unipc", 6, R"("solver_type": "bh1", "final_sigmas_type": "sigma_min")", 6, 832, 0.200500369f, -1.0332129f},
      {"unipc", 9,
       R"("solver_type": "bh1", "solver_order": 3, "final_sigmas_type": "sigma_min", "lower_order_final": false)", 9,
       888, 0.168765455f, -1.02170551f},
      {"unipc", 6, R"("use_exponential_sigmas": true)", 6, 756, 0.25497514f, -0.964280486f},
      {"lcm", 3, R"("timestep_scaling": 0.0005, "prediction_type": "sample", "original_inference_steps": 3)", 3, 665,
       0.057161212f, -0.140421644f},
  };
  const std::string common =
      R"({"_class_name": "DDPMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1,
                                 "beta_schedule": "scaled_linear", )";
  for (const Row& row : rows) {
    SCOPED_TRACE(std::string(row.name) + " " + row.settings);
    const auto scheduler = make_scheduler(read(common + row.settings + "}", scheduler_kind(row.name)), row.steps);
    ASSERT_EQ(scheduler->timesteps().size(), static_cast<size_t>(row.calls));
    EXPECT_NEAR(scheduler->timesteps()[1], row.second_timestep, 1e-4);
    std::vector<float> x(16), out(16);
    const std::vector<float> none(16);
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(std::sin(i)) * scheduler->init_noise_sigma();
    SchedulerState state = scheduler->start(x.size());
    for (int call = 0; call < row.calls; ++call) {
      model(scheduler->timesteps()[call], scheduler->input_scale(call), x, out);
      scheduler->step(call, out, none, x, state);
    }
    EXPECT_NEAR(x[3], row.third, 1e-5);
    EXPECT_NEAR(x[12], row.twelfth, 1e-5);
  }
}

TEST(SchedulerNames, stand_for_their_classes) {
  EXPECT_THAT(scheduler_names(),
              ElementsAre("pndm", "ddim", "euler", "euler-ancestral", "dpm++-2m", "dpm++-2m-sde", "unipc", "lcm",
                          "heun", "dpm2", "dpm2-a", "lms", "dpm++-2s-a", "dpm++-sde", "dpm++-3m-sde", "deis", "tcd"));
  for (const std::string& name : scheduler_names()) EXPECT_EQ(name_of(scheduler_kind(name)), name);
  EXPECT_EQ(diffusers_class(SchedulerKind::kUniPc), "UniPCMultistepScheduler");
  EXPECT_EQ(diffusers_class(SchedulerKind::kDpmpp2M), diffusers_class(SchedulerKind::kDpmpp2MSde));
}

TEST(SchedulerNames, an_unknown_one_is_answered_with_all) {
  const std::string what = error_of<UsageError>([] { scheduler_kind("restart"); });
  EXPECT_THAT(what, HasSubstr("restart"));
  for (const std::string& name : scheduler_names()) EXPECT_THAT(what, HasSubstr(name));
}

TEST(Scheduler, steps_must_be_between_one_and_what_the_model_was_trained_on) {
  for (const SchedulerKind kind : kinds()) {
    const SchedulerConfig config = read(kSd15, kind);
    for (const int steps : {0, -1, 1001}) {
      EXPECT_THAT(error_of<UsageError>([&] { make_scheduler(config, steps); }),
                  AllOf(HasSubstr(name_of(kind)), HasSubstr(std::to_string(steps))));
    }
  }
}

TEST(Scheduler, what_a_class_cannot_do_is_said) {
  const auto steps = [](SchedulerKind kind, int count, const std::string& text = kSd15) {
    return error_of<UsageError>([&] { make_scheduler(read(text, kind), count); });
  };
  EXPECT_THAT(steps(SchedulerKind::kLcm, 51), AllOf(HasSubstr("51"), HasSubstr("original_inference_steps")));
  EXPECT_THAT(steps(SchedulerKind::kPndm, 1000), AllOf(HasSubstr("1000"), HasSubstr("steps_offset")));
  EXPECT_THAT(steps(SchedulerKind::kPndm, 3, R"({"steps_offset": 1})"), HasSubstr("skip_prk_steps"));
  EXPECT_THAT(steps(SchedulerKind::kDpmpp2M, 1000), HasSubstr("fewer steps"));
}

TEST(Scheduler, one_step_works_for_all) {
  for (const SchedulerKind kind : kinds()) {
    for (const std::string& schedule : schedule_choices()) {
      SchedulerConfig config = read(kSd15, kind);
      config.schedule = find_schedule(schedule)->schedule;
      if (!takes_schedule(kind, config.schedule)) continue;
      const auto scheduler = make_scheduler(config, 1);
      Trajectory trajectory(*scheduler, 16, 1);
      while (!trajectory.done()) trajectory.step();
      // Two where the step does not end at zero, and its scheduler takes two for such a one.
      ASSERT_LE(trajectory.call, schedule == "kl-optimal" ? 2 : 1) << name_of(kind) << " " << schedule;
      for (const float value : trajectory.x) EXPECT_TRUE(std::isfinite(value)) << name_of(kind) << " " << schedule;
    }
  }
}

TEST(Scheduler, pndm_calls_the_model_once_more_than_there_are_steps) {
  const SchedulerConfig config = read(kSd15);
  EXPECT_THAT(make_scheduler(config, 5)->timesteps(), ElementsAre(801, 601, 601, 401, 201, 1));
  for (const int steps : {2, 20, 50}) {
    EXPECT_EQ(make_scheduler(config, steps)->timesteps().size(), static_cast<size_t>(steps + 1));
    EXPECT_EQ(make_scheduler(read(kSd15, SchedulerKind::kDdim), steps)->timesteps().size(), static_cast<size_t>(steps));
  }
}

// By diffusers 0.42.1: PNDMScheduler with skip_prk_steps false, 5 steps.
// The first two are the first step.
TEST(Scheduler, steps_are_those_that_were_asked_for) {
  EXPECT_EQ(steps_done(0, 21, 20), 0);
  EXPECT_EQ(steps_done(1, 21, 20), 0);
  EXPECT_EQ(steps_done(2, 21, 20), 1);
  EXPECT_EQ(steps_done(21, 21, 20), 20);
  EXPECT_EQ(steps_done(7, 20, 20), 7);
  // Two calls a step, but for the last.
  for (int done = 0; done <= 39; ++done) EXPECT_EQ(steps_done(done, 39, 20), done == 39 ? 20 : done / 2) << done;
  EXPECT_EQ(steps_done(0, 0, 20), 0);
}

TEST(Scheduler, pndm_may_begin_with_runge_kutta) {
  SchedulerConfig config = read(kSd15);
  config.skip_prk_steps = false;
  EXPECT_THAT(make_scheduler(config, 5)->timesteps(),
              ElementsAre(801, 701, 701, 601, 601, 501, 501, 401, 401, 301, 301, 201, 201, 1));
}

int calls_of(SchedulerKind kind, int steps) {
  constexpr SchedulerKind kTwoCalls[] = {SchedulerKind::kHeun, SchedulerKind::kDpm2, SchedulerKind::kDpm2Ancestral,
                                         SchedulerKind::kDpmpp2SAncestral, SchedulerKind::kDpmppSde};
  if (std::ranges::count(kTwoCalls, kind)) return 2 * steps - 1;
  return kind == SchedulerKind::kPndm && steps > 1 ? steps + 1 : steps;
}

TEST(Scheduler, no_step_count_gives_a_timestep_outside_the_table) {
  for (const SchedulerKind kind : kinds()) {
    for (const TimestepSpacing spacing :
         {TimestepSpacing::kLeading, TimestepSpacing::kLinspace, TimestepSpacing::kTrailing}) {
      SchedulerConfig config = read(kSd15, kind);
      config.spacing = spacing;
      const bool distilled = !takes_schedule(kind, Schedule::kTrailing);
      for (int steps = 1; steps <= (distilled ? 50 : 500); steps += steps < 130 ? 1 : 37) {
        const auto scheduler = make_scheduler(config, steps);
        const auto& timesteps = scheduler->timesteps();
        ASSERT_EQ(static_cast<int>(timesteps.size()), calls_of(kind, steps));
        // Their second calls may lie below the level to which noise brings the sample back.
        const bool falls = kind != SchedulerKind::kDpm2Ancestral && kind != SchedulerKind::kDpmpp2SAncestral;
        ASSERT_TRUE(!falls || std::ranges::is_sorted(timesteps, std::greater<>())) << name_of(kind) << " " << steps;
        ASSERT_LE(std::ranges::max(timesteps), 999);
        ASSERT_GE(std::ranges::min(timesteps), 0);
      }
    }
  }
}

TEST(Scheduler, a_true_output_points_at_the_image_in_every_call) {
  constexpr double kImage = 0.7, kNoise = -1.3;
  for (const SchedulerKind kind : kinds()) {
    for (const PredictionType prediction :
         {PredictionType::kEpsilon, PredictionType::kVPrediction, PredictionType::kSample}) {
      SchedulerConfig config = read(kSd15, kind);
      config.prediction = prediction;
      config.spacing = TimestepSpacing::kLeading;  // whole timesteps
      const auto alphas = alphas_cumprod(config);
      const auto scheduler = make_scheduler(config, 20);
      for (int call = 0; call < static_cast<int>(scheduler->timesteps().size()); ++call) {
        const float timestep = scheduler->timesteps()[call];
        if (timestep != std::floor(timestep)) continue;  // a second call, between two of the table
        const double a = alphas.at(static_cast<size_t>(timestep));
        const double alpha = std::sqrt(a), sigma = std::sqrt(1 - a);
        const double sample = (alpha * kImage + sigma * kNoise) / scheduler->input_scale(call);
        const double output = prediction == PredictionType::kEpsilon  ? kNoise
                              : prediction == PredictionType::kSample ? kImage
                                                                      : alpha * kNoise - sigma * kImage;
        const Estimate estimate = scheduler->image_estimate(call);
        EXPECT_NEAR(estimate.sample * sample + estimate.output * output, kImage, 1e-4)
            << name_of(kind) << " call " << call;
      }
    }
  }
}

TEST(Scheduler, a_state_copied_midway_goes_on_to_the_same_bits) {
  for (const SchedulerKind kind : kinds()) {
    SchedulerConfig config = read(kSd15, kind);
    config.eta = 0.5f;
    const auto scheduler = make_scheduler(config, 9);
    for (const int at : {1, 2, 5, 8}) {
      Trajectory trajectory(*scheduler, 48, 4);
      while (trajectory.call < at) trajectory.step();
      Trajectory copy = trajectory;
      while (!trajectory.done()) trajectory.step();
      while (!copy.done()) copy.step();
      EXPECT_EQ(trajectory.x, copy.x) << name_of(kind) << " copied after " << at;
    }
  }
}

TEST(Scheduler, the_same_inputs_give_the_same_bits) {
  for (const SchedulerKind kind : kinds()) {
    const auto first = make_scheduler(read(kSd15, kind), 8), second = make_scheduler(read(kSd15, kind), 8);
    Trajectory one(*first, 64, 9), two(*second, 64, 9), other(*second, 64, 10);
    for (Trajectory* trajectory : {&one, &other, &two}) {
      while (!trajectory->done()) trajectory->step();
    }
    EXPECT_EQ(one.x, two.x) << name_of(kind);
    EXPECT_NE(one.x, other.x) << name_of(kind);
  }
}

TEST(Scheduler, history_is_made_at_the_start_and_stays_where_it_is) {
  for (const SchedulerKind kind : kinds()) {
    const auto scheduler = make_scheduler(read(kSd15, kind), 30);
    Trajectory trajectory(*scheduler, 32, 2);
    const size_t buffers = trajectory.state.history.size();
    std::vector<const float*> places;
    for (const auto& buffer : trajectory.state.history) places.push_back(buffer.data());
    while (!trajectory.done()) trajectory.step();
    ASSERT_EQ(trajectory.state.history.size(), buffers);
    for (size_t i = 0; i < buffers; ++i) {
      EXPECT_EQ(trajectory.state.history[i].data(), places[i]) << name_of(kind);
      EXPECT_EQ(trajectory.state.history[i].size(), 32u) << name_of(kind);
    }
    EXPECT_EQ(trajectory.state.calls, static_cast<int>(scheduler->timesteps().size()));
  }
}

TEST(Scheduler, sizes_that_do_not_fit_are_refused) {
  const auto scheduler = make_scheduler(read(kSd15, SchedulerKind::kDpmpp2MSde), 4);
  std::vector<float> four(4), five(5);
  const auto step = [&](int call, std::span<float> out, std::span<float> noise, std::span<float> x,
                        SchedulerState state) {
    return error_of([&] { scheduler->step(call, out, noise, x, state); });
  };
  EXPECT_EQ(step(0, four, four, four, scheduler->start(4)), "no error");
  EXPECT_THAT(step(0, five, four, four, scheduler->start(4)), AllOf(HasSubstr("5"), HasSubstr("4")));
  EXPECT_THAT(step(0, four, {}, four, scheduler->start(4)), HasSubstr("0 values of noise"));
  EXPECT_THAT(step(0, four, four, four, scheduler->start(5)), HasSubstr("5 values"));
  EXPECT_THAT(step(0, four, four, four, SchedulerState()), HasSubstr("0 buffers"));
  EXPECT_THAT(step(4, four, four, four, scheduler->start(4)), HasSubstr("call 4 of 4"));
  EXPECT_THAT(step(-1, four, four, four, scheduler->start(4)), HasSubstr("call -1"));
}

// By diffusers 0.42.1: StableDiffusionPipeline with each file, then X.from_config(pipe.scheduler.config).
TEST(SchedulerConfig, the_files_own_class_takes_what_the_pipeline_sets) {
  EXPECT_EQ(read(R"({"_class_name": "PNDMScheduler", "steps_offset": 0})").steps_offset, 1);
  EXPECT_EQ(read(R"({"_class_name": "PNDMScheduler"})").steps_offset, 1);
  EXPECT_FALSE(read(R"({"_class_name": "DDIMScheduler", "clip_sample": true})").clip_sample);
  EXPECT_FALSE(read(R"({"_class_name": "DDIMScheduler"})").clip_sample);
}

TEST(SchedulerConfig, of_sdxl_is_as_the_file_has_it) {
  const Json file = parse_json(R"({"_class_name": "DDIMScheduler", "steps_offset": 0})", "file");
  const SchedulerConfig xl = scheduler_config(file, "file", {}, SetByPipeline::kNothing);
  EXPECT_EQ(xl.steps_offset, 0);
  EXPECT_TRUE(xl.clip_sample) << "the class's default";
  const SchedulerConfig sd = scheduler_config(file, "file");
  EXPECT_EQ(sd.steps_offset, 1);
  EXPECT_FALSE(sd.clip_sample);
  ModelTraits traits;
  traits.scheduler = std::make_shared<const Json>(file);
  EXPECT_EQ(scheduler_config(traits).steps_offset, 1);
  traits.sdxl = true;
  EXPECT_EQ(scheduler_config(traits).steps_offset, 0);
}

TEST(SchedulerConfig, another_class_takes_what_the_file_has_and_its_own_defaults) {
  const SchedulerConfig ddim =
      read(R"({"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear"})", SchedulerKind::kDdim);
  EXPECT_EQ(ddim.steps_offset, 0);
  EXPECT_TRUE(ddim.clip_sample);
  EXPECT_TRUE(ddim.set_alpha_to_one);
  EXPECT_EQ(ddim.beta_start, 0.0001);
  EXPECT_EQ(ddim.beta_schedule, BetaSchedule::kScaledLinear);

  const SchedulerConfig set =
      read(R"({"_class_name": "PNDMScheduler", "steps_offset": 0, "clip_sample": true})", SchedulerKind::kDdim);
  EXPECT_EQ(set.steps_offset, 1);
  EXPECT_FALSE(set.clip_sample);

  const SchedulerConfig lcm = read("{}", SchedulerKind::kLcm);
  EXPECT_EQ(lcm.beta_start, 0.00085);
  EXPECT_EQ(lcm.beta_schedule, BetaSchedule::kScaledLinear);
  EXPECT_FALSE(lcm.clip_sample);
}

TEST(SchedulerConfig, spacing_is_the_files_or_else_the_new_classs) {
  const auto first = [](const std::string& text, SchedulerKind kind) {
    return make_scheduler(read(text, kind), 10)->timesteps()[0];
  };
  const std::string leading = R"({"_class_name": "PNDMScheduler", "steps_offset": 1, "timestep_spacing": "leading"})";
  EXPECT_EQ(first(kSd15, SchedulerKind::kEuler), 999);
  EXPECT_EQ(first(leading, SchedulerKind::kEuler), 901);
  EXPECT_EQ(first(kSd15, SchedulerKind::kDdim), 901);
  EXPECT_EQ(first(R"({"timestep_spacing": "linspace"})", SchedulerKind::kDdim), 999);
  EXPECT_EQ(first(R"({"timestep_spacing": "trailing"})", SchedulerKind::kUniPc), 999);
}

TEST(SchedulerConfig, the_file_says_which_scheduler_it_is) {
  for (const SchedulerKind kind : kinds()) {
    if (kind == SchedulerKind::kDpmpp2MSde || diffusers_class(kind).empty()) continue;
    EXPECT_EQ(read(R"({"_class_name": ")" + diffusers_class(kind) + "\"}").kind, kind);
  }
  const std::string sde = R"({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"})";
  EXPECT_EQ(read(sde).kind, SchedulerKind::kDpmpp2MSde);
  EXPECT_EQ(read(sde, SchedulerKind::kDpmpp2M).kind, SchedulerKind::kDpmpp2M);
  EXPECT_THAT(error_of([] { read(R"({"_class_name": "DDPMScheduler"})"); }),
              AllOf(HasSubstr("DDPMScheduler"), HasSubstr("unipc")));
  EXPECT_EQ(read(R"({"_class_name": "DDPMScheduler"})", SchedulerKind::kEuler).kind, SchedulerKind::kEuler);
  EXPECT_THAT(error_of([] { read("[]"); }), HasSubstr("not a JSON object"));
}

TEST(SchedulerConfig, keys_that_a_class_does_not_read_are_ignored) {
  const std::string strange =
      R"({"use_beta_sigmas": true, "thresholding": true, "solver_order": 9, "no_such_key": [1]})";
  EXPECT_EQ(read(strange, SchedulerKind::kPndm).solver_order, 2);
  EXPECT_EQ(error_of([&] { read(strange, SchedulerKind::kEulerAncestral); }), "no error");
}

TEST(SchedulerConfig, the_default_of_lambda_is_taken_as_python_writes_it) {
  const std::string infinite =
      R"({"_class_name": "DPMSolverMultistepScheduler", "beta_schedule": "scaled_linear", "lambda_min_clipped": "-Infinity"})";
  for (const SchedulerKind kind : kinds()) {
    const SchedulerConfig config = read(infinite, kind);
    EXPECT_EQ(config.lambda_min_clipped, SchedulerConfig().lambda_min_clipped);
    EXPECT_NO_THROW(make_scheduler(config, 4));
  }
  EXPECT_EQ(read(R"({"lambda_min_clipped": -5.1})", SchedulerKind::kDpmpp2M).lambda_min_clipped, -5.1);
}

TEST(SchedulerConfig, only_learned_variances_matter) {
  for (const char* value : {"null", "\"fixed_small\"", "\"fixed_small_log\"", "\"fixed_large\""})
    EXPECT_EQ(read(std::string("{\"variance_type\": ") + value + "}", SchedulerKind::kDpmpp2M).kind,
              SchedulerKind::kDpmpp2M)
        << value;
}

TEST(SchedulerConfig, what_is_not_supported_is_named_with_its_value) {
  struct Row {
    const char* scheduler;
    const char* key;
    const char* value;
  };
  const Row rows[] = {
      {"ddim", "thresholding", "true"},
      {"ddim", "beta_schedule", "\"sigmoid\""},
      {"ddim", "prediction_type", "\"flow_prediction\""},
      {"ddim", "timestep_spacing", "\"random\""},
      {"ddim", "clip_sample", "\"yes\""},
      {"ddim", "beta_start", "\"small\""},
      {"ddim", "num_train_timesteps", "2000000"},
      {"ddim", "steps_offset", "-2000000"},
      {"ddim", "trained_betas", "[true]"},
      {"lcm", "thresholding", "true"},
      {"lcm", "original_inference_steps", "null"},
      {"euler", "interpolation_type", "\"cubic\""},
      {"euler", "timestep_type", "\"sigma\""},
      {"euler", "final_sigmas_type", "\"one\""},
      {"euler-ancestral", "prediction_type", "\"original_sample\""},
      {"dpm++-2m", "use_flow_sigmas", "true"},
      {"dpm++-2m", "use_dynamic_shifting", "true"},
      {"dpm++-2m", "variance_type", "\"learned_range\""},
      {"dpm++-2m-sde", "variance_type", "\"learned\""},
      {"dpm++-2m", "lambda_min_clipped", "\"Infinity\""},
      {"dpm++-2m", "lambda_min_clipped", "null"},
      {"dpm++-2m", "sigma_min", "\"-Infinity\""},
      {"ddim", "beta_start", "\"-Infinity\""},
      {"ddim", "beta_end", "2000000.5"},
      {"dpm++-2m", "solver_type", "\"rk4\""},
      {"dpm++-2m", "solver_order", "4"},
      {"dpm++-2m-sde", "thresholding", "true"},
      {"unipc", "predict_x0", "false"},
      {"unipc", "solver_order", "0"},
      {"unipc", "solver_p", "\"DDIM\""},
      {"unipc", "shift_terminal", "1"},
      {"unipc", "disable_corrector", "\"all\""},
  };
  for (const Row& row : rows) {
    const std::string text = std::string("{\"") + row.key + "\": " + row.value + "}";
    const std::string what = error_of([&] { read(text, scheduler_kind(row.scheduler)); });
    EXPECT_THAT(what, AllOf(HasSubstr("scheduler_config.json"), HasSubstr(std::string(row.key) + " " + row.value),
                            HasSubstr("not supported")))
        << text;
  }
  EXPECT_THAT(
      error_of([] { read(R"({"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"})"); }),
      AllOf(HasSubstr("algorithm_type"), HasSubstr("\"dpmsolver\"")));
}

TEST(SchedulerConfig, values_that_cannot_be_are_refused_before_memory_is_asked_for) {
  const auto made = [](const std::string& text, SchedulerKind kind) {
    return error_of([&] { make_scheduler(read(text, kind), 1); });
  };
  EXPECT_THAT(made(R"({"num_train_timesteps": 0})", SchedulerKind::kDdim), HasSubstr("num_train_timesteps"));
  EXPECT_THAT(made(R"({"num_train_timesteps": -5})", SchedulerKind::kDdim), HasSubstr("num_train_timesteps"));
  EXPECT_THAT(made(R"({"beta_start": -1})", SchedulerKind::kDdim), HasSubstr("beta"));
  EXPECT_THAT(made(R"({"trained_betas": [0.1, 0.2]})", SchedulerKind::kEuler),
              AllOf(HasSubstr("trained_betas"), HasSubstr("2")));
  EXPECT_THAT(made(R"({"use_karras_sigmas": true, "use_exponential_sigmas": true})", SchedulerKind::kEuler),
              HasSubstr("only one"));
  EXPECT_THAT(made(R"({"use_karras_sigmas": true, "sigma_min": 20.0})", SchedulerKind::kEuler), HasSubstr("sigma_min"));
  EXPECT_THAT(made(R"({"original_inference_steps": 2000})", SchedulerKind::kLcm),
              HasSubstr("original_inference_steps"));
  EXPECT_THAT(made(R"({"lower_order_final": false})", SchedulerKind::kUniPc), HasSubstr("lower_order_final"));
  EXPECT_THAT(made(R"({"rescale_betas_zero_snr": true, "timestep_spacing": "trailing"})", SchedulerKind::kDdim),
              HasSubstr("rescale_betas_zero_snr"));
  SchedulerConfig eta;
  eta.kind = SchedulerKind::kDdim;
  eta.eta = 1.5f;
  EXPECT_THAT(error_of<UsageError>([&] { make_scheduler(eta, 4); }), AllOf(HasSubstr("eta"), HasSubstr("1.5")));
}

}  // namespace
}  // namespace inkstone
