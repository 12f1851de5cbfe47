// Schedulers: sigmas, timesteps and the arithmetic of one denoising step, on the host in fp32, as
// in diffusers' classes of the same names. A Scheduler is immutable; a job's SchedulerState holds
// what changes from step to step. Formulas and their sources are in scheduler_*.cpp.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"

namespace inkstone {

enum class SchedulerKind {
  kPndm,
  kDdim,
  kEuler,
  kEulerAncestral,
  kDpmpp2M,
  kDpmpp2MSde,
  kUniPc,
  kLcm,
  kHeun,
  kDpm2,
  kDpm2Ancestral,
  kLms,
  kDpmpp2SAncestral,
  kDpmppSde,
  kDpmpp3MSde,
  kDeis,
  kTcd
};
// Where the noise levels lie. Up to kLu they are as diffusers' class has them; the others are those
// of the web UI and k-diffusion (scheduler_schedules.cpp has their formulas).
enum class Schedule {
  kDefault,  // spaced as the file says, else as the class does it
  kLeading,
  kLinspace,
  kTrailing,
  kKarras,
  kExponential,
  kBeta,
  kLu,
  kUniform,
  kSgmUniform,
  kSimple,
  kDdimUniform,
  kAlignYourSteps,
  kKlOptimal
};
enum class BetaSchedule { kLinear, kScaledLinear, kSquaredCosCap };
enum class PredictionType { kEpsilon, kVPrediction, kSample };
enum class TimestepSpacing { kLeading, kLinspace, kTrailing };

// A field that the kind does not read has no effect, as in diffusers.
struct SchedulerConfig {
  SchedulerKind kind = SchedulerKind::kPndm;
  int train_timesteps = 1000;
  double beta_start = 0.00085, beta_end = 0.012;
  BetaSchedule beta_schedule = BetaSchedule::kScaledLinear;
  // If empty, they follow from the three above; else one for each train timestep.
  std::vector<float> trained_betas;
  PredictionType prediction = PredictionType::kEpsilon;
  std::optional<TimestepSpacing> spacing;  // unset: the class's default
  int steps_offset = 0;                    // of leading spacing
  bool set_alpha_to_one = true;            // PNDM, DDIM
  bool clip_sample = false;                // DDIM, LCM, Heun
  float clip_sample_range = 1;
  bool rescale_betas_zero_snr = false;  // where the class knows it
  Schedule schedule = Schedule::kDefault;
  bool sdxl = false;  // which of the two tables kAlignYourSteps takes
  // Ends of the Karras, exponential and beta sigmas; unset: the schedule's own.
  std::optional<double> sigma_min, sigma_max;
  // Euler, DPM++, UniPC, DEIS: the last sigma is the smallest one in training, not zero.
  bool final_sigma_min = false;
  bool log_linear = false;                                               // Euler: interpolation_type
  bool continuous_timesteps = false;                                     // Euler with v_prediction: timestep_type
  int solver_order = 2;                                                  // DPM++, UniPC, DEIS: 1 to 3
  bool heun = false;                                                     // DPM++: solver_type heun, not midpoint
  bool bh1 = false;                                                      // UniPC: solver_type bh1, not bh2
  bool lower_order_final = true;                                         // DPM++, UniPC, DEIS
  bool euler_at_final = false;                                           // DPM++
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();  // DPM++
  std::vector<int> disable_corrector;                                    // UniPC: not after these steps
  float eta = 0;                                                         // DDIM, TCD: 0 to 1
  // PNDM; false: begins with three Runge-Kutta steps (12 evaluations).
  bool skip_prk_steps = true;
  int original_inference_steps = 50;  // LCM, TCD
  double timestep_scaling = 10;       // LCM
};

// What diffusers' pipeline makes of a scheduler's settings: StableDiffusionPipeline sets steps_offset to
// 1 and clip_sample to false, StableDiffusionXLPipeline nothing.
enum class SetByPipeline { kOffsetAndClip, kNothing };

// `config` is scheduler_config.json. Values are those of the pipeline's from_pretrained(folder).scheduler, or, when `kind` is another class than the file's, of
// X.from_config(pipe.scheduler.config): keys that the file does not have take the new class's
// defaults. Keys that the class does not read are ignored. Throws Error naming the key and value
// that are not supported: thresholding, flow sigmas, learned variances, solver_p, predict_x0 false,
// orders past 3.
SchedulerConfig scheduler_config(const Json& config, const std::string& source, std::optional<SchedulerKind> kind = {},
                                 SetByPipeline set = SetByPipeline::kOffsetAndClip);

// By one of scheduler_names(), in any case, or by its class in diffusers; UsageError, which lists
// them all, for another name. scheduler_names.h knows what other programs call them.
SchedulerKind scheduler_kind(const std::string& name);
std::string name_of(SchedulerKind kind);
std::vector<std::string> scheduler_names();
std::string diffusers_class(SchedulerKind kind);  // "PNDMScheduler"; "": it is k-diffusion's alone
bool takes_schedule(SchedulerKind kind, Schedule schedule);
bool takes_eta(SchedulerKind kind);
bool draws_noise(SchedulerKind kind);  // in its steps, whatever its settings
bool calls_twice(SchedulerKind kind);  // the U-Net in each step: diffusers' order 2
// Whether it knows a noise schedule that ends at no signal at all (rescale_betas_zero_snr).
bool takes_zero_snr(SchedulerKind kind);
std::string name_of(PredictionType prediction);  // as diffusers: "v_prediction"
std::optional<PredictionType> find_prediction(std::string_view name);
std::vector<std::string> prediction_names();

std::string name_of(Schedule schedule);  // "sgm-uniform"
std::vector<std::string> schedule_choices();

// Made by Scheduler::start(). No step allocates. A copy continues to the same bits.
struct SchedulerState {
  std::vector<std::vector<float>> history;  // of earlier model outputs or samples
  int calls = 0;                            // steps taken
  int order = 0;
};

// The estimate is sample * x + output * m, for a sample x = alpha * image + sigma * noise and the
// model's output m.
struct Estimate {
  double sample, output;
};

// A sample at a noise level: image * x + noise * z.
struct NoiseLevel {
  double image, noise;
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;
  // One for each U-Net evaluation, in order (PNDM: steps + 1; those of two calls a step: 2 * steps -
  // 1).
  const std::vector<float>& timesteps() const { return timesteps_; }
  // The first latent is noise times this.
  float init_noise_sigma() const { return init_noise_sigma_; }
  // The U-Net's input is the sample times this.
  virtual float input_scale(int /*call*/) const { return 1; }
  // Whether step() reads `noise`. Noise is drawn only then, in the order of the calls.
  virtual bool needs_noise(int /*call*/) const { return false; }
  // For a latent of `size` values.
  SchedulerState start(size_t size) const;
  // Replaces `sample` by the next one. `model_output` is after guidance. `call` counts U-Net
  // evaluations from 0. `noise` may be empty if it is not needed. Throws Error if sizes differ or
  // the state is another scheduler's.
  void step(int call, std::span<const float> model_output, std::span<const float> noise, std::span<float> sample,
            SchedulerState& state) const;
  // Of a call's sample: what diffusers' add_noise does at its timestep.
  virtual NoiseLevel noise_level(int call) const = 0;
  // Estimates the image from a call's sample and the model's output after guidance.
  virtual Estimate image_estimate(int call) const = 0;

 protected:
  // step(), after its checks and before it counts the call.
  virtual void advance(int call, std::span<const float> model_output, std::span<const float> noise,
                       std::span<float> sample, SchedulerState& state) const = 0;

  std::vector<float> timesteps_;
  float init_noise_sigma_ = 1;
  int history_ = 0;  // how many buffers start() makes
};

// Throws UsageError if steps < 1 or > train_timesteps, or if the class cannot make that many steps
// with this config.
std::unique_ptr<Scheduler> make_scheduler(const SchedulerConfig& config, int steps);

// How many of the steps that were asked for are complete after `done` of `total` U-Net evaluations.
int steps_done(int done, int total, int steps);

}  // namespace inkstone
