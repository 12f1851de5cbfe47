#include "serve/worker/measuring.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "diffusion/scheduler_choice.h"

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kPictureSteps = 2;
constexpr double kShort = 0.25;  // seconds: a step that takes less is timed a few times
constexpr int kRepeats = 3;
constexpr double kLeastGain = 0.01;  // of a row's seconds
constexpr const char* kPrompt = "a fox on a teal background";

template <typename Work>
double seconds_of(Work&& work) {
  const Clock::time_point begin = Clock::now();
  work();
  return std::max(std::chrono::duration<double>(Clock::now() - begin).count(), 1e-9);
}

PictureRequest default_request(const Pipeline& model, int steps) {
  PictureRequest request;
  request.prompt = kPrompt;
  request.steps = steps;
  request.guidance = model.defaults.guidance;
  request.width = model.defaults.width;
  request.height = model.defaults.height;
  return request;
}

double step_seconds(Engine& engine, const Request& request, std::vector<Job>& jobs) {
  const auto step = [&] {
    std::vector<Job*> all;
    for (Job& job : jobs) {
      if (job.done()) job = engine.start(request);
      all.push_back(&job);
    }
    return seconds_of([&] {
      for (const RowFault& fault : engine.step(all)) throw Error(fault.message, INKSTONE_HERE, fault.kind);
    });
  };
  double least = step();
  for (int i = 1; i < kRepeats && least < kShort; ++i) least = std::min(least, step());
  return least;
}

// The first pictures: a text and a picture's decoding timed where all is compiled.
void draw(Engine& engine, ShapeTimes& times, LatentColours& colours) {
  Request request = engine_request(engine, default_request(engine.pipeline(), kPictureSteps));
  engine.prepare(request);
  Job job = engine.start(request);
  while (!job.done()) engine.step(job);
  Image picture;
  times.vae_seconds = seconds_of([&] { picture = engine.finish(job); });
  if (times.vae_seconds < kShort)
    times.vae_seconds = std::min(times.vae_seconds, seconds_of([&] { picture = engine.finish(job); }));
  colours.learn(job.latent, picture);
  request.prompt += ".";  // its text is not known yet
  times.text_seconds = seconds_of([&] { engine.start(request); });
}

}  // namespace

Request engine_request(const Engine& engine, const PictureRequest& asked) {
  Request request;
  request.prompt = asked.prompt;
  request.negative_prompt = asked.negative_prompt;
  request.seed = asked.seed;
  request.steps = asked.steps;
  request.guidance = asked.guidance;
  request.width = asked.width;
  request.height = asked.height;
  const SchedulerChoice choice{asked.scheduler, asked.karras ? std::optional(true) : std::nullopt, asked.eta};
  request.scheduler = scheduler_config(engine.pipeline(), choice, "the model's scheduler_config.json");
  engine.check(request);
  make_scheduler(request.scheduler, request.steps);
  return request;
}

ShapeTimes measure(Engine& engine, int most_jobs, double seconds, LatentColours& colours) {
  const Clock::time_point begin = Clock::now();
  const PictureRequest asked = default_request(engine.pipeline(), engine.pipeline().defaults.steps);
  const Request request = engine_request(engine, asked);
  ShapeTimes times{asked.width, asked.height, {}, 0, 0};
  draw(engine, times, colours);
  std::vector<Job> jobs;
  double cheapest = std::numeric_limits<double>::infinity();  // of a row
  for (int count = 1, no_gain = 0; count <= most_jobs && no_gain < 2; ++count) {
    const double spent = std::chrono::duration<double>(Clock::now() - begin).count();
    if (count > 2 && spent + times.steps.back().seconds > seconds) break;
    jobs.push_back(engine.start(request));
    const int rows = jobs[0].rows * count;
    engine.programs().step_for({count, jobs[0].rows, asked.width, asked.height});  // compiled before it is timed
    times.steps.push_back({rows, step_seconds(engine, request, jobs)});
    const double row = times.steps.back().seconds / rows;
    no_gain = row < (1 - kLeastGain) * cheapest ? 0 : no_gain + 1;
    cheapest = std::min(cheapest, row);
  }
  return times;
}

}  // namespace inkstone
