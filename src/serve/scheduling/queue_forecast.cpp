#include "serve/scheduling/queue_forecast.h"

#include <algorithm>

#include "serve/scheduling/forecast.h"

namespace inkstone::serve {

bool QueueForecast::first(const ClientShares::Placed& job, Question question) const {
  return question.deadlines_first && job.entry->job.deadline && table_.may_pass(job.turn, question.newcomer);
}

std::vector<ClientShares::Placed> QueueForecast::ranked(Question question) const {
  std::vector<ClientShares::Placed> ranking = table_.line(question.newcomer);
  const bool waves = settings_.batching != Batching::kStep;
  if (!waves && !question.deadlines_first) return ranking;
  std::ranges::stable_sort(ranking, [&](const auto& a, const auto& b) {
    if (waves && a.entry->in_wave != b.entry->in_wave) return a.entry->in_wave;
    if (waves) return a.entry->job.arrival < b.entry->job.arrival;
    const bool a_first = first(a, question), b_first = first(b, question);
    if (a_first != b_first) return a_first;
    return a_first && *a.entry->job.deadline < *b.entry->job.deadline;
  });
  return ranking;
}

std::map<JobId, double> QueueForecast::ends(Question question) const {
  const std::vector<ClientShares::Placed> ranking = ranked(question);
  std::vector<ForecastJob> jobs;
  std::vector<const JobEntry*> entries;
  for (const ClientShares::Placed& placed : ranking) {
    const JobEntry& entry = *placed.entry;
    jobs.push_back({entry.bucket,
                    entry.job.rows,
                    entry.job.calls_left,
                    entry.phase == Phase::kEncode,
                    first(placed, question),
                    entry.job.begins,
                    entry.job.draws,
                    {}});
    for (const BatchLeg& leg : entry.job.later)
      jobs.back().later.push_back({table_.known_bucket(leg.bucket), leg.rows, leg.calls, leg.begins});
    entries.push_back(&entry);
  }
  std::vector<ForecastBucket> buckets;
  std::vector<double> weights = bucket_weights(table_.buckets().size(), entries);
  for (const ForecastJob& job : jobs)
    for (const ForecastLeg& leg : job.later)
      if (weights[leg.bucket] == 0) weights[leg.bucket] = 1;
  for (const BatchBucket& bucket : table_.buckets())
    buckets.push_back({&bucket.times, bucket.max_batch_rows, weights[buckets.size()]});
  const bool off = settings_.batching == Batching::kOff;
  const std::vector<double> seconds = settings_.batching == Batching::kStep
                                          ? forecast_steps(buckets, jobs, settings_.deadline_share)
                                          : forecast_waves(buckets, jobs, off ? 1 : jobs.size());
  // What runs now is still counted with what is left, so it is all counted from the run's start.
  const double running = run_.decision.seconds;
  const double start = std::max(running > 0 ? run_.since : now_, now_ - running);
  std::map<JobId, double> ends;
  for (size_t i = 0; i < ranking.size(); i++) ends[entries[i]->job.id] = std::max(now_, start + seconds[i]);
  return ends;
}

}  // namespace inkstone::serve
