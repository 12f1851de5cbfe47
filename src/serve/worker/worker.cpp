#include "serve/worker/worker.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <new>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "diffusion/process.h"
#include "serve/support/log.h"
#include "serve/wire/wire.h"
#include "serve/worker/describe_model.h"
#include "serve/worker/estimate.h"
#include "serve/worker/faults.h"
#include "serve/worker/latent_colours.h"

namespace inkstone::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kBetweenFigures{1};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

std::string memory_text(size_t bytes) {
  constexpr size_t kMib = size_t{1} << 20, kGib = kMib << 10;
  char text[32];
  if (bytes < kGib) return std::to_string((bytes + kMib - 1) / kMib) + " MiB";
  std::snprintf(text, sizeof text, "%.1f GiB", static_cast<double>(bytes) / kGib);
  return text;
}

class Worker {
 public:
  Worker(int socket, Engine& engine, const WorkerSettings& settings)
      : socket_(socket), engine_(engine), settings_(settings) {}

  void begin(ModelCard card);
  void serve();

 private:
  struct InFlight {
    Job job;
    uint64_t stepped = 0;  // when, as a count of steps
  };

  WorkerReport answer(const StartCommand& command);
  WorkerReport answer(const StepCommand& command);
  WorkerReport answer(const FinishCommand& command);

  std::vector<Job*> jobs_of(const StepCommand& command, Stepped& report);
  void check_model() const;
  void compile(const std::vector<Job*>& jobs);
  void offload_others(const std::vector<Job*>& jobs);
  Preview preview_of(JobId id, const Job& job) const;
  DeviceFigures figures();
  std::optional<DeviceFigures> figures_in_time();
  std::vector<std::string> memory_lines(const EnginePlan& plan, bool more_would_not_pay) const;

  int socket_;
  Engine& engine_;
  const WorkerSettings& settings_;
  std::map<JobId, InFlight> jobs_;
  LatentColours colours_;
  int jobs_in_step_ = 1;
  uint64_t steps_ = 0;
  std::string fingerprint_;  // of the model as it was opened
  Clock::time_point told_figures_;
};

void Worker::begin(ModelCard card) {
  Capacity capacity{settings_.max_jobs, settings_.max_side, settings_.max_pixels, settings_.max_prompt_chunks};
  card.limits = capacity.limits();
  Hello hello;
  hello.times.push_back(estimate(engine_, engine_.precision()));
  const DeviceInfo device = engine_.backend().info();
  hello.device = engine_.options().device;
  hello.description = clean_utf8(device.description);
  hello.precision = name_of(engine_.precision());
  fingerprint_ = card.fingerprint;
  hello.model = std::move(card);
  if (settings_.jobs_that_pay) capacity.jobs = std::clamp(settings_.jobs_that_pay(hello), 1, settings_.max_jobs);
  const bool limited = capacity.jobs < settings_.max_jobs;
  const EnginePlan plan = engine_.reserve(capacity);
  jobs_in_step_ = plan.jobs;
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

WorkerReport Worker::answer(const StartCommand& command) {
  Clock::time_point begin = Clock::now();
  if (jobs_.contains(command.job)) return Failed{fault_of(command.job, Error::Kind::kOther, "it was started twice")};
  try {
    check_model();
    const ResolvedRequest request = engine_.resolve(command.request);
    Job job;
    try {
      engine_.prepare(request);
      begin = Clock::now();
      job = engine_.start(request);
    } catch (const UsageError& error) {  // of the device: its text is for whoever compiled the programs
      log_line(LogLevel::kError, "job_fault", {{"worker_job", command.job}, {"reason", error.what()}});
      fail<UsageError>(INKSTONE_HERE, {"an image of ", request.width, "x", request.height,
                                       " cannot be generated on this device: it has no programs for this size"});
    }
    if (settings_.sabotage.started) settings_.sabotage.started(command.request, job);
    Started report{command.job, 0, request.cfg_copies(), job.calls(), {}};
    for (const std::string& warning : job.warnings) report.warnings.push_back(clean_utf8(warning));
    InFlight& flying = jobs_[command.job] = {std::move(job), steps_};
    offload_others({&flying.job});
    report.seconds = seconds_since(begin);
    return report;
  } catch (...) {
    return Failed{fault_of_current(command.job)};
  }
}

// Those that can step; what is wrong with the others goes into the report.
std::vector<Job*> Worker::jobs_of(const StepCommand& command, Stepped& report) {
  std::vector<Job*> jobs;
  for (const JobId id : command.jobs) {
    const auto found = jobs_.find(id);
    const bool twice = found != jobs_.end() && std::ranges::find(jobs, &found->second.job) != jobs.end();
    if (found == jobs_.end() || found->second.job.done() || twice)
      report.faults.push_back(
          fault_of(id, Error::Kind::kOther, "a step of a job that is not there, or has no steps left"));
    else
      jobs.push_back(&found->second.job);
  }
  return jobs;
}

// Weights are read from their files as they are needed: a file that changed would give another image.
void Worker::check_model() const {
  if (fingerprint_.empty() || model_fingerprint(engine_.pipeline()) == fingerprint_) return;
  throw Error("the model's files have changed since they were opened", INKSTONE_HERE, Error::Kind::kDeviceLost);
}

// So that the seconds of a step are those of its work.
void Worker::compile(const std::vector<Job*>& jobs) {
  std::map<std::pair<size_t, UnetEvaluation>, int> alike;  // by pass
  for (const Job* job : jobs)
    for (size_t pass = 0; pass < job->passes(); ++pass) ++alike[{pass, job->next(pass)}];
  for (const auto& [run, count] : alike) {
    const UnetEvaluation& evaluation = run.second;
    const ResolvedRequest& request = jobs[0]->request;
    engine_.programs().step_for({std::min(count, jobs_in_step_), evaluation.cfg_copies, request.width, request.height,
                                 evaluation.part, evaluation.chunks});
  }
}

// What prompts gave is large, and the memory was planned for that of a few jobs: those that stepped longest ago go.
void Worker::offload_others(const std::vector<Job*>& jobs) {
  const size_t max = static_cast<size_t>(Capacity::kJobsWithCrossKv * jobs_in_step_);
  std::vector<InFlight*> holding;
  for (auto& [id, other] : jobs_)
    if (!other.job.conditioning.empty() && std::ranges::find(jobs, &other.job) == jobs.end()) holding.push_back(&other);
  if (holding.size() + jobs.size() <= max) return;
  std::ranges::sort(holding, {}, &InFlight::stepped);
  const size_t offloaded = std::min(holding.size(), holding.size() + jobs.size() - max);
  for (size_t i = 0; i < offloaded; ++i) engine_.offload(holding[i]->job);
}

WorkerReport Worker::answer(const StepCommand& command) {
  Clock::time_point begin = Clock::now();
  Stepped report;
  const std::vector<Job*> jobs = jobs_of(command, report);
  try {
    offload_others(jobs);
    compile(jobs);
    begin = Clock::now();
    if (settings_.sabotage.stepping) settings_.sabotage.stepping(jobs.size());
    std::vector<RowFault> faults;
    if (!jobs.empty()) faults = engine_.step(jobs);
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
  for (const JobId id : command.previews)
    if (const auto found = jobs_.find(id); found != jobs_.end())
      report.previews.push_back(preview_of(id, found->second.job));
  report.figures = figures_in_time();
  report.seconds = seconds_since(begin);
  return report;
}

WorkerReport Worker::answer(const FinishCommand& command) {
  const Clock::time_point begin = Clock::now();
  auto found = jobs_.extract(command.job);
  if (!found) return Failed{fault_of(command.job, Error::Kind::kOther, "a job that is not there cannot be finished")};
  const Job& job = found.mapped().job;
  try {
    Finished report{command.job, 0, engine_.decode(job), {}};
    if (job.done()) colours_.learn(job.latent, report.image);
    report.figures = figures_in_time();
    report.seconds = seconds_since(begin);
    return report;
  } catch (...) {
    return Failed{fault_of_current(command.job)};
  }
}

Preview Worker::preview_of(JobId id, const Job& job) const { return {id, job.call, colours_.draw(job.estimate)}; }

DeviceFigures Worker::figures() {
  told_figures_ = Clock::now();
  const DeviceInfo info = engine_.backend().info();
  const BackendState state = engine_.backend().state();
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
  const size_t budget = engine_.options().memory_budget;
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

int serve_commands(int socket, Engine& engine, ModelCard card, const WorkerSettings& settings) {
  Worker worker(socket, engine, settings);
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
