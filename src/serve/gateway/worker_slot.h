// The place of one worker on a device. It starts a worker, has the batcher for its jobs, sends it
// one command at a time, and watches how long that takes. A worker that dies, hangs or sends
// nonsense is killed and its jobs are handed back; the next one starts after a pause, which grows
// while workers keep dying young.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "serve/gateway/model_list.h"
#include "serve/gateway/worker_process.h"
#include "serve/jobs/image_service.h"
#include "serve/jobs/settings.h"

namespace inkstone::serve {

// To its Hello: a large model, a slow disk, programs to compile.
inline constexpr double kWorkerStartSeconds = 600;

inline constexpr int kMaxFailedStarts = 3;

struct JobLeg {
  const ResolvedRequest& request;
  const Variant& variant;
};

// What a slot asks of the gateway and tells it.
class WorkerEvents {
 public:
  virtual ~WorkerEvents() = default;
  virtual double now() const = 0;
  virtual JobLeg leg_of(JobId job, int leg) const = 0;
  // Throws Error where the model that it was started with is not the one that is served. Gives that
  // one's key.
  virtual std::string greet(const Hello& hello) = 0;
  // How long images take with a variant, from earlier runs or as estimated; at least one size.
  virtual std::vector<ShapeTimes> times_of(const std::string& variant, const Hello& hello) const = 0;
  virtual void switched(const std::string& variant, double seconds) = 0;  // it was brought into memory
  virtual bool wants_preview(JobId job) = 0;
  virtual bool room_for_image() const = 0;

  virtual void joined() = 0;  // its worker is ready
  // Its worker has been told of it.
  virtual void begun(JobId job) = 0;
  // A leg has: the steps that it is to make there.
  virtual int started(JobId job, int leg, const Started& report) = 0;
  virtual void step_done(const std::vector<JobId>& jobs, double seconds) = 0;
  virtual void step_made(JobId job, double seconds) = 0;
  virtual void previewed(Preview preview) = 0;
  virtual void decode_begun(JobId job) = 0;
  virtual void finished(Finished report) = 0;
  virtual void failed(const JobFault& fault) = 0;
  struct Lost {
    JobId job;
    // It had been given to the worker.
    bool begun;
    // It was in the command that ran.
    bool blamed;
    bool alone;  // in that command
  };
  virtual void lost(const std::vector<Lost>& jobs, bool death) = 0;
  // After each report, or a death in place of one.
  virtual void answered() = 0;
  // Memory was short while something was told: what is known of jobs may not fit together.
  virtual void shaken() noexcept = 0;
};

// methods: 49 allowed: the same dispatcher takes its commands and its watchdog
class WorkerSlot final : public WorkerListener {
 public:
  // All of these outlive it.
  WorkerSlot(boost::asio::io_context& events, WorkerEvents& worker_events, ModelList& models,
             const ServeSettings& settings, std::string device, std::vector<std::string> program);

  // Several times a second: hung and dead workers, the next start.
  void tick(double now) noexcept;
  // Gives the next command, where there is one and the worker is free.
  void pump();
  // More time for the command that runs: the gateway itself stood still.
  void allow(double seconds);

  bool ready() const { return state_ == State::kReady; }
  bool accepts() const { return ready() && !retiring_; }
  bool idle() const { return accepts() && !running_ && jobs_.empty(); }
  // It failed again and again, and never was ready in between.
  bool cannot_start() const { return !ready() && failed_starts_ >= kMaxFailedStarts; }
  // Of the newest worker that was ready.
  const Hello* hello() const { return hello_ ? &*hello_ : nullptr; }

  Admission consider(const BatchJob& job);
  void take(const BatchJob& job);
  std::map<JobId, double> forecast() const { return batcher_.forecast(worker_events_.now()); }
  size_t jobs() const { return jobs_.size(); }
  bool has(JobId job) const { return jobs_.contains(job); }
  std::vector<JobId> job_ids() const;
  // The next job that has not begun and must wait: another worker may take it.
  std::optional<JobId> spare() const;
  void withdraw(JobId job);  // one that has not begun
  void drop(JobId job);      // it was cancelled
  void cut_short(JobId job);

  // Takes nothing new; replaced when its jobs have ended, or at that time.
  void retire(double until);
  bool retiring() const { return retiring_; }
  void close();  // for good

  double command_limit() const { return running_ ? running_->limit : 0; }  // seconds
  WorkerFigures figures() const;

 private:
  enum class State { kPaused, kStarting, kReady, kDying, kClosed };
  struct Held {
    BatchJob job;  // as it came
    bool begun = false;
  };
  struct Running {
    Decision decision{};
    SizeBucket bucket{};
    double since = 0, limit = 0;              // clock
    std::optional<ModelFile> describes = {};  // in place of a decision
  };

  void reported(WorkerReport report) override;
  void exited(std::string_view why) noexcept override;
  void look(double now);
  void start(double now);
  // Kills the worker and forgets its jobs, of which nobody is told.
  void fall(const char* how) noexcept;
  void die(const std::string& why, const char* how, bool death);
  void welcome(Hello hello);
  void answer(WorkerReport report);
  void on_start(const Started& report, double seconds);
  void on_step(const Decision& decision, Stepped report, double seconds);
  void on_misfit(const Decision& decision);
  void on_finish(Finished report, double seconds);
  void on_failure(const Decision& decision, const JobFault& fault);
  bool read_a_model();
  bool learn_loaded(const Running& run, const WorkerReport& report);
  void give(Decision decision);
  WorkerCommand command_for(const Decision& decision);
  void tell_drops();
  void ensure_bucket(const SizeBucket& bucket);
  void ensure_buckets(const BatchJob& job);  // of all its legs
  void add_bucket(const SizeBucket& bucket, const ShapeTimes& times, bool passing);
  const std::vector<ShapeTimes>& learn_times(const std::string& variant);
  ShapeTimes times_now(const std::string& variant, const ShapeTimes& then) const;
  double limit_for(const Decision& decision, const SizeBucket& bucket) const;
  BatcherSettings batcher_settings() const;

  boost::asio::io_context& events_;
  WorkerEvents& worker_events_;
  ModelList& models_;
  const ServeSettings& settings_;
  std::string device_;
  std::vector<std::string> program_;
  State state_ = State::kPaused;
  // While it is not ready: "starting", "dead", "hung".
  const char* how_ = "starting";
  std::unique_ptr<WorkerProcess> process_;
  std::optional<Hello> hello_;
  Batcher batcher_;
  std::map<JobId, Held> jobs_;
  std::string first_variant_;                             // of the model that the worker was started with
  std::map<std::string, std::vector<ShapeTimes>> times_;  // by variant, as they were at its first job
  // Shapes and commands whose time has been seen.
  std::set<std::pair<SizeBucket, Decision::Kind>> seen_;
  std::optional<Running> running_;
  // Decided, not given: there is no room for its pixels.
  std::optional<Decision> held_;
  // The worker is told before its next command.
  std::vector<JobId> drops_;
  double start_by_ = 0, next_start_ = 0, pause_ = 0, ready_since_ = 0, retire_by_ = 0;
  bool retiring_ = false;
  int restarts_ = 0;
  int failed_starts_ = 0;  // in a row
};

}  // namespace inkstone::serve
