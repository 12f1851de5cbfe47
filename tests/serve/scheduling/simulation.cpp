#include "serve/scheduling/simulation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <sstream>

namespace inkstone::serve {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

class Chance {
 public:
  explicit Chance(uint64_t seed) : bits_(seed) {}
  double unit() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  bool of(double share) { return unit() < share; }
  int from(int min, int max) { return min + static_cast<int>(unit() * (max - min + 1)); }
  double until_next(double per_second) { return -std::log1p(-unit()) / per_second; }

 private:
  std::mt19937_64 bits_;
};

class Simulation {
 public:
  Simulation(const SimulationOptions& options, const std::vector<Arrival>& arrivals)
      : options_(options), arrivals_(arrivals), chance_(options.seed), batcher_(make_batcher()) {
    outcome_.bucket_seconds.resize(options.buckets.size());
    for (size_t i = 0; i < arrivals.size(); i++) {
      outcome_.fates.push_back({arrivals[i].job, {}, {}, {}, {}});
      events_.insert({arrivals[i].job.arrival, i, false});
      if (arrivals[i].cancelled_at) events_.insert({*arrivals[i].cancelled_at, i, true});
      by_id_[arrivals[i].job.id] = i;
    }
    death_ = next_death(0);
  }

  SimulationOutcome run() {
    while (outcome_.faults.size() < 5 && turn()) {
    }
    for (const auto& [id, live] : live_) fault("job ", id, " never ended");
    outcome_.seconds = now_;
    return std::move(outcome_);
  }

 private:
  struct Event {
    double at;
    size_t arrival;
    bool cancel;
    auto operator<=>(const Event&) const = default;
  };
  struct Live {
    size_t arrival;
    Phase phase;
    int calls_left;
    int attempts = 1;
    int leg = 0;
  };

  Batcher make_batcher() const {
    Batcher batcher(options_.settings);
    for (const SimulatedBucket& bucket : options_.buckets)
      batcher.add_bucket({bucket.bucket, bucket.times, bucket.max_batch_rows});
    return batcher;
  }

  template <typename... Parts>
  void fault(const Parts&... parts) {
    std::ostringstream text;
    text << "at " << now_ << ": ";
    (text << ... << parts);
    outcome_.faults.push_back(text.str());
  }

  double next_death(double from) {
    return options_.seconds_to_death > 0 ? from + chance_.until_next(1 / options_.seconds_to_death) : kNever;
  }

  bool turn() {
    happen_until(now_);
    const Decision decision = batcher_.next(now_);
    if (decision.kind == Decision::Kind::kNothing) {
      if (!live_.empty()) fault("nothing to do with ", live_.size(), " jobs there");
      if (events_.empty()) return false;
      now_ = events_.begin()->at;
      return true;
    }
    if (batcher_.next(now_).kind != Decision::Kind::kNothing) fault("a decision while another runs");
    check(decision);
    const double seconds = seconds_of(decision) * (1 + options_.noise * (2 * chance_.unit() - 1));
    const double end = now_ + seconds + bring(place(decision.jobs.front()).bucket.model);
    if (death_ < end) {
      happen_until(death_);
      die();
      return true;
    }
    happen_until(end);
    now_ = end;
    tell_models();
    report(decision, seconds);
    return true;
  }

  // The model that was used longest ago goes. Returns the seconds.
  double bring(const std::string& model) {
    if (options_.models_kept == 0) return 0;
    const bool there = std::erase(kept_, model) > 0;
    if (!there && kept_.size() >= options_.models_kept) kept_.erase(kept_.begin());
    kept_.push_back(model);
    if (there) return 0;
    outcome_.switches++;
    brought_ = model;
    return options_.switch_seconds;
  }

  void tell_models() {
    if (brought_.empty()) return;
    batcher_.loaded(kept_);
    batcher_.switched(brought_, options_.switch_seconds);
    brought_.clear();
  }

  void happen_until(double time) {
    while (!events_.empty() && events_.begin()->at <= time) {
      const Event event = *events_.begin();
      events_.erase(events_.begin());
      event.cancel ? cancel(event) : arrive(event);
    }
  }

  void arrive(const Event& event) {
    Fate& fate = outcome_.fates[event.arrival];
    fate.admission = batcher_.admit(fate.job, event.at);
    if (fate.admission.accepted()) live_[fate.job.id] = {event.arrival, Phase::kEncode, fate.job.calls_left};
    if (!fate.admission.accepted() && fate.admission.retry_after < 0) fault("retry after less than nothing");
  }

  void cancel(const Event& event) {
    Fate& fate = outcome_.fates[event.arrival];
    const bool was_there = live_.contains(fate.job.id);
    if (was_there) forget(fate.job.id);
    if (batcher_.cancel(fate.job.id) != was_there) fault("cancel of ", fate.job.id, ": was there ", was_there);
    if (!was_there) return;
    fate.cancelled = event.at;
    fate.ends++;
  }

  const SimulatedBucket& bucket_of(const SizeBucket& bucket) const {
    return *std::ranges::find(options_.buckets, bucket, &SimulatedBucket::bucket);
  }

  void check(const Decision& decision) {
    const bool step = decision.kind == Decision::Kind::kStep;
    const Phase phase = step                                       ? Phase::kDenoise
                        : decision.kind == Decision::Kind::kEncode ? Phase::kEncode
                                                                   : Phase::kDecode;
    std::set<JobId> seen;
    int rows = 0;
    const SizeBucket bucket = place(decision.jobs.front()).bucket;
    for (const JobId id : decision.jobs) {
      if (!live_.contains(id)) return fault("a run of ", id, ", which is not there");
      if (!seen.insert(id).second) fault("job ", id, " twice in a run");
      if (live_.at(id).phase != phase) fault("job ", id, " in a run of another phase");
      if (place(id).bucket != bucket) fault("job ", id, " in a batch of another bucket");
      if (job(id).alone && decision.jobs.size() > 1) fault("job ", id, " has company");
      rows += place(id).rows;
    }
    if (step && rows > bucket_of(bucket).max_batch_rows)
      fault(rows, " rows in a bucket of ", bucket_of(bucket).max_batch_rows);
    if (!step && decision.jobs.size() != 1) fault("a run of ", decision.jobs.size(), " jobs between steps");
    const auto here = [&](JobId id) {
      return options_.models_kept == 0 || std::ranges::count(kept_, place(id).bucket.model) > 0;
    };
    // A turn that begins with a switch begins with whatever its jobs wait for.
    const bool steps_wait = here(decision.jobs.front()) && std::ranges::any_of(live_, [&](const auto& l) {
                              return l.second.phase == Phase::kDenoise && here(l.first);
                            });
    if (options_.settings.batching == Batching::kStep && steps_wait) check_the_wait_of_steps(decision);
    if (step) texts_between_ = images_between_ = 0;
  }

  // Between two steps: one image, and texts for a third of the last step at most, or one.
  void check_the_wait_of_steps(const Decision& decision) {
    images_between_ += decision.kind == Decision::Kind::kDecode;
    texts_between_ += decision.kind == Decision::Kind::kEncode;
    if (images_between_ > 1) fault("steps were kept waiting by two images");
    const double texts = texts_between_ * seconds_of(decision);
    const bool too_long = texts_between_ > 1 && texts > last_step_ / 3 * (1 + 2 * options_.noise) + 1e-9;
    if (decision.kind == Decision::Kind::kEncode && too_long)
      fault("steps were kept waiting by ", texts, " s of texts");
  }

  const BatchJob& job(JobId id) const { return arrivals_[by_id_.at(id)].job; }
  // The leg that a job is in; of one that has gone, the one that the batcher's run was of.
  BatchLeg place(JobId id) const {
    const auto live = live_.find(id);
    const int leg = live == live_.end() ? gone_in_.at(id) : live->second.leg;
    if (leg == 0) return {job(id).bucket, job(id).rows, job(id).calls_left};
    return job(id).later[static_cast<size_t>(leg) - 1];
  }
  void forget(JobId id) {
    gone_in_[id] = live_.at(id).leg;
    live_.erase(id);
  }

  double seconds_of(const Decision& decision) const {
    const SimulatedBucket& bucket = bucket_of(place(decision.jobs.front()).bucket);
    if (decision.kind == Decision::Kind::kEncode) return bucket.times.encode_seconds();
    if (decision.kind == Decision::Kind::kDecode) return bucket.times.decode_seconds();
    int rows = 0;
    for (const JobId id : decision.jobs) rows += place(id).rows;
    return bucket.times.step_seconds(rows);
  }

  void report(const Decision& decision, double seconds) {
    if (decision.kind == Decision::Kind::kStep) return report_step(decision, seconds);
    const auto live = live_.find(decision.jobs.front());
    const bool text = decision.kind == Decision::Kind::kEncode;
    text ? batcher_.encoded(seconds) : batcher_.decoded(seconds);
    if (live == live_.end()) return;
    live->second.phase = Phase::kDenoise;
    if (text) return;
    Fate& fate = outcome_.fates[live->second.arrival];
    fate.end = now_;
    fate.ends++;
    if (live->second.leg != static_cast<int>(fate.job.later.size()))
      fault("job ", fate.job.id, " ended in an early leg");
    forget(fate.job.id);
  }

  void report_step(const Decision& decision, double seconds) {
    if (options_.failures > 0 && chance_.of(options_.failures)) fail(decision.jobs.back());
    const SizeBucket bucket = place(decision.jobs.front()).bucket;
    for (const JobId id : decision.jobs) {
      const auto live = live_.find(id);
      outcome_.rows += place(id).rows;
      if (live == live_.end()) continue;
      Fate& fate = outcome_.fates[live->second.arrival];
      if (!fate.first_step) fate.first_step = now_;
      if (--live->second.calls_left > 0) continue;
      live->second.phase = Phase::kDecode;
      if (live->second.leg == static_cast<int>(job(id).later.size())) continue;
      live->second.leg++;
      live->second.phase = Phase::kEncode;
      live->second.calls_left = place(id).calls;
    }
    if (now_ <= options_.buckets_until)
      outcome_.bucket_seconds[static_cast<size_t>(&bucket_of(bucket) - options_.buckets.data())] += seconds;
    outcome_.steps++;
    last_step_ = seconds;
    batcher_.stepped(seconds);
  }

  void fail(JobId id) {
    const bool was_there = live_.contains(id);
    if (batcher_.fail(id) != was_there) fault("fail of ", id, ": was there ", was_there);
    if (!was_there) return;
    Fate& fate = outcome_.fates[live_.at(id).arrival];
    fate.failed = true;
    fate.ends++;
    forget(id);
  }

  // All is lost but the requests: another worker has them anew.
  void die() {
    now_ = death_ + 1;
    death_ = next_death(now_);
    outcome_.deaths++;
    texts_between_ = images_between_ = 0;
    batcher_ = make_batcher();
    kept_.clear();
    for (auto& [id, live] : live_) {
      live = {live.arrival, Phase::kEncode, job(id).calls_left, live.attempts + 1};
      batcher_.readmit(job(id));
    }
  }

  const SimulationOptions& options_;
  const std::vector<Arrival>& arrivals_;
  Chance chance_;
  Batcher batcher_;
  SimulationOutcome outcome_;
  std::set<Event> events_;
  std::map<JobId, size_t> by_id_;
  std::map<JobId, Live> live_;
  std::map<JobId, int> gone_in_;  // the leg
  double now_ = 0, death_ = kNever;
  int texts_between_ = 0, images_between_ = 0;
  double last_step_ = 0;
  std::vector<std::string> kept_;  // models, the one that was used last at the end
  std::string brought_;            // by the run that is under way
};

}  // namespace

double SimulatedBucket::saturation(int calls, int rows) const {
  const double steps = calls * times.step_seconds(max_batch_rows) * rows / max_batch_rows;
  return 1 / (steps + times.encode_seconds() + times.decode_seconds());
}

SimulationOutcome simulate(const SimulationOptions& options, const std::vector<Arrival>& arrivals) {
  return Simulation(options, arrivals).run();
}

std::vector<Arrival> random_arrivals(const Mix& mix, uint64_t seed) {
  Chance chance(seed);
  std::vector<Arrival> arrivals;
  double now = 0;
  for (int i = 0; i < mix.jobs; i++) {
    // Bursts of ten at four times the rate, and a pause that makes up for it.
    now += chance.until_next(mix.bursts ? 4 * mix.per_second : mix.per_second);
    if (mix.bursts && i % 10 == 9) now += 7.5 / mix.per_second;
    Arrival arrival;
    arrival.job.id = static_cast<JobId>(i + 1);
    arrival.job.bucket = mix.buckets[static_cast<size_t>(chance.from(0, static_cast<int>(mix.buckets.size()) - 1))];
    arrival.job.arrival = now;
    arrival.job.calls_left = chance.from(mix.min_calls, mix.max_calls);
    arrival.job.rows = chance.of(mix.unguided) ? 1 : 2;
    for (int legs = 0; mix.legs > 0 && legs < 2 && chance.of(mix.legs); legs++)
      arrival.job.later.push_back(
          {mix.buckets[static_cast<size_t>(chance.from(0, static_cast<int>(mix.buckets.size()) - 1))],
           chance.of(mix.unguided) ? 1 : 2, chance.from(1, mix.max_calls)});
    const double rank = chance.unit();
    if (rank < mix.low) arrival.job.priority = Priority::kLow;
    if (rank > 1 - mix.high) arrival.job.priority = Priority::kHigh;
    const double slack = mix.slack * (1 + chance.unit()), patience = chance.until_next(1 / mix.slack);
    if (chance.of(mix.timed)) arrival.job.deadline = now + slack;
    if (chance.of(mix.cancelled)) arrival.cancelled_at = now + patience;
    arrivals.push_back(arrival);
  }
  return arrivals;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

std::vector<double> waits_for_first_step(const SimulationOutcome& outcome) {
  std::vector<double> waits;
  for (const Fate& fate : outcome.fates) {
    if (fate.first_step) waits.push_back(*fate.first_step - fate.job.arrival);
  }
  return waits;
}

SimulatedBucket flat_bucket(const std::string& model, int size, double scale) {
  return {{model, size, size}, StepTimes({{1, scale}, {2, 2 * scale}, {4, 4 * scale}}, 0.3, 3 * scale), 2};
}

SimulatedBucket roomy_bucket(const std::string& model, int size, double scale) {
  return {
      {model, size, size},
      StepTimes({{1, 0.030 * scale}, {2, 0.032 * scale}, {4, 0.040 * scale}, {8, 0.064 * scale}, {16, 0.12 * scale}},
                0.008, 0.05 * scale),
      16};
}

}  // namespace inkstone::serve
