#include "app/bench_stages.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "diffusion/work_estimate.h"
#include "models/unet.h"
#include "models/vae.h"
#include "models/work.h"

namespace inkstone {

constexpr int kMaxSteps = 1000;  // in so many every kind of step is met

size_t BenchResult::kind_of(const UnetEvaluation& call) const {
  return (call.cfg_copies < texts ? 1 : 0) + (call.part == UnetPart::kShallow ? 2 : 0);
}

std::optional<double> BenchResult::seconds_of(int number) const {
  double sum = texts * text_encoder.seconds() + vae.seconds();
  for (const UnetEvaluation& call : unet_schedule(request, number)) {
    const Measurement& step = steps[kind_of(call)];
    if (step.runs.empty()) return std::nullopt;
    sum += step.seconds();
  }
  return sum;
}

double BenchResult::work_of(int number) const {
  double sum = texts * text_encoder.work + vae.work;
  for (const UnetEvaluation& call : unet_schedule(request, number)) sum += steps[kind_of(call)].work;
  return sum;
}

Bench::Bench(Engine& engine, const ResolvedRequest& request, int repeat, const Console& console, double opening)
    : engine_(engine),
      console_(console),
      view_(progress_kind(console.quiet), repeat),
      trace_(opening),
      opening_(opening) {
  result_.request = request;
  result_.repeat = repeat;
}

BenchResult Bench::run() {
  start_up();
  for (int number = 1; number <= result_.repeat; ++number) {
    probe_peaks();
    image(number);
  }
  result_.memory = memory_.overall();
  result_.stages_apart = memory_.tells_stages_apart();
  return std::move(result_);
}

// What the engine has to run for a stage. A stage may be several programs: all their calls are counted to it.
Bench::Programs Bench::text_programs() {
  return [this] {
    std::vector<Program*> programs;
    for (const TextEncoder& encoder : engine_.pipeline().text_encoders)
      programs.push_back(&engine_.programs().before_steps(encoder.component).program());
    return programs;
  };
}

Bench::Programs Bench::step_programs(const Job& job) {
  return [this, call = job.next()] {
    const ResolvedRequest& request = result_.request;
    const StageShape shape{1, call.cfg_copies, request.width, request.height, call.part};
    return std::vector{&engine_.programs().step(shape).program()};
  };
}

Bench::Programs Bench::vae_programs() {
  return [this] {
    return std::vector{&engine_.programs().vae({false, result_.request.width, result_.request.height}).program()};
  };
}

void Bench::timed(Measurement& measurement, const Programs& programs, const std::function<void()>& work) {
  const std::vector<Program*> running = programs();
  memory_.take();  // of compiling
  for (Program* program : running) program->start_profile();
  const double begin = steady_seconds();
  work();
  const double seconds = steady_seconds() - begin;
  std::vector<CallProfile> profile;
  for (Program* program : running) {
    std::vector<CallProfile> calls = program->take_profile();
    std::move(calls.begin(), calls.end(), std::back_inserter(profile));
  }
  const MemoryPeaks peaks = memory_.take();
  trace_.stage(measurement.stage, begin, seconds, &peaks);
  trace_.calls(profile);
  measurement.runs.push_back(seconds);
  measurement.profiles.push_back(std::move(profile));
  measurement.memory.raise_to(peaks);
}

// Of the models' own graphs: what the engine saves of this work counts as speed.
void Bench::count_work(int texts) {
  const Pipeline& model = engine_.pipeline();
  const ResolvedRequest& request = result_.request;
  const int scale = model.vae_scale(), height = request.height / scale, width = request.width / scale;
  result_.texts = texts;
  result_.text_encoder.work = work_of_prompt(model);
  const auto work = [&](int cfg_copies, UnetPart part) {
    return flops(unet_graph(model.unet_config, {cfg_copies, height, width, model.tokens(), 1, part}));
  };
  for (const UnetEvaluation& call : unet_schedule(request, kMaxSteps))
    if (Measurement& step = result_.steps[result_.kind_of(call)]; step.work == 0)
      step.work = work(call.cfg_copies, call.part);
  result_.vae.work = flops(vae_decoder_graph(model.vae_config, 1, height, width));
  result_.whole.work = result_.work_of(request.steps);
}

// The way of generate(), with a clock between its parts. What the stages do for the first time is not counted to them.
void Bench::start_up() {
  FirstStep& first = result_.first;
  double last = opening_;
  const auto lap = [&] {
    memory_.sample();
    const double begin = std::exchange(last, steady_seconds());
    return last - begin;
  };
  const auto part = [&](const std::string& name) {
    const double begin = last, seconds = lap();
    trace_.stage(name, begin, seconds);
    return seconds;
  };
  first.open = part("open the model");
  ImageRequest one_step = result_.request.said();
  one_step.steps = 1;
  const ResolvedRequest request = engine_.resolve(one_step);
  result_.plan = engine_.plan(request);
  first.plan = part("plan");
  for (const TextEncoder& encoder : engine_.pipeline().text_encoders)
    result_.text_encoder.planned += result_.plan.use(encoder.component).total();
  for (size_t kind = 0; kind < result_.steps.size(); ++kind)
    result_.steps[kind].planned = result_.plan.use(kind < 2 ? "unet" : "unet_shallow").total();
  result_.vae.planned = result_.plan.use("vae").total();

  const Progress progress = view_.callbacks(1, request.steps);
  std::string preparing;
  const auto component_done = [&] {
    if (preparing.empty()) return;
    first.components.emplace_back(preparing, part("prepare " + preparing));
    first.prepare += first.components.back().second;
  };
  engine_.prepare(request, [&](const std::string& component) {
    component_done();
    preparing = component;
    if (progress.preparing) progress.preparing(component);
  });
  component_done();
  Job job = engine_.start(request);
  first.text_encoder = part("first texts");
  first.memory = memory_.take();
  Measurement step{"first step"}, vae{"first VAE"};
  timed(step, step_programs(job), [&] { engine_.step(job); });
  first.step = lap();
  first.memory.raise_to(step.memory);

  count_work(request.cfg_copies());
  engine_.prepare(result_.request);  // the programs of approximations that one step does not show
  progress.decoding();
  timed(vae, vae_programs(), [&] { engine_.finish(job); });
  view_.clear();
}

void Bench::probe_peaks() {
  constexpr int kTries = 25;
  if (result_.whole.runs.empty()) console_.say("measuring the machine's peak");
  Peaks& peaks = result_.peaks;
  peaks.fp32 = std::max(peaks.fp32, engine_.backend().peak_flops(DType::kF32, kTries));
  peaks.bf16 = std::max(peaks.bf16, engine_.backend().peak_flops(DType::kBF16, kTries));
}

void Bench::image(int number) {
  const Progress progress = view_.callbacks(number, result_.request.steps);
  ResolvedRequest request = result_.request;
  request.prompt += fmt::format(" {}", number);  // the engine keeps the last texts: these are new
  request.negative_prompt = fmt::format("nothing {}", number);

  const double begin = steady_seconds();
  std::vector<std::string> texts{request.prompt};
  if (result_.texts == 2) texts.push_back(request.negative_prompt);
  for (const std::string& text : texts)
    timed(result_.text_encoder, text_programs(),
          [&] { engine_.encode_text(prompt_schedule(text, request.prompt_syntax, 1).texts.front()); });
  Job job = engine_.start(request);
  const double stepping = steady_seconds();
  while (!job.done()) {
    timed(measurement_of(job), step_programs(job), [&] { engine_.step(job); });
    progress.stepped(job.call, job.calls(), steady_seconds() - stepping);
  }
  progress.decoding();
  timed(result_.vae, vae_programs(), [&] { engine_.finish(job); });
  result_.whole.runs.push_back(steady_seconds() - begin);
  view_.clear();
}

}  // namespace inkstone
