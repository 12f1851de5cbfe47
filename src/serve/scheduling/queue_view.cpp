#include "serve/scheduling/queue_view.h"

#include <algorithm>

namespace inkstone::serve {
namespace {

// A safety factor: encodes, decodes and first steps come between.
constexpr double kEarly = 2.5;

}  // namespace

QueueView::QueueView(const JobTable& table, const LoadedModels& loaded, const BatcherSettings& settings, double now)
    : table_(table),
      loaded_(loaded),
      settings_(settings),
      rows_waiting_(table.buckets().size()),
      rows_(table.buckets().size()) {
  for (const auto& [id, job] : table.jobs()) {
    places_.push_back({&job});
    rows_[job.bucket] += job.job.rows;
    if (job.phase == Phase::kDenoise) rows_waiting_[job.bucket] += job.job.rows;
    all_loaded_ = all_loaded_ && is_loaded(job.bucket);
  }
  find_risks(now);
}

// A deadline is at risk when the deadlines' share of the time just suffices for all jobs due by
// then. Jobs of one bucket step together, but none ends sooner than it would alone; buckets take
// turns.
void QueueView::find_risks(double now) {
  struct Due {
    double together = 0, longest = 0;
  };
  std::vector<Place*> timed;
  for (Place& place : places_) {
    const std::optional<double>& deadline = place.entry->job.deadline;
    if (deadline && table_.may_pass(place.entry->turn) && now + table_.alone_seconds(*place.entry) <= *deadline)
      timed.push_back(&place);
  }
  std::ranges::stable_sort(timed, {}, [](const Place* place) { return *place->entry->job.deadline; });
  std::vector<Due> buckets(table_.buckets().size());
  double due = 0;
  size_t at_risk = 0;
  for (size_t i = 0; i < timed.size(); i++) {
    const JobEntry& entry = *timed[i]->entry;
    const BatchBucket& bucket = table_.buckets()[entry.bucket];
    const double steps = entry.job.calls_left * bucket.times.step_seconds(bucket.max_batch_rows);
    Due& own = buckets[entry.bucket];
    due -= std::max(own.together, own.longest);
    own.together += steps * entry.job.rows / bucket.max_batch_rows;
    own.longest = std::max(own.longest, steps);
    due += std::max(own.together, own.longest) + table_.side_seconds(entry) / settings_.decode_share +
           table_.later_seconds(entry);
    if (now + kEarly * due / settings_.deadline_share >= *entry.job.deadline) at_risk = i + 1;
  }
  for (size_t i = 0; i < at_risk; i++) timed[i]->at_risk = true;
}

bool QueueView::steps_wait() const {
  for (size_t i = 0; i < rows_waiting_.size(); i++)
    if (rows_waiting_[i] > 0 && is_loaded(i)) return true;
  return false;
}

// Where models must be switched, a bucket's turn lasts while it has jobs: the next text and the last
// pixels are its own too.
std::vector<Waiting> QueueView::waiting() const {
  std::vector<Waiting> waiting(rows_.size());
  for (size_t i = 0; i < rows_.size(); i++) {
    const bool loaded = is_loaded(i);
    waiting[i] = {all_loaded_ ? rows_waiting_[i] : rows_[i], !loaded || rows_waiting_[i] > 0,
                  settings_.turn_per_switch * loaded_.seconds(table_.buckets()[i].size.model)};
  }
  return waiting;
}

std::vector<double> QueueView::weights() const {
  std::vector<const JobEntry*> waiting;
  for (const Place& place : places_)
    if (!all_loaded_ || place.entry->phase == Phase::kDenoise) waiting.push_back(place.entry);
  return bucket_weights(rows_waiting_.size(), waiting);
}

bool QueueView::goes_before(const Place& a, const Place& b, Urgency urgency) const {
  const auto first_step = [this](const Place& place) {
    return settings_.first_step_first && place.entry->fresh && place.entry->job.leg == 0 &&
           place.entry->job.priority != Priority::kLow && table_.may_pass(place.entry->turn);
  };
  const auto deadline = [](const Place& place) { return *place.entry->job.deadline; };
  if (urgency.deadlines) {
    if (a.at_risk != b.at_risk) return a.at_risk;
    if (a.at_risk && deadline(a) != deadline(b)) return deadline(a) < deadline(b);
  }
  if (urgency.first_steps && first_step(a) != first_step(b)) return first_step(a);
  return ranks_before(*a.entry, *b.entry);
}

const QueueView::Place* QueueView::first(Phase phase) const {
  const Place* first = nullptr;
  for (const Place& place : places_) {
    if (place.entry->phase == phase && is_loaded(place.entry->bucket) &&
        (!first || goes_before(place, *first, {true, true})))
      first = &place;
  }
  return first;
}

const QueueView::Place* QueueView::first(Phase phase, size_t bucket) const {
  const Place* first = nullptr;
  for (const Place& place : places_) {
    if (place.entry->phase == phase && place.entry->bucket == bucket &&
        (!first || goes_before(place, *first, {true, true})))
      first = &place;
  }
  return first;
}

const QueueView::Place* QueueView::most_urgent() const {
  const Place* first = nullptr;
  for (const Place& place : places_) {
    if (place.entry->phase == Phase::kDenoise && (!first || goes_before(place, *first, {true, true}))) first = &place;
  }
  return first && first->at_risk ? first : nullptr;
}

const QueueView::Place* QueueView::next_text() const {
  const Place* text = first(Phase::kEncode);
  if (!text || !steps_wait() || table_.may_pass(text->entry->turn)) return text;
  int rows_before = 0;
  for (const auto& [entry, at_risk] : places_)
    if (entry->phase == Phase::kDenoise && entry->bucket == text->entry->bucket && ranks_before(*entry, *text->entry))
      rows_before += entry->job.rows;
  return rows_before < table_.buckets()[text->entry->bucket].max_batch_rows ? text : nullptr;
}

std::vector<const QueueView::Place*> QueueView::batch(size_t bucket, Urgency urgency) const {
  std::vector<const Place*> ready, batch;
  for (const Place& place : places_) {
    if (place.entry->bucket == bucket && place.entry->phase == Phase::kDenoise) ready.push_back(&place);
  }
  std::ranges::sort(ready, [&](const Place* a, const Place* b) { return goes_before(*a, *b, urgency); });
  int room = table_.buckets()[bucket].max_batch_rows;
  for (const Place* place : ready) {
    const BatchJob& job = place->entry->job;
    if (job.alone && !batch.empty()) continue;
    // Alone it is tried even if its bucket takes fewer rows by now.
    if (job.rows > room && !batch.empty()) continue;
    batch.push_back(place);
    room -= job.rows;
    if (job.alone || room <= 0) break;
  }
  return batch;
}

}  // namespace inkstone::serve
