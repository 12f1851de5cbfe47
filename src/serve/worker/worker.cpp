#include "serve/worker/worker.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/picture.h"
#include "base/picture_error.h"
#include "base/utf8.h"
#include "diffusion/latent_colours.h"
#include "diffusion/parameters.h"
#include "diffusion/pipeline_embeddings.h"
#include "diffusion/process.h"
#include "serve/support/log.h"
#include "serve/wire/wire.h"
#include "serve/worker/describe_model.h"
#include "serve/worker/estimate.h"
#include "serve/worker/faults.h"

namespace inkstone::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBetweenFigures{1};
constexpr double kPreviewShare = 0.1;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string memory_text(size_t bytes) {
  constexpr size_t kMib = size_t{1} << 20, kGib = kMib << 10;
  char text[32];
  if (bytes < kGib) return std::to_string((bytes + kMib - 1) / kMib) + " MiB";
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / kGib);
  return text;
}

// A preview of at most so many pixels a side, and no more than its image's, if a whole factor makes it so: it is sent at
// every step.
Image reduced(Image image, const ResolvedRequest& request) {
  constexpr int kSide = 384;
  int factor = 1;
  while ((std::max(image.width, image.height) / factor > kSide || image.width / factor > request.width) &&
         image.width % (2 * factor) == 0 && image.height % (2 * factor) == 0)
    factor *= 2;
  if (factor == 1) return image;
  return resize(image, image.width / factor, image.height / factor, Resampling::kBox);
}

// Nothing where that fails: a preview is no reason to end an image. A device that is lost fails the next step.
std::optional<Image> decoded_preview(Engine& engine, const Job& job) {
  try {
    return engine.preview(job);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

class Worker {
 public:
  Worker(int socket, EngineShelf& shelf, const WorkerSettings& settings)
      : socket_(socket), shelf_(shelf), settings_(settings) {
    shelf_.on_leaving([this](Engine& engine) { offload_all(engine); });
  }

  void begin(ModelCard card);
  void serve();

 private:
  struct InFlight {
    Job job;
    Variant variant;
    Engine* engine = nullptr;  // that its prompts were encoded by last
    uint64_t stepped = 0;      // when, as a count of steps
  };

  WorkerReport answer(const StartCommand& command);
  WorkerReport answer(const StepCommand& command);
  WorkerReport answer(const FinishCommand& command);
  WorkerReport answer(const DescribeCommand& command);

  Engine& begun_on(const Variant& variant);
  Started start(const StartCommand& command);
  std::optional<LoadedVariants> loaded(double seconds_before_work);
  std::vector<JobId> that_step(const StepCommand& command, Stepped& report);
  Engine& engine_of(const std::vector<JobId>& jobs);
  void compile(Engine& engine, const std::vector<Job*>& jobs);
  void offload_others(Engine& engine, const std::vector<Job*>& jobs);
  void offload_all(Engine& engine);
  std::vector<Preview> previews_of(const StepCommand& command, double step_seconds);
  DeviceFigures figures();
  std::optional<DeviceFigures> figures_in_time();
  std::vector<std::string> memory_lines(const EnginePlan& plan, bool more_would_not_pay) const;

  int socket_;
  EngineShelf& shelf_;
  const WorkerSettings& settings_;
  std::map<JobId, InFlight> jobs_;
  std::map<std::string, LatentColours> colours_;  // by the model's path
  ModelHasher hasher_{default_hash_cache()};
  RequestLimits limits_;
  double speed_ = 0;  // of the device, as estimated
  uint64_t steps_ = 0;
  JobId last_decoded_ = 0;      // whose preview was decoded last
  double preview_seconds_ = 0;  // that decoding previews may take; below 0: they took more than their share
  Clock::time_point told_figures_;
};

void Worker::begin(ModelCard card) {
  Capacity capacity{settings_.max_jobs, settings_.max_side, settings_.max_pixels, settings_.max_prompt_chunks};
  card.limits = limits_ = capacity.limits();
  Hello hello;
  Engine& engine = shelf_.latest();
  speed_ = estimated_speed(engine);
  hello.times.push_back(estimate(engine.pipeline(), speed_));
  const DeviceInfo device = engine.backend().info();
  hello.device = engine.options().device;
  hello.description = clean_utf8(device.description);
  hello.precision = name_of(engine.precision());
  hello.model = std::move(card);
  hello.model_file = shelf_.first_file();
  if (settings_.jobs_that_pay) capacity.jobs = std::clamp(settings_.jobs_that_pay(hello), 1, settings_.max_jobs);
  const bool limited = capacity.jobs < settings_.max_jobs;
  const EnginePlan plan = shelf_.reserve(capacity);
  hello.max_jobs = plan.jobs;
  hello.memory = memory_lines(plan, limited);
  hello.figures = figures();
  send_report(socket_, hello);
}

void Worker::serve() {
  while (std::optional<WorkerCommand> command = receive_command(socket_)) {
    if (const auto* drop = std::get_if<DropCommand>(&*command)) {
      for (const JobId job : drop->jobs) jobs_.erase(job);
      continue;
    }
    const auto report = [&](const auto& asked) -> WorkerReport {
      if constexpr (std::is_same_v<std::decay_t<decltype(asked)>, DropCommand>)
        return DidNotFit{};
      else
        return answer(asked);
    };
    send_report(socket_, std::visit(report, *command));
  }
}

// An adapter that does not fit the model is a fault of the request: the client is told, without paths.
Engine& Worker::begun_on(const Variant& variant) {
  try {
    return shelf_.begin(variant);
  } catch (const Error& error) {
    const bool told = error.kind() == Error::Kind::kOther && !dynamic_cast<const FilesChanged*>(&error);
    if (variant.adapters.empty() || !told) throw;
    std::vector<std::string> paths{variant.model.path};
    for (const VariantAdapter& adapter : variant.adapters) paths.push_back(adapter.path);
    std::string text = error.what();
    for (const std::string& path : paths) {
      const std::string name = std::filesystem::path(path).filename().string();
      for (size_t at = path.empty() ? text.npos : text.find(path); at != text.npos;
           at = text.find(path, at + name.size()))
        text.replace(at, path.size(), name);
    }
    throw UsageError(text);
  }
}

// What has come and gone. Bringing one in took all the time until the work began: its programs were compiled, too.
std::optional<LoadedVariants> Worker::loaded(double seconds_before_work) {
  std::optional<LoadedVariants> news = shelf_.news();
  if (news && news->seconds > 0) news->seconds = std::max(news->seconds, seconds_before_work);
  return news;
}

Started Worker::start(const StartCommand& command) {
  const Clock::time_point told = Clock::now();
  Engine& engine = begun_on(command.variant);
  const ModelFile& file = command.variant.model;
  hasher_.want(file.path + "\n" + file.state, weight_files(engine.pipeline()));
  ResolvedRequest request = engine.resolve(command.request);
  request.first_call = command.first_call;
  request.end_call = command.end_call;
  INKSTONE_CHECK(request.first_call >= 0 && request.evaluations() >= (request.enlargement ? 0 : 1) &&
                     request.end_call <= request.calls(),
                 "a leg from call ", request.first_call, " to ", request.end_call, " of ", request.calls());
  Job* const last = command.goes_on ? &jobs_.at(command.job).job : nullptr;
  if (last) engine.offload(*last);
  request.enlarged = last && last->request.is_enlarged_later();
  Clock::time_point begin;
  Job job;
  try {
    engine.prepare(request);
    begin = Clock::now();
    job = engine.start(request, last);
  } catch (const PictureError&) {
    throw;
  } catch (const UsageError& error) {  // of the device: its text is for whoever compiled the programs
    log_line(LogLevel::kError, "job_fault", {{"worker_job", command.job}, {"reason", error.what()}});
    fail<UsageError>(INKSTONE_HERE, {"an image of ", request.width, "x", request.height,
                                     " cannot be generated on this device: it has no programs for this size"});
  }
  if (settings_.sabotage.started) settings_.sabotage.started(command.request, job);
  Started report;
  report.job = command.job;
  report.rows = request.cfg_copies();
  report.calls = request.evaluations();
  const std::vector<MergedAdapter>& adapters = engine.pipeline().adapters;
  const AdapterTexts texts = adapter_texts(adapters);
  report.adapter_tags = clean_utf8(texts.tags);
  report.adapter_hashes = clean_utf8(texts.hashes);
  report.embedding_hashes = embedding_hashes(engine.pipeline(), job.prompts.embeddings);
  for (const MergedAdapter& adapter : adapters)
    for (const std::string& warning : adapter.warnings) report.warnings.push_back(clean_utf8(warning));
  for (const std::string& warning : job.warnings) report.warnings.push_back(clean_utf8(warning));
  InFlight& flying = jobs_[command.job] = {std::move(job), command.variant, &engine, steps_};
  offload_others(engine, {&flying.job});
  report.seconds = seconds_since(begin);
  report.loaded = loaded(std::chrono::duration<double>(begin - told).count());
  return report;
}

WorkerReport Worker::answer(const StartCommand& command) {
  const auto before = jobs_.find(command.job);
  const bool there = before != jobs_.end();
  if (command.goes_on ? !there || !before->second.job.done() : there)
    return Failed{
        fault_of(command.job, Error::Kind::kOther, command.goes_on ? "no leg of it has ended" : "it was started twice"),
        {}};
  try {
    return start(command);
  } catch (...) {
    jobs_.erase(command.job);
    return Failed{fault_of_current(command.job), shelf_.news()};
  }
}

WorkerReport Worker::answer(const DescribeCommand& command) {
  Described described;
  try {
    const Pipeline model = shelf_.open({"", command.model, {}});
    described.times.push_back(estimate(model, speed_));
    described.card = describe_model(model);
    described.card->limits = limits_;
  } catch (const std::exception& error) {
    described.fault = clean_utf8(error.what());
  }
  return described;
}

// Those that can step; what is wrong with the others goes into the report.
std::vector<JobId> Worker::that_step(const StepCommand& command, Stepped& report) {
  std::vector<JobId> jobs;
  for (const JobId id : command.jobs) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || found->second.job.done() || std::ranges::count(jobs, id) > 0)
      report.faults.push_back(
          fault_of(id, Error::Kind::kOther, "a step of a job that is not there, or has no steps left"));
    else
      jobs.push_back(id);
  }
  return jobs;
}

// That all of these jobs run on: they began on one variant.
Engine& Worker::engine_of(const std::vector<JobId>& jobs) {
  const Variant variant = jobs_.at(jobs.at(0)).variant;
  Engine& engine = shelf_.of(variant);
  for (const JobId id : jobs) {
    InFlight& flying = jobs_.at(id);
    INKSTONE_CHECK(flying.variant.same_weights(variant), "a step of jobs of two models");
    flying.engine = &engine;
  }
  return engine;
}

// So that the seconds of a step are those of its work.
void Worker::compile(Engine& engine, const std::vector<Job*>& jobs) {
  std::map<std::pair<size_t, UnetEvaluation>, int> alike;  // by pass
  for (const Job* job : jobs)
    for (size_t pass = 0; pass < job->passes(); ++pass) ++alike[{pass, job->next(pass)}];
  const int jobs_in_step = engine.programs().plan().jobs;
  for (const auto& [run, count] : alike) {
    const ResolvedRequest& request = jobs[0]->request;
    engine.programs().step_for(step_shape(std::min(count, jobs_in_step), run.second, request.width, request.height));
  }
}

// What prompts gave is large, and the memory was planned for that of a few jobs: those that stepped longest ago go.
void Worker::offload_others(Engine& engine, const std::vector<Job*>& jobs) {
  const size_t max = static_cast<size_t>(Capacity::kJobsWithCrossKv * engine.programs().plan().jobs);
  std::vector<InFlight*> holding;
  for (auto& [id, other] : jobs_)
    if (other.engine == &engine && !other.job.conditioning.empty() && std::ranges::find(jobs, &other.job) == jobs.end())
      holding.push_back(&other);
  if (holding.size() + jobs.size() <= max) return;
  std::ranges::sort(holding, {}, &InFlight::stepped);
  const size_t offloaded = std::min(holding.size(), holding.size() + jobs.size() - max);
  for (size_t i = 0; i < offloaded; ++i) engine.offload(holding[i]->job);
}

void Worker::offload_all(Engine& engine) {
  for (auto& [id, flying] : jobs_) {
    if (flying.engine != &engine) continue;
    engine.offload(flying.job);
    flying.engine = nullptr;
  }
}

WorkerReport Worker::answer(const StepCommand& command) {
  const Clock::time_point told = Clock::now();
  Clock::time_point begin = told;
  Stepped report;
  const std::vector<JobId> ids = that_step(command, report);
  std::vector<Job*> jobs;
  for (const JobId id : ids) jobs.push_back(&jobs_.at(id).job);
  std::vector<RowFault> faults;
  try {
    if (!jobs.empty()) {
      Engine& engine = engine_of(ids);
      offload_others(engine, jobs);
      compile(engine, jobs);
      begin = Clock::now();
      if (settings_.sabotage.stepping) settings_.sabotage.stepping(jobs.size());
      faults = engine.step(jobs);
    }
    for (const RowFault& fault : faults) {
      const auto found = std::ranges::find_if(jobs_, [&](const auto& entry) { return &entry.second.job == fault.job; });
      report.faults.push_back(fault_of(found->first, fault.kind, fault.message));
    }
  } catch (...) {
    const JobFault fault = fault_of_current(command.jobs.empty() ? 0 : command.jobs[0]);
    if (fault.code == "out_of_memory" && jobs.size() > 1) return DidNotFit{};
    report.faults.clear();
    for (const JobId id : command.jobs) report.faults.push_back({id, fault.code, fault.message});
  }
  ++steps_;
  for (const JobFault& fault : report.faults) jobs_.erase(fault.job);
  for (const JobId id : command.jobs)
    if (const auto found = jobs_.find(id); found != jobs_.end()) found->second.stepped = steps_;
  report.seconds = seconds_since(begin);
  report.previews = previews_of(command, report.seconds);
  report.figures = figures_in_time();
  report.loaded = loaded(std::chrono::duration<double>(begin - told).count());
  return report;
}

WorkerReport Worker::answer(const FinishCommand& command) {
  const auto found = jobs_.find(command.job);
  if (found == jobs_.end())
    return Failed{fault_of(command.job, Error::Kind::kOther, "a job that is not there cannot be finished"), {}};
  try {
    Engine& engine = engine_of({command.job});
    const Clock::time_point begin = Clock::now();
    const auto ended = jobs_.extract(found);
    const Job& job = ended.mapped().job;
    Finished report{command.job, 0, engine.decode(job), {}, {}, {}};
    if (job.has_image() && !job.put_back && !job.enlarged)
      colours_[ended.mapped().variant.model.path].learn(job.latent, report.image);
    report.figures = figures_in_time();
    report.loaded = shelf_.news();
    report.hashes = hasher_.news();
    report.seconds = seconds_since(begin);
    return report;
  } catch (...) {
    jobs_.erase(command.job);
    return Failed{fault_of_current(command.job), shelf_.news()};
  }
}

// In the latent's linear colours, or by the decoder of previews where the engine that steps the job has one. What it
// decodes takes a tenth of the time at most: of several jobs the next one has its turn when there is time again.
std::vector<Preview> Worker::previews_of(const StepCommand& command, double step_seconds) {
  std::vector<JobId> asked = command.previews;
  std::rotate(asked.begin(), std::ranges::find_if(asked, [&](JobId id) { return id > last_decoded_; }), asked.end());
  preview_seconds_ = std::min(preview_seconds_ + kPreviewShare * step_seconds, 0.0);
  std::vector<Preview> previews;
  for (const JobId id : asked) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end()) continue;
    const InFlight& flying = found->second;
    const bool decodes = flying.engine && flying.engine->pipeline().preview_vae;
    if (decodes && preview_seconds_ < 0) continue;
    const Clock::time_point begin = Clock::now();
    std::optional<Image> decoded = decodes ? decoded_preview(*flying.engine, flying.job) : std::nullopt;
    if (decodes) last_decoded_ = id, preview_seconds_ -= seconds_since(begin);
    previews.push_back({id, flying.job.call - flying.job.request.first_call,
                        decoded ? reduced(std::move(*decoded), flying.job.request)
                                : colours_[flying.variant.model.path].draw(flying.job.estimate)});
  }
  return previews;
}

DeviceFigures Worker::figures() {
  told_figures_ = Clock::now();
  Backend& backend = shelf_.latest().backend();
  const DeviceInfo info = backend.info();
  const BackendState state = backend.state();
  DeviceFigures figures;
  figures.memory_total = info.memory_total;
  figures.memory_free = info.memory_free;
  figures.memory_used =
      info.own_memory ? info.memory_total - std::min(info.memory_total, info.memory_free) : resident_bytes();
  figures.fragmentation = state.fragmentation;
  figures.health = state.unusable.empty() ? "ok" : clean_utf8(state.unusable);
  return figures;
}

std::optional<DeviceFigures> Worker::figures_in_time() {
  if (Clock::now() - told_figures_ < kBetweenFigures) return {};
  return figures();
}

std::vector<std::string> Worker::memory_lines(const EnginePlan& plan, bool more_would_not_pay) const {
  const size_t budget = shelf_.latest().options().memory_budget;
  std::vector<std::string> lines{
      memory_text(plan.peak_bytes) + " planned" + (budget ? " of a budget of " + memory_text(budget) : "") + ": " +
      std::to_string(plan.jobs) + (plan.jobs == 1 ? " image" : " images") +
      (more_would_not_pay ? " (more do not pay here)" : "") + " of up to " + std::to_string(settings_.max_pixels) +
      " pixels in a step, " + std::to_string(settings_.max_side) + " a side"};
  for (const std::string& reason : plan.reasons) lines.push_back("given up: " + reason);
  return lines;
}

void say_unusable(int socket, const std::string& why) {
  try {
    send_report(socket, Unusable{clean_utf8(why)});
  } catch (const Error&) {  // then nobody is there to be told
  }
}

}  // namespace

int serve_commands(int socket, EngineShelf& shelf, ModelCard card, const WorkerSettings& settings) {
  Worker worker(socket, shelf, settings);
  try {
    worker.begin(std::move(card));
  } catch (const std::exception& error) {
    say_unusable(socket, error.what());
    throw;
  }
  try {
    worker.serve();
    return 0;
  } catch (const std::exception& error) {  // a lost device, a peer that is gone or does not speak our language
    log_line(LogLevel::kError, "worker_failed", {{"reason", error.what()}});
    say_unusable(socket, error.what());
    return 1;
  }
}

}  // namespace inkstone::serve
