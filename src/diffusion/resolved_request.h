// A request with every default filled in and every value checked, made by resolve() alone: all that
// an image depends on, besides the model and the build.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/hires_upscaler.h"
#include "diffusion/image_request.h"
#include "diffusion/model_traits.h"
#include "diffusion/prompt_syntax.h"
#include "diffusion/repaint.h"
#include "diffusion/request_pictures.h"
#include "diffusion/scheduler.h"

namespace inkstone {

// What this process takes, where that is less than what the table of fields allows.
struct RequestLimits {
  int max_side = kMaxImageSide;  // pixels
  int64_t max_pixels = std::numeric_limits<int64_t>::max();
  int max_steps = kMaxImageSteps;
  size_t max_prompt_bytes = size_t{16} << 20;
  bool approximations = true;  // cache_interval and guidance_interval
};
RequestLimits tighter(const RequestLimits& a, const RequestLimits& b);  // what both take

// A use of a control that the model has.
struct ResolvedControl {
  ControlUse use;
  int number = 0;    // in ModelTraits::controls, Pipeline::controls
  int features = 0;  // that a T2I-Adapter gives; 0: a ControlNet

  // Whether it has a part in that one of so many U-Net evaluations: diffusers' rule.
  bool runs(int evaluation, int evaluations) const;
};

struct Enlargement {  // of a picture that nothing is drawn on (enlargement.h)
  HiresUpscaler first;
  std::optional<HiresUpscaler> second{};
  float second_part = 0;

  bool has_network() const { return first.network >= 0 || (second && second->network >= 0); }
};

struct ResolvedRequest {
  std::string prompt, negative_prompt;
  PromptSyntax prompt_syntax = PromptSyntax::kA1111;
  int clip_skip = 1;  // 1: the model's own layer
  uint64_t seed = 42;
  int steps = 20;
  float guidance_scale = 7.5f, guidance_rescale = 0;
  int width = 512, height = 512;
  SchedulerConfig scheduler_config;
  std::shared_ptr<const Scheduler> scheduler;  // made of it for these steps
  int cache_interval = 1;
  Interval guidance_interval;
  std::vector<ResolvedControl> controls;  // what they add is summed in this order
  // ControlNets see the conditional half alone, and weigh what they add to the outer levels less.
  bool control_guess = false;
  bool guided = true;  // has an unconditional half, in some evaluations at least
  // Of each part of the prompt that AND composes; one otherwise. Composed prompts are guided at any guidance scale.
  std::vector<float> part_weights{1};
  std::optional<GivenFile> image;  // that it begins with
  float strength = 0.8f;           // of an image alone
  ResizeMode resize_mode = ResizeMode::kStretch;
  // Above 1: drawn at this size first, and then, so many times as large, again (hires_leg()).
  float hires = 1, hires_strength = 0;
  int hires_steps = 0;  // of the second leg; 0: as many
  HiresUpscaler hires_upscaler = hires_upscalers_all().front();
  bool enlarged = false;                      // this is the second leg
  int first_width = 512, first_height = 512;  // of the first leg
  int final_width = 512, final_height = 512;  // after all legs
  std::optional<Enlargement> enlargement;     // then nothing is drawn: there are no evaluations
  Repaint repaint;                            // of an image alone
  PictureSize output;                         // of this leg's image: repaint.keep_size says whether it is the picture's
  // Of the scheduler's calls, that with which the image begins: those before it are left out, as in diffusers' pipelines
  // that begin with a picture.
  int first_call = 0;
  int end_call = -1;  // before which another leg goes on (legs.h); -1: none does
  // What stands in the request and has another effect than elsewhere, for whoever asked.
  std::vector<std::string> warnings;

  // Rows of a U-Net evaluation: of the negative prompt, and of each part of the prompt.
  int cfg_copies() const { return guided ? 1 + static_cast<int>(part_weights.size()) : 1; }
  int calls() const { return static_cast<int>(scheduler->timesteps().size()); }         // that the scheduler has
  int evaluations() const { return (end_call < 0 ? calls() : end_call) - first_call; }  // of the U-Net
  int steps_run() const;  // of `steps`, those that are not left out
  bool is_enlarged_later() const { return hires > 1; }
  PictureSize finished_size() const { return hires > 1 ? PictureSize{final_width, final_height} : output; }
  // Between its legs the image is pixels.
  bool has_pixels_between() const { return (hires > 1 || enlarged) && !hires_upscaler.of_latent; }
  // Texts by step. Throws RequestError for a prompt that cannot be.
  std::vector<WeightedSchedule> prompt_schedules() const;
  PromptSchedule negative_schedule() const;
  ImageRequest said() const;  // the same as a request that says everything
};

// Throws RequestError with the field, its value and what is allowed; Error where the model's
// scheduler file cannot be used.
ResolvedRequest resolve(const ImageRequest& request, const ModelTraits& model, const RequestLimits& limits = {});

// The model's own scheduler, where `name` is empty, or that one with the model's settings.
SchedulerConfig scheduler_config(const ModelTraits& model, const std::string& name = "");

}  // namespace inkstone
