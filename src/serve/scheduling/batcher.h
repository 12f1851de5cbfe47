// Decides for one device which jobs share the next step, what runs between steps, and which jobs
// are admitted. It has no thread, clock or device: the caller passes the time, does what next()
// returns and reports how it went. The same calls give the same decisions. Every call is O(jobs) or
// O(jobs log jobs); admit() is O(jobs * (batch rows + buckets)).
//
// With Batching::kStep no admitted job starves. A job comes with a rank: its arrival plus
// head_start for each priority class above its own. Jobs run by rank, but deadlines at risk may
// borrow deadline_share of the time from others, and first steps first_step_share. Buckets share
// the time by weights, each at least 1 / (clients * buckets) of their sum. Let W be the largest
// backlog that there was, as the seconds of its jobs run one after the other. Then a rank is gone
// at most
//   T = head_start * (classes above it) + clients * buckets * W / (rest * steps_share) + one run
// after it came. Within a lane (bucket and priority) jobs exchange their ranks, so that clients
// share it evenly (client_shares.h); other lanes see nothing of that. With one client nobody passes
// an earlier job, and T is when a job has ended. With several, newcomers pass a job until the
// lane's clock has come to where it begins: at most w seconds from its arrival, the work of its
// client's jobs until its end. In each T the lane serves at least one image, of e seconds or more,
// and its clock advances by e / clients or more. So a job ends at most
//   (1 + clients * w / e) * T
// after its arrival; one of several legs has that for each of them, because it keeps its rank. In T,
//   rest = (1 - deadline_share) * (1 - first_step_share)
//   steps_share = 1 / (1 + encode_share / (1 - encode_share) + decode_share / (1 - decode_share))
//
// Where a device has not all models in memory that jobs wait for, bringing one in takes s seconds at
// most. A bucket whose model is not there is served in its turn alone, and its turn begins when it
// may run for turn_per_switch * s seconds: until then it saves what its turns give it. All jobs of
// the models that are there run as above. So of the time that is shared at least
// turn_per_switch / (turn_per_switch + 2) is no switching, and one turn of each bucket may stand
// before a job's: in T, W is to be multiplied by 1 + 2 / turn_per_switch, and
//   clients * buckets * (turn_per_switch + 2) * s
// comes to it. A deadline at risk may have a model brought in before its turn; that, and bringing
// back the other, is paid from the deadlines' share of the time.
#pragma once

#include <array>
#include <map>
#include <vector>

#include "serve/scheduling/admission.h"
#include "serve/scheduling/batch_job.h"
#include "serve/scheduling/batcher_settings.h"
#include "serve/scheduling/decision.h"
#include "serve/scheduling/job_table.h"
#include "serve/scheduling/loaded_models.h"
#include "serve/scheduling/run_chooser.h"
#include "serve/scheduling/step_times.h"

namespace inkstone::serve {

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

// methods: 26 allowed: a job is asked for by its number
class Batcher {
 public:
  explicit Batcher(BatcherSettings settings = {});
  void add_bucket(BatchBucket bucket);
  // Of two jobs that are there, whether the first one's turn is sooner.
  bool goes_before(JobId a, JobId b) const { return ranks_before(*table_.find(a), *table_.find(b)); }
  // Of one that is there: as it stands now.
  const BatchJob& job(JobId id) const { return table_.find(id)->job; }
  bool has_bucket(const SizeBucket& bucket) const { return table_.bucket_of(bucket).has_value(); }
  const StepTimes& times(const SizeBucket& bucket) const;

  Admission consider(const BatchJob& job, double now) const;  // what admit() would say
  Admission admit(const BatchJob& job, double now);
  void readmit(const BatchJob& job);                   // admitted before: never refused
  std::map<JobId, double> forecast(double now) const;  // when each will have ended

  // What to do now; kNothing also while the previous decision is not reported.
  const Decision& next(double now);
  // What the device has in memory now, and what bringing in a model took.
  void loaded(const std::vector<std::string>& models) { loaded_.set(models); }
  void switched(const std::string& model, double seconds) { loaded_.took(model, seconds); }
  double switch_seconds(const std::string& model) const { return loaded_.seconds(model); }
  bool is_loaded(const std::string& model) const { return loaded_.has(model); }
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
  // It makes no step but the first of its leg or the one that runs; then it is decoded. Where it waits for its next
  // leg, it does not begin that.
  bool cut_short(JobId id);
  void correct(JobId id, int rows, int calls_left);  // replaces what was estimated at admission

  BatcherFigures figures() const;

 private:
  void finish_run(double seconds);

  BatcherSettings settings_;
  JobTable table_;
  LoadedModels loaded_;
  RunChooser chooser_;  // of Batching::kStep
  PlannedRun run_;      // decided and not reported
  BatcherFigures counts_;
};

}  // namespace inkstone::serve
