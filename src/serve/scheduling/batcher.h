// Decides for one device which jobs share the next step, what runs between steps, and which jobs
// are admitted. It has no thread, clock or device: the caller passes the time, does what next()
// returns and reports how it went. The same calls give the same decisions. Every call is O(jobs) or
// O(jobs log jobs); admit() is O(jobs * batch rows).
//
// With Batching::kStep no admitted job starves. A job's rank is its arrival plus head_start for
// each priority class above its own. Jobs run by rank, but deadlines at risk may borrow
// deadline_share of the time from others, and first steps first_step_share. Let W be the largest
// backlog that there was, as the seconds of its jobs run one after the other. Then a job ends at
// most
//   head_start * (classes above it) + buckets * W / (rest * steps_share) + one run
// after its arrival, where
//   rest = (1 - deadline_share) * (1 - first_step_share)
//   steps_share = 1 / (1 + encode_share / (1 - encode_share) + decode_share / (1 - decode_share))
#pragma once

#include <array>
#include <map>
#include <string_view>
#include <vector>

#include "serve/scheduling/batch_job.h"
#include "serve/scheduling/step_times.h"
#include "serve/scheduling/time_share.h"

namespace inkstone::serve {

enum class Batching {
  // One job at a time, in order of arrival.
  kOff,
  // A batch is filled when it starts; nothing joins until it has ended.
  kStatic,
  // Jobs join and leave at every step.
  kStep
};

struct BatcherSettings {
  Batching batching = Batching::kStep;
  int max_jobs = 256, max_rows = 512;  // admitted and not ended
  double max_wait = 600;               // seconds to the predicted end
  // Seconds by which a priority class is ahead of the one below it.
  double head_start = 120;
  double encode_share = 0.25;  // of the time, while steps wait
  double decode_share = 0.5;
  // Of the time, that deadlines at risk may borrow from jobs of lower rank.
  double deadline_share = 0.75;
  double first_step_share = 0.4;  // the same for first steps
  // A deadline is kept if this times the predicted seconds suffice.
  double deadline_margin = 1.1;
  // A new job's first step goes before others' later steps, unless its priority is low.
  bool first_step_first = true;
};

enum class Refusal { kNone, kKnown, kNoBucket, kTooManyRows, kQueueFull, kTooLong, kDeadline };

struct Admission {
  Refusal refusal = Refusal::kNone;
  double end = 0;          // predicted, on the caller's clock
  double retry_after = 0;  // seconds, where trying again may help
  bool accepted() const { return refusal == Refusal::kNone; }
};

struct Decision {
  enum class Kind { kNothing, kStep, kEncode, kDecode };  // kNothing: until something arrives
  Kind kind = Kind::kNothing;
  std::vector<JobId> jobs{};
  double seconds = 0;  // as predicted
};

struct BucketFigures {
  SizeBucket bucket;
  int max_batch_rows = 0, jobs = 0, rows_waiting = 0;
};

struct BatcherFigures {
  int jobs = 0, rows = 0;
  int wait_for_encode = 0, wait_for_denoise = 0, wait_for_decode = 0;
  // Jobs that have stepped and are not in the step that runs.
  int between_steps = 0;
  int batch_rows = 0;  // in the step that runs
  // To finish all jobs, one at a time.
  double backlog_seconds = 0;
  int64_t steps = 0, rows_stepped = 0, admitted = 0, ended = 0, cancelled = 0, failed = 0;
  std::array<int64_t, 7> refused{};  // by Refusal
  std::vector<BucketFigures> buckets{};
};

class Batcher {
 public:
  explicit Batcher(BatcherSettings settings = {});
  // A passing bucket is forgotten when it is idle and many newer ones have come.
  void add_bucket(const SizeBucket& bucket, StepTimes times, int max_batch_rows, bool passing = false);
  bool has_bucket(const SizeBucket& bucket) const { return bucket_of(bucket) < buckets_.size(); }
  const StepTimes& times(const SizeBucket& bucket) const;

  Admission consider(const BatchJob& job, double now);  // what admit() would say; changes nothing
  Admission admit(const BatchJob& job, double now);
  // Of a job admitted before: never refused; returns its predicted end.
  double readmit(const BatchJob& job, double now);
  std::map<JobId, double> forecast(double now) const { return ends(now, false); }  // when each will have ended

  // What to do now; kNothing also while the previous decision is not reported.
  const Decision& next(double now);
  void stepped(double seconds);
  void encoded(double seconds);
  void decoded(double seconds);  // and the job has ended
  // The decided step did not fit into the memory: its jobs are as before, and their bucket takes
  // fewer rows from now on. Returns false if the step had one job: that job cannot run.
  bool did_not_fit();

  // Removes a job, at any time; its rows are free at the next step. Returns false if it is not
  // there. The run that it is in must still be reported, whoever is left in it.
  bool cancel(JobId id);
  bool fail(JobId id);  // the same, counted as failed
  // The same, as if it had never been admitted: it goes to another device.
  bool withdraw(JobId id);
  // It makes no step but its first or the one that runs; then it is decoded.
  bool cut_short(JobId id);
  void correct(JobId id, int rows, int calls_left);  // replaces what was estimated at admission

  BatcherFigures figures() const;

 private:
  struct BucketState {
    SizeBucket bucket;
    StepTimes times;
    int max_batch_rows;
    bool passing = false;
    // Seconds that it may step before the next bucket's turn.
    double deficit = 0;
    // Rows of jobs that wait for a step; recounted for each decision.
    int rows_waiting = 0;
  };
  struct Entry {
    BatchJob job;
    size_t bucket;
    // Its arrival, plus a head start for each class above its own.
    double rank;
    Phase phase = Phase::kEncode;
    bool fresh = true;  // has not stepped
    // Its deadline or a later one is at risk.
    bool at_risk = false;
    bool in_wave = false;
  };

  // Which jobs may go before their rank.
  struct Urgency {
    bool deadlines = false, first_steps = false;
  };
  // The parts of the decided step that belong to jobs which went before their rank.
  struct BorrowedShare {
    double deadlines = 0, first_steps = 0;
  };

  // batcher.cpp: the life of a job
  Entry make(const BatchJob& job, size_t bucket) const;
  Entry* find(JobId id);
  bool drop(JobId id);
  size_t bucket_of(const SizeBucket& bucket) const;  // buckets_.size() where there is none
  double side_seconds(const Entry& entry) const;
  double alone_seconds(const Entry& entry) const;  // all that is left of it

  // batcher_ranking.cpp: which job goes next
  Decision next_run(double now);
  Decision next_of_wave();
  // Counts the rows that wait and finds the deadlines at risk.
  void look_around(double now);
  void mark_at_risk(std::vector<Entry*>& timed, double now) const;
  bool goes_before(const Entry& a, const Entry& b, Urgency urgency) const;
  const Entry* next_in_queue(Phase phase) const;
  const Entry* side_job(bool steps_wait) const;
  size_t bucket_in_turn();
  Decision step_of(size_t bucket);
  BorrowedShare borrowed_share_of(const std::vector<const Entry*>& batch, size_t bucket, Urgency urgency) const;
  std::vector<const Entry*> fill(size_t bucket, Urgency urgency) const;
  void start_wave();
  Decision side_run(const Entry& entry);

  // batcher_admission.cpp: which job is admitted
  std::vector<const Entry*> ranked(bool deadlines_first) const;
  std::map<JobId, double> ends(double now, bool deadlines_first) const;
  bool breaks_a_deadline(const std::map<JobId, double>& before, const std::map<JobId, double>& with, double now) const;
  Refusal room_for(const BatchJob& job) const;
  double seconds_to_room(double now) const;
  bool idle(size_t bucket) const;
  void leave_wave(const std::vector<JobId>& run, int max_batch_rows);

  BatcherSettings settings_;
  std::vector<BucketState> buckets_;
  std::map<JobId, Entry> jobs_;
  Decision running_;
  double running_since_ = 0;
  size_t bucket_running_ = 0;
  int batch_rows_ = 0;
  // The decided encode or decode keeps steps waiting.
  bool contended_ = false;
  BorrowedShare borrowed_share_;
  bool encode_ran_ = false, decode_ran_ = false;  // since the last step
  bool encode_ran_last_ = false;
  size_t turn_ = 0;
  TimeShare encode_share_, decode_share_, deadline_share_, first_step_share_;
  BatcherFigures counts_;
};

}  // namespace inkstone::serve
