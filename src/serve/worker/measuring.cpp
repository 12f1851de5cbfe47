#include "serve/worker/measuring.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>

namespace inkstone::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kImageSteps = 2;
// Seconds: a step that takes less is timed a few times.
constexpr double kShort = 0.25;
constexpr int kRepeats = 3;
constexpr double kMinGain = 0.01;  // of a row's seconds
constexpr const char* kPrompt = "a fox on a teal background";

template <typename Work>
double seconds_of(Work&& work) {
  const Clock::time_point begin = Clock::now();
  work();
  return std::max(std::chrono::duration<double>(Clock::now() - begin).count(), 1e-9);
}

ResolvedRequest default_request(const Engine& engine, std::optional<int> steps = {}) {
  ImageRequest request;
  request.prompt = kPrompt;
  request.steps = steps;
  return engine.resolve(request);
}

// A step of all jobs; one that is done starts again.
double step_seconds(Engine& engine, const ResolvedRequest& request, std::vector<Job>& jobs) {
  std::vector<Job*> all;
  for (Job& job : jobs) {
    if (job.done()) job = engine.start(request);
    all.push_back(&job);
  }
  return seconds_of([&] {
    for (const RowFault& fault : engine.step(all)) throw Error(fault.message, INKSTONE_HERE, fault.kind);
  });
}

// Compiles what a step of these jobs runs. Files that were compiled ahead may hold no program for so many jobs: the engine
// then runs others, as it does in step().
void compile_step(Engine& engine, const ResolvedRequest& request, const std::vector<Job>& jobs) {
  engine.programs().step_for({static_cast<int>(jobs.size()), request.cfg_copies(), request.width, request.height});
}

double shortest_step(Engine& engine, const ResolvedRequest& request, std::vector<Job>& jobs) {
  compile_step(engine, request, jobs);
  double shortest = step_seconds(engine, request, jobs);
  for (int i = 1; i < kRepeats && shortest < kShort; ++i)
    shortest = std::min(shortest, step_seconds(engine, request, jobs));
  return shortest;
}

// The first images: a text and an image's decoding timed where all is compiled.
void draw(Engine& engine, ShapeTimes& times, LatentColours& colours) {
  ResolvedRequest request = default_request(engine, kImageSteps);
  engine.prepare(request);
  Job job = engine.start(request);
  while (!job.done()) engine.step(job);
  Image image;
  times.decode_seconds = seconds_of([&] { image = engine.finish(job); });
  if (times.decode_seconds < kShort)
    times.decode_seconds = std::min(times.decode_seconds, seconds_of([&] { image = engine.finish(job); }));
  colours.learn(job.latent, image);
  request.prompt += ".";  // its text is not known yet
  times.encode_seconds = seconds_of([&] { engine.start(request); });
}

}  // namespace

ShapeTimes measure(Engine& engine, int max_jobs, double seconds, LatentColours& colours) {
  const Clock::time_point begin = Clock::now();
  const ResolvedRequest request = default_request(engine);
  ShapeTimes times{request.width, request.height, {}, 0, 0};
  draw(engine, times, colours);
  std::vector<Job> jobs;
  double cheapest = std::numeric_limits<double>::infinity();  // of a row
  for (int count = 1, no_gain = 0; count <= max_jobs && no_gain < 2; ++count) {
    const double spent = std::chrono::duration<double>(Clock::now() - begin).count();
    if (count > 2 && spent + times.steps.back().seconds > seconds) break;
    jobs.push_back(engine.start(request));
    const int rows = request.cfg_copies() * count;
    times.steps.push_back({rows, shortest_step(engine, request, jobs)});
    const double row = times.steps.back().seconds / rows;
    no_gain = row < (1 - kMinGain) * cheapest ? 0 : no_gain + 1;
    cheapest = std::min(cheapest, row);
  }
  return times;
}

}  // namespace inkstone::serve
