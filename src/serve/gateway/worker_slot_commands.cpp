// How a slot talks to its worker: batcher decisions become commands, and reports are applied.
#include <algorithm>

#include "base/error.h"
#include "serve/gateway/worker_checks.h"
#include "serve/gateway/worker_slot.h"

namespace inkstone::serve {
namespace {

// More for a shape's first run: programs are compiled then.
constexpr double kFirstRunSeconds = 120;
constexpr double kReadingSeconds = 120;  // a model's headers
constexpr double kImageSeconds = 600;    // to begin with an image, which may be decoded, enlarged and encoded

using Kind = Decision::Kind;

bool answers(const WorkerReport& report, const Decision& decision) {
  if (decision.jobs.empty()) return std::holds_alternative<Described>(report);
  const JobId job = decision.jobs.front();
  if (const auto* started = std::get_if<Started>(&report)) return decision.kind == Kind::kEncode && started->job == job;
  if (const auto* finished = std::get_if<Finished>(&report))
    return decision.kind == Kind::kDecode && finished->job == job;
  if (const auto* failed = std::get_if<Failed>(&report))
    return decision.kind != Kind::kStep && failed->fault.job == job;
  return decision.kind == Kind::kStep;
}

// The worker's own count, which leaves out what it compiled first.
double seconds_in(const WorkerReport& report) {
  if (const auto* started = std::get_if<Started>(&report)) return started->seconds;
  if (const auto* stepped = std::get_if<Stepped>(&report)) return stepped->seconds;
  if (const auto* finished = std::get_if<Finished>(&report)) return finished->seconds;
  return 0;
}

const LoadedVariants* loaded_in(const WorkerReport& report) {
  const auto of = [](const auto& told) -> const LoadedVariants* {
    if constexpr (requires { told.loaded; })
      return told.loaded ? &*told.loaded : nullptr;
    else
      return nullptr;
  };
  return std::visit(of, report);
}

}  // namespace

void WorkerSlot::pump() {
  if (state_ != State::kReady || running_) return;
  try {
    if (!held_) {
      if (read_a_model()) return;
      const Decision& decision = batcher_.next(worker_events_.now());
      if (decision.kind == Kind::kNothing) return tell_drops();
      held_ = decision;
    }
    if (held_->kind == Kind::kDecode && !worker_events_.room_for_image()) return;
    const Decision decision = *std::exchange(held_, {});
    if (jobs_.contains(decision.jobs.front())) return give(decision);
    batcher_.decoded(0);  // cancelled while it waited for room
    pump();
  } catch (const std::exception& error) {
    die(error.what(), "dead", true);
  }
}

// Between two commands, so that it keeps nobody waiting for long.
bool WorkerSlot::read_a_model() {
  const ServedModel* model = retiring_ ? nullptr : models_.next_unread();
  if (!model) return false;
  running_ = Running{.since = worker_events_.now(), .limit = kReadingSeconds, .describes = model->file};
  process_->send(DescribeCommand{model->file}, 0);
  return true;
}

void WorkerSlot::give(Decision decision) {
  tell_drops();
  const SizeBucket bucket = batcher_.job(decision.jobs.front()).bucket;
  if (decision.kind == Kind::kEncode && !jobs_.at(decision.jobs.front()).begun) {
    jobs_.at(decision.jobs.front()).begun = true;
    worker_events_.begun(decision.jobs.front());
  }
  if (decision.kind == Kind::kDecode) worker_events_.decode_begun(decision.jobs.front());
  const double limit = limit_for(decision, bucket);
  const WorkerCommand command = command_for(decision);
  PictureSize size{bucket.width, bucket.height};  // of the images that it may bring
  if (decision.kind == Kind::kDecode) {
    const JobId job = decision.jobs.front();
    size = worker_events_.leg_of(job, batcher_.job(job).leg).request.output;
  }
  const size_t max_pixels = max_pixel_bytes(command, static_cast<int>(size.width), static_cast<int>(size.height));
  running_ = Running{std::move(decision), bucket, worker_events_.now(), limit, {}};
  process_->send(command, max_pixels);
}

WorkerCommand WorkerSlot::command_for(const Decision& decision) {
  const JobId job = decision.jobs.front();
  if (decision.kind == Kind::kEncode) {
    const int number = batcher_.job(job).leg;
    const JobLeg leg = worker_events_.leg_of(job, number);
    return StartCommand{job, leg.request.said(), leg.variant, leg.request.first_call, leg.request.end_call, number > 0};
  }
  if (decision.kind == Kind::kDecode) return FinishCommand{job};
  StepCommand command{decision.jobs, {}};
  for (const JobId id : decision.jobs)
    if (worker_events_.wants_preview(id)) command.previews.push_back(id);
  return command;
}

double WorkerSlot::limit_for(const Decision& decision, const SizeBucket& bucket) const {
  const double limit = std::max(settings_.watchdog_min, settings_.watchdog_factor * decision.seconds);
  if (decision.kind == Kind::kEncode && batcher_.job(decision.jobs.front()).begins != Beginning::kText)
    return limit + kImageSeconds;
  const bool known = seen_.contains({bucket, decision.kind}) && batcher_.is_loaded(bucket.model);
  return known ? limit : limit + kFirstRunSeconds;
}

void WorkerSlot::tell_drops() {
  if (!drops_.empty()) process_->send(DropCommand{std::exchange(drops_, {})}, 0);
}

void WorkerSlot::drop(JobId job) {
  const auto held = jobs_.find(job);
  if (held == jobs_.end()) return;
  if (held->second.begun) drops_.push_back(job);
  jobs_.erase(held);
  batcher_.cancel(job);
}

void WorkerSlot::cut_short(JobId job) { batcher_.cut_short(job); }

void WorkerSlot::answer(WorkerReport report) {
  INKSTONE_CHECK(answers(report, running_->decision), "its report is not of the command that it was given");
  const Running run = *std::exchange(running_, {});
  if (auto* described = std::get_if<Described>(&report)) {
    if (described->card) check(*described);
    return models_.described(*run.describes, std::move(*described));
  }
  const bool switched = learn_loaded(run, report);
  const bool first = seen_.insert({run.bucket, run.decision.kind}).second || switched;
  const double seconds = std::max(first ? seconds_in(report) : worker_events_.now() - run.since, 1e-6);
  if (auto* started = std::get_if<Started>(&report)) on_start(*started, seconds);
  if (auto* stepped = std::get_if<Stepped>(&report)) on_step(run.decision, std::move(*stepped), seconds);
  if (std::holds_alternative<DidNotFit>(report)) on_misfit(run.decision);
  if (auto* finished = std::get_if<Finished>(&report)) on_finish(std::move(*finished), seconds);
  if (auto* failed = std::get_if<Failed>(&report)) on_failure(run.decision, failed->fault);
}

// Whether a model was brought in for this run. Its programs are compiled anew then.
bool WorkerSlot::learn_loaded(const Running& run, const WorkerReport& report) {
  const LoadedVariants* loaded = loaded_in(report);
  if (!loaded) return false;
  batcher_.loaded(loaded->keys);
  if (loaded->seconds <= 0) return false;
  batcher_.switched(run.bucket.model, loaded->seconds);
  worker_events_.switched(run.bucket.model, loaded->seconds);
  std::erase_if(seen_, [&](const auto& seen) { return seen.first.model == run.bucket.model; });
  return true;
}

void WorkerSlot::on_start(const Started& report, double seconds) {
  constexpr int kMostRows = 1 + static_cast<int>(kMaxPromptTexts);  // of a composed prompt
  const bool draws = jobs_.contains(report.job) && batcher_.job(report.job).draws;
  INKSTONE_CHECK(report.rows >= 1 && report.rows <= kMostRows && report.calls >= (draws ? 1 : 0), "an image of ",
                 report.rows, " rows and ", report.calls, " calls");
  if (jobs_.contains(report.job)) {
    const int leg = batcher_.job(report.job).leg;
    batcher_.correct(report.job, report.rows, worker_events_.started(report.job, leg, report));
  }
  batcher_.encoded(seconds);
}

void WorkerSlot::on_step(const Decision& decision, Stepped report, double seconds) {
  if (report.figures) hello_->figures = std::move(*report.figures);
  batcher_.stepped(seconds);
  worker_events_.step_done(decision.jobs, report.seconds);
  for (const JobFault& fault : report.faults) {
    if (jobs_.erase(fault.job) == 0) continue;
    batcher_.fail(fault.job);
    worker_events_.failed(fault);
  }
  for (const JobId job : decision.jobs)
    if (jobs_.contains(job)) worker_events_.step_made(job, report.seconds);
  for (Preview& preview : report.previews)
    if (jobs_.contains(preview.job)) worker_events_.previewed(std::move(preview));
}

void WorkerSlot::on_misfit(const Decision& decision) {
  if (batcher_.did_not_fit()) return;
  const JobId job = decision.jobs.front();
  if (!jobs_.contains(job)) return;
  drop(job);
  worker_events_.failed(
      {job, "out_of_memory", "the device has too little memory for this image: ask for a smaller one"});
}

void WorkerSlot::on_finish(Finished report, double seconds) {
  if (report.figures) hello_->figures = std::move(*report.figures);
  for (const KnownHash& known : report.hashes) models_.hashed(known);
  pause_ = 0;
  batcher_.decoded(seconds);
  if (jobs_.erase(report.job) > 0) worker_events_.finished(std::move(report));
}

void WorkerSlot::on_failure(const Decision& decision, const JobFault& fault) {
  batcher_.fail(fault.job);
  decision.kind == Kind::kEncode ? batcher_.encoded(0) : batcher_.decoded(0);
  if (jobs_.erase(fault.job) > 0) worker_events_.failed(fault);
}

}  // namespace inkstone::serve
