#include "serve/scheduling/waves.h"

#include <algorithm>

namespace inkstone::serve {
namespace {

void start_wave(JobTable& table, bool one_job) {
  std::vector<const JobEntry*> waiting;
  for (const auto& [id, entry] : table.jobs()) waiting.push_back(&entry);
  std::ranges::stable_sort(waiting, {}, [](const JobEntry* entry) { return entry->job.arrival; });
  if (waiting.empty()) return;
  const JobEntry& head = *waiting.front();
  const bool one = one_job || head.job.alone;
  int room = table.buckets()[head.bucket].max_batch_rows;
  for (const JobEntry* entry : waiting) {
    const bool company = entry == &head || !(one || entry->job.alone);
    if (!company || entry->bucket != head.bucket || (entry->job.rows > room && entry != &head)) continue;
    table.set_in_wave(entry->job.id, true);
    room -= entry->job.rows;
  }
}

}  // namespace

PlannedRun next_of_wave(JobTable& table, bool one_job) {
  const auto in_wave = [](const auto& job) { return job.second.in_wave; };
  if (std::ranges::none_of(table.jobs(), in_wave)) start_wave(table, one_job);
  PlannedRun step{{Decision::Kind::kStep}};
  for (const auto& [id, entry] : table.jobs()) {
    if (!entry.in_wave) continue;
    if (entry.phase != Phase::kDenoise) return table.side_run(entry);
    // In their next legs they may be apart, and have more rows.
    const int room = table.buckets()[step.decision.jobs.empty() ? entry.bucket : step.bucket].max_batch_rows;
    const bool joins = entry.bucket == step.bucket && step.batch_rows + entry.job.rows <= room;
    if (!step.decision.jobs.empty() && !joins) continue;
    step.decision.jobs.push_back(id);
    step.batch_rows += entry.job.rows;
    step.bucket = entry.bucket;
  }
  if (step.decision.jobs.empty()) return {};
  step.decision.seconds = table.buckets()[step.bucket].times.step_seconds(step.batch_rows);
  return step;
}

void leave_wave(JobTable& table, const PlannedRun& run) {
  int room = table.buckets()[run.bucket].max_batch_rows;
  for (const JobId id : run.decision.jobs) {
    const JobEntry* entry = table.find(id);
    if (!entry) continue;
    if (entry->job.rows > room)
      table.set_in_wave(id, false);
    else
      room -= entry->job.rows;
  }
}

}  // namespace inkstone::serve
