// Who steps together, what runs between steps, and who is admitted: for one device, without threads, clocks or devices.
// The caller says what time it is, does what next() decided and tells how it went. The same calls give the same
// decisions. Every call is O(jobs) or O(jobs log jobs), admit() O(jobs * rows of a batch).
//
// Promised in step mode, of every job that was admitted: only jobs whose turn() is before its own go ahead of it, besides
// what deadline_share and first_step_share allow. With W the most seconds that were there at once, one job after the
// other, it ends within head_start * (classes above it) + buckets * W / (those shares' rest * the steps' share) + a run.
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
  kOff,     // one job at a time, in order of arrival
  kStatic,  // a batch is filled when it starts; nothing joins until it has ended
  kStep     // jobs join and leave at every step
};

struct BatcherSettings {
  Batching batching = Batching::kStep;
  int max_jobs = 256, max_rows = 512;  // admitted and not ended
  double max_wait = 600;               // seconds to the predicted end
  double head_start = 120;             // seconds by which a class of priority is ahead of the next
  double encode_share = 0.25;          // of the time, while steps wait
  double decode_share = 0.5;
  double deadline_share = 0.75;   // for deadlines at risk, where it was another's turn
  double first_step_share = 0.4;  // for first steps, likewise
  double deadline_margin = 1.1;   // of the predicted seconds to the end
  bool first_step_first = true;   // a new job's first step goes before the later steps of others; not of low priority
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
  int parked = 0;              // have stepped, and are not in the step that runs
  int batch_rows = 0;          // in the step that runs
  double backlog_seconds = 0;  // of all that is left, one job at a time
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
  double readmit(const BatchJob& job, double now);  // it was admitted before: never refused; the predicted end
  std::map<JobId, double> forecast(double now) const { return ends(now, false); }  // when each will have ended

  // What to do now. kNothing too while what was decided before is not reported.
  const Decision& next(double now);
  void stepped(double seconds);
  void encoded(double seconds);
  void decoded(double seconds);  // and the job has ended
  // The step that was decided did not fit into the memory: its jobs are as before, and their bucket holds fewer rows from
  // now on. False where it was one job's: that job cannot run.
  bool did_not_fit();

  // At any time; its rows are free at the next step. False where it is not there. The run that it is in is reported all
  // the same, whoever is left in it.
  bool cancel(JobId id);
  bool fail(JobId id);       // the same, of the job's own fault
  bool withdraw(JobId id);   // the same: it goes to another device, as if it had not been admitted here
  bool cut_short(JobId id);  // no more steps than one in all, or the one that runs: its pixels are next
  void correct(JobId id, int rows, int calls_left);  // what was estimated when it was admitted

  BatcherFigures figures() const;

 private:
  struct BucketState {
    SizeBucket bucket;
    StepTimes times;
    int max_batch_rows;
    bool passing = false;
    double deficit = 0;    // seconds that it may step before it is another's turn
    int rows_waiting = 0;  // for a step; counted anew for each decision
  };
  struct Entry {
    BatchJob job;
    size_t bucket;
    double rank;  // when it arrived, later by a head start for each class above its own
    Phase phase = Phase::kEncode;
    bool fresh = true;     // has not stepped
    bool at_risk = false;  // its deadline, or one after it, is at risk
    bool in_wave = false;
  };

  struct Urgency {  // what may go before its turn
    bool deadlines = false, first_steps = false;
  };
  struct BorrowedShare {  // the parts of the decided step that are of jobs whose turn it was not
    double deadlines = 0, first_steps = 0;
  };

  // batcher.cpp: the life of a job
  Entry make(const BatchJob& job, size_t bucket) const;
  Entry* find(JobId id);
  bool drop(JobId id);
  size_t bucket_of(const SizeBucket& bucket) const;  // buckets_.size() where there is none
  double side_seconds(const Entry& entry) const;
  double alone_seconds(const Entry& entry) const;  // all that is left of it

  // batcher_ranking.cpp: who goes next
  Decision next_run(double now);
  Decision next_of_wave();
  void look_around(double now);  // counts the rows that wait, and finds the deadlines at risk
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

  // batcher_admission.cpp: who is admitted
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
  bool contended_ = false;  // the side run that was decided keeps steps waiting
  BorrowedShare borrowed_share_;
  bool encode_ran_ = false, decode_ran_ = false;  // since the last step
  bool encode_ran_last_ = false;
  size_t turn_ = 0;
  TimeShare encode_share_, decode_share_, deadline_share_, first_step_share_;
  BatcherFigures counts_;
};

}  // namespace inkstone::serve
