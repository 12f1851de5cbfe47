#include "serve/scheduling/queue_forecast.h"

#include <algorithm>

#include "serve/scheduling/forecast.h"

namespace inkstone::serve {

std::vector<const JobEntry*> QueueForecast::ranked(Question question) const {
  std::vector<const JobEntry*> ranking;
  for (const auto& [id, entry] : table_.jobs()) ranking.push_back(&entry);
  if (question.newcomer) ranking.push_back(question.newcomer);
  const bool waves = settings_.batching != Batching::kStep;
  std::ranges::sort(ranking, [&](const JobEntry* a, const JobEntry* b) {
    if (waves && a->in_wave != b->in_wave) return a->in_wave;
    if (waves && a->job.arrival != b->job.arrival) return a->job.arrival < b->job.arrival;
    if (question.deadlines_first && a->job.deadline != b->job.deadline) {
      if (!a->job.deadline || !b->job.deadline) return a->job.deadline.has_value();
      return *a->job.deadline < *b->job.deadline;
    }
    return ranks_before(*a, *b);
  });
  return ranking;
}

std::map<JobId, double> QueueForecast::ends(Question question) const {
  std::vector<ForecastBucket> buckets;
  for (const BatchBucket& bucket : table_.buckets()) buckets.push_back({&bucket.times, bucket.max_batch_rows});
  const std::vector<const JobEntry*> ranking = ranked(question);
  std::vector<ForecastJob> jobs;
  for (const JobEntry* entry : ranking) {
    const bool first = question.deadlines_first && entry->job.deadline;
    jobs.push_back({entry->bucket, entry->job.rows, entry->job.calls_left, entry->phase == Phase::kEncode, first});
  }
  const bool off = settings_.batching == Batching::kOff;
  const std::vector<double> seconds = settings_.batching == Batching::kStep
                                          ? forecast_steps(buckets, jobs, settings_.deadline_share)
                                          : forecast_waves(buckets, jobs, off ? 1 : jobs.size());
  // What runs now is still counted with what is left, so it is all counted from the run's start.
  const double running = run_.decision.seconds;
  const double start = std::max(running > 0 ? run_.since : now_, now_ - running);
  std::map<JobId, double> ends;
  for (size_t i = 0; i < ranking.size(); i++) ends[ranking[i]->job.id] = std::max(now_, start + seconds[i]);
  return ends;
}

}  // namespace inkstone::serve
