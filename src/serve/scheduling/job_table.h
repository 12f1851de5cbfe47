// The jobs that were admitted to one device, and its size buckets: how far each job is, what is left
// of it, and how long the device takes for that. It decides nothing.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "serve/scheduling/client_shares.h"
#include "serve/scheduling/decision.h"
#include "serve/scheduling/job_entry.h"
#include "serve/scheduling/step_times.h"

namespace inkstone::serve {

struct BatchBucket {
  SizeBucket size;
  StepTimes times;
  int max_batch_rows;
  // It is forgotten when it has no jobs and many newer ones have come.
  bool passing = false;
  // If not 0: as many rows as the device has room for. The cap then follows from what was learnt.
  int room_rows = 0;
  int64_t added = 0;  // by the table: which it was
};

// methods: 27 allowed: what is left of a job is asked in parts
class JobTable {
 public:
  explicit JobTable(double head_start) : head_start_(head_start) {}

  // Returns its number. Throws Error if its size is there already. A passing bucket may take the
  // number of an older one that has no jobs and that `run`, which is under way, is not in.
  size_t add_bucket(BatchBucket bucket, const PlannedRun& run);
  const std::vector<BatchBucket>& buckets() const { return buckets_; }
  std::optional<size_t> bucket_of(const SizeBucket& size) const;
  size_t known_bucket(const SizeBucket& size) const;  // throws Error if there is none
  void limit_rows(size_t bucket, int max_batch_rows);

  // The job as it would stand here. Throws Error if its bucket is not there or it has no row: such
  // a one would never fill a step.
  JobEntry placed(const BatchJob& job) const;
  bool add(const BatchJob& job);  // returns false if the job is there already
  bool remove(JobId id);          // returns false if it is not there
  const std::map<JobId, JobEntry>& jobs() const { return jobs_; }
  const JobEntry* find(JobId id) const;

  // All jobs by their turns, as they would be with the newcomer too, if there is one.
  std::vector<ClientShares::Placed> line(const JobEntry* newcomer) const;
  // Whether it may go before its turn. Where several clients have jobs, only a client's first of a
  // lane may.
  bool may_pass(const Turn& turn, const JobEntry* newcomer = nullptr) const {
    return turn.leads || shares_.clients(newcomer) < 2;
  }

  // Of what is left, if the job had the device alone: encode and decode of its leg; all legs after that; everything.
  double side_seconds(const JobEntry& entry) const;
  double later_seconds(const JobEntry& entry) const;
  double alone_seconds(const JobEntry& entry) const;

  // What the job waits for between steps: its encode, in a later leg the beginning of that, or its decode.
  PlannedRun side_run(const JobEntry& entry) const;

  // The run has ended: its bucket learns what it took, and its jobs advance. One whose leg has ended stands in the
  // next one's bucket as if it came now, with the rank of its arrival. A job that was decoded stays until it is removed.
  void ran(const PlannedRun& run, double seconds);
  // These three do nothing if the job is not here.
  void cut_short(JobId id, int max_calls_left);  // and without the legs after this one
  void correct(JobId id, int rows, int calls_left);
  void set_in_wave(JobId id, bool in_wave);

 private:
  bool idle(size_t bucket) const;
  void begin_leg(JobId id);  // the next one
  JobEntry* entry_of(JobId id);
  std::vector<ClientShares::Placed> turns(const JobEntry& one_of_lane, const JobEntry* newcomer) const;
  // After one of its lane came or went.
  void arrange(const JobEntry& one_of_lane);
  // Everything that is left, in a full batch.
  double shared_seconds(const JobEntry& entry) const;

  double head_start_;
  int64_t added_ = 0;
  std::vector<BatchBucket> buckets_;
  std::map<JobId, JobEntry> jobs_;
  ClientShares shares_;
};

}  // namespace inkstone::serve
