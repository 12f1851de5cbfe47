#include "serve/gateway/worker_slot.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "base/error.h"
#include "serve/gateway/worker_checks.h"
#include "serve/support/log.h"

namespace inkstone::serve {
namespace {

constexpr double kMinPause = 0.2, kMaxPause = 30, kGoodLife = 60;

}  // namespace

WorkerSlot::WorkerSlot(boost::asio::io_context& events, WorkerEvents& worker_events, ModelList& models,
                       const ServeSettings& settings, std::string device, std::vector<std::string> program)
    : events_(events),
      worker_events_(worker_events),
      models_(models),
      settings_(settings),
      device_(std::move(device)),
      program_(std::move(program)) {}

BatcherSettings WorkerSlot::batcher_settings() const {
  BatcherSettings settings;
  settings.batching = settings_.batching;
  settings.max_jobs = settings_.max_queue + 1;  // and the canary
  settings.max_rows = 2 * settings.max_jobs;
  settings.max_wait = settings_.max_wait;
  return settings;
}

void WorkerSlot::tick(double now) noexcept {
  try {
    look(now);
  } catch (const std::exception&) {
    worker_events_.shaken();
  }
}

void WorkerSlot::look(double now) {
  if (state_ == State::kPaused && now >= next_start_) start(now);
  if (state_ == State::kStarting && now > start_by_) die("it was not ready in time", "dead", true);
  if (state_ == State::kReady && running_ && now > running_->since + running_->limit)
    die("a command took longer than its limit", "hung", true);
  if (state_ == State::kReady && retiring_ && (jobs_.empty() || now > retire_by_)) {
    pause_ = 0;
    die("it is replaced", "starting", false);
  }
  if (state_ == State::kDying && process_->reaped()) {
    process_.reset();
    state_ = State::kPaused;
    next_start_ = now + pause_;
  }
  if (state_ == State::kReady && now - ready_since_ > kGoodLife) pause_ = 0;
}

void WorkerSlot::start(double now) {
  try {
    process_ = std::make_unique<WorkerProcess>(events_, program_, *this);
    state_ = State::kStarting;
    start_by_ = now + kWorkerStartSeconds;
    log_line(LogLevel::kInfo, "worker_started", {{"worker", process_->pid()}, {"device", device_}});
  } catch (const std::exception& error) {
    pause_ = std::clamp(2 * pause_, kMinPause, kMaxPause);
    next_start_ = now + pause_;
    restarts_++;
    failed_starts_++;
    log_line(LogLevel::kError, "worker_not_started", {{"device", device_}, {"reason", error.what()}});
  }
}

void WorkerSlot::fall(const char* how) noexcept {
  state_ = State::kDying;
  how_ = how;
  process_->kill();
  restarts_++;
  retiring_ = false;
  jobs_.clear();
  drops_.clear();
  running_.reset();
  held_.reset();
}

void WorkerSlot::die(const std::string& why, const char* how, bool death) {
  if (state_ != State::kStarting && state_ != State::kReady) return;
  failed_starts_ += state_ == State::kStarting && death;
  if (death) pause_ = std::clamp(2 * pause_, kMinPause, kMaxPause);
  const int pid = process_->pid();
  const std::map<JobId, Held> jobs = std::exchange(jobs_, {});
  const std::optional<Running> running = std::exchange(running_, {});
  fall(how);
  log_line(death ? LogLevel::kError : LogLevel::kInfo, "worker_lost",
           {{"worker", pid}, {"device", device_}, {"reason", why}, {"state", how}});
  if (running && running->describes && death)
    models_.not_described(*running->describes, "the worker that read it was lost: " + why);
  std::vector<WorkerEvents::Lost> lost;
  for (const auto& [id, job] : jobs) {
    const bool blamed = death && running && std::ranges::count(running->decision.jobs, id) > 0;
    lost.push_back({id, job.begun, blamed, blamed && running->decision.jobs.size() == 1});
  }
  batcher_ = Batcher(batcher_settings());
  worker_events_.lost(lost, death);
}

void WorkerSlot::retire(double until) {
  retiring_ = ready();
  retire_by_ = until;
}

void WorkerSlot::close() {
  state_ = State::kClosed;
  jobs_.clear();
  running_.reset();
  held_.reset();
  process_.reset();
}

void WorkerSlot::allow(double seconds) {
  if (running_) running_->since += seconds;
  start_by_ += seconds;
}

void WorkerSlot::reported(WorkerReport report) {
  try {
    if (auto* hello = std::get_if<Hello>(&report)) {
      welcome(std::move(*hello));
    } else if (auto* unusable = std::get_if<Unusable>(&report)) {
      die(unusable->message, "dead", true);
    } else {
      INKSTONE_CHECK(state_ == State::kReady && running_, "it said something that it was not asked");
      answer(std::move(report));
    }
    return worker_events_.answered();
  } catch (const std::bad_alloc&) {
    worker_events_.shaken();
    exited("no memory");
  } catch (const std::exception& error) {
    exited(error.what());
  }
}

void WorkerSlot::exited(std::string_view why) noexcept {
  try {
    die(std::string(why), "dead", true);
    worker_events_.answered();
  } catch (const std::exception&) {
    if (state_ == State::kStarting || state_ == State::kReady) fall("dead");
    worker_events_.shaken();
  }
}

void WorkerSlot::welcome(Hello hello) {
  INKSTONE_CHECK(state_ == State::kStarting, "it said Hello twice");
  check(hello);
  first_variant_ = worker_events_.greet(hello);
  hello_ = std::move(hello);
  batcher_ = Batcher(batcher_settings());
  seen_.clear();
  times_.clear();
  for (const ShapeTimes& times : learn_times(first_variant_))
    add_bucket({first_variant_, times.width, times.height}, times, false);
  state_ = State::kReady;
  failed_starts_ = 0;
  how_ = "ready";
  ready_since_ = worker_events_.now();
  log_line(LogLevel::kInfo, "worker_ready", {{"worker", process_->pid()}, {"device", device_}});
  worker_events_.joined();
}

// Those of variants that have no jobs are forgotten where there are many.
const std::vector<ShapeTimes>& WorkerSlot::learn_times(const std::string& variant) {
  constexpr size_t kKept = 64;
  if (const auto known = times_.find(variant); known != times_.end()) return known->second;
  if (times_.size() >= kKept)
    std::erase_if(times_, [&](const auto& known) {
      const auto is_its = [&](const auto& held) {
        const BatchJob& job = held.second.job;
        return job.bucket.model == known.first ||
               std::ranges::any_of(job.later, [&](const BatchLeg& leg) { return leg.bucket.model == known.first; });
      };
      return known.first != first_variant_ && std::ranges::none_of(jobs_, is_its);
    });
  return times_[variant] = worker_events_.times_of(variant, *hello_);
}

void WorkerSlot::add_bucket(const SizeBucket& bucket, const ShapeTimes& times, bool passing) {
  if (batcher_.has_bucket(bucket)) return;
  const int room = std::max(2, 2 * std::min(hello_->max_jobs, settings_.max_batch));
  StepTimes known(times.steps, times.encode_seconds, times.decode_seconds, times.estimated);
  batcher_.add_bucket({bucket, std::move(known), room, passing, room});
  std::erase_if(seen_, [&](const auto& seen) { return seen.first == bucket; });
}

// For a size that is not known: the nearest one's times, as if a pixel cost the same.
void WorkerSlot::ensure_bucket(const SizeBucket& bucket) {
  if (batcher_.has_bucket(bucket)) return;
  const auto pixels = [](const auto& shape) { return static_cast<double>(shape.width) * shape.height; };
  const std::vector<ShapeTimes>& all = learn_times(bucket.model);
  const ShapeTimes& near = *std::ranges::min_element(
      all, {}, [&](const ShapeTimes& times) { return std::abs(std::log(pixels(times) / pixels(bucket))); });
  const double scale = pixels(bucket) / pixels(near);
  const ShapeTimes known = times_now(bucket.model, near);
  ShapeTimes times{bucket.width,  bucket.height, known.steps, known.encode_seconds, known.decode_seconds * scale,
                   near.estimated};
  for (BatchTime& time : times.steps) time.seconds *= scale;
  add_bucket(bucket, times, true);
}

void WorkerSlot::ensure_buckets(const BatchJob& job) {
  ensure_bucket(job.bucket);
  for (const BatchLeg& leg : job.later) ensure_bucket(leg.bucket);
}

// Of a size that was known at the variant's first job, as learnt since.
ShapeTimes WorkerSlot::times_now(const std::string& variant, const ShapeTimes& then) const {
  const SizeBucket bucket{variant, then.width, then.height};
  if (!batcher_.has_bucket(bucket)) return then;
  const StepTimes& known = batcher_.times(bucket);
  return {then.width, then.height, known.curve(), known.encode_seconds(), known.decode_seconds(), known.estimated()};
}

Admission WorkerSlot::consider(const BatchJob& job) {
  ensure_buckets(job);
  Admission admission = batcher_.consider(job, worker_events_.now());
  // So a worker that has the models is asked first.
  admission.end += batcher_.switch_seconds(job.bucket.model);
  for (const BatchLeg& leg : job.later)
    if (leg.bucket.model != job.bucket.model) admission.end += batcher_.switch_seconds(leg.bucket.model);
  return admission;
}

void WorkerSlot::take(const BatchJob& job) {
  ensure_buckets(job);
  jobs_[job.id] = {job, false};
  batcher_.readmit(job);
}

std::optional<JobId> WorkerSlot::spare() const {
  if (!accepts() || !running_) return {};
  std::optional<JobId> first;
  for (const auto& [id, job] : jobs_)
    if (!job.begun && (!first || batcher_.goes_before(id, *first))) first = id;
  return first;
}

std::vector<JobId> WorkerSlot::job_ids() const {
  std::vector<JobId> ids;
  for (const auto& [id, job] : jobs_) ids.push_back(id);
  return ids;
}

void WorkerSlot::withdraw(JobId job) {
  jobs_.erase(job);
  batcher_.withdraw(job);
}

WorkerFigures WorkerSlot::figures() const {
  WorkerFigures figures;
  figures.device = device_;
  figures.state = state_ == State::kStarting ? "starting" : !ready() ? how_ : running_ ? "busy" : "ready";
  figures.pid = process_ ? process_->pid() : 0;
  figures.restarts = restarts_;
  figures.cannot_start = cannot_start();
  figures.silent_seconds = running_ ? worker_events_.now() - running_->since : 0;
  figures.batcher = batcher_.figures();
  if (!hello_) return figures;
  figures.description = hello_->description;
  figures.precision = hello_->precision;
  figures.memory = hello_->memory;
  figures.device_figures = hello_->figures;
  for (const auto& [variant, all] : times_)
    for (const ShapeTimes& times : all) figures.curves.push_back({variant, times_now(variant, times)});
  return figures;
}

}  // namespace inkstone::serve
