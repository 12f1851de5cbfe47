// A place for a worker on one device: it starts workers one after the other, has one batcher for what they do, gives one command
// at a time, and watches how long that takes. A worker that dies, hangs or talks nonsense is killed, its jobs are handed back, and
// the next is started after a pause that grows while they do not live.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "serve/gateway/worker_process.h"
#include "serve/jobs/image_service.h"
#include "serve/jobs/settings.h"

namespace inkstone::serve {

inline constexpr double kWorkerStartSeconds = 600;  // to its Hello: a large model, a slow disk, programs to compile

class WorkerSlot;

class WorkerEvents {  // what slots ask, and tell
 public:
  virtual ~WorkerEvents() = default;
  virtual double now() const = 0;
  virtual const ImageRequest& request_of(JobId job) const = 0;
  virtual bool wants_preview(JobId job) = 0;
  virtual bool room_for_image() const = 0;

  virtual void joined(WorkerSlot& slot) = 0;                  // its worker is ready
  virtual void begun(JobId job) = 0;                          // its worker has been told of it
  virtual int started(JobId job, const Started& report) = 0;  // the steps that it is to make
  virtual void step_done(const std::vector<JobId>& jobs, double seconds) = 0;
  virtual void step_made(JobId job, double seconds) = 0;
  virtual void previewed(Preview preview) = 0;
  virtual void decode_begun(JobId job) = 0;
  virtual void finished(Finished report) = 0;
  virtual void failed(const JobFault& fault) = 0;
  struct Lost {
    JobId job;
    bool begun;   // it had been given to the worker
    bool blamed;  // it was in the command that ran
    bool alone;   // in that command
  };
  virtual void lost(const std::vector<Lost>& jobs, bool death) = 0;
  virtual void answered() = 0;  // after each report, or a death in place of one
};

class WorkerSlot final : public WorkerListener {
 public:
  WorkerSlot(boost::asio::io_context& events, WorkerEvents& worker_events, const ServeSettings& settings,
             std::string device, std::vector<std::string> program);

  void tick(double now);       // several times a second: hung and dead workers, the next start
  void pump();                 // gives the next command, where there is one and the worker is free
  void allow(double seconds);  // more time for the command that runs: the gateway itself stood still

  bool ready() const { return state_ == State::kReady; }
  bool accepts() const { return ready() && !leaving_; }
  bool idle() const { return accepts() && !running_ && jobs_.empty(); }
  const Hello* hello() const { return hello_ ? &*hello_ : nullptr; }  // of the newest worker that was ready

  Admission consider(const BatchJob& job);
  double take(const BatchJob& job);  // the predicted end
  std::map<JobId, double> forecast() const { return batcher_.forecast(worker_events_.now()); }
  size_t jobs() const { return jobs_.size(); }
  std::optional<JobId> spare() const;  // a job that another worker may have: it has not begun, and must wait
  void withdraw(JobId job);            // one that has not begun
  void drop(JobId job);                // it was cancelled
  void cut_short(JobId job);

  void leave(double until);  // takes nothing new, and is replaced when its jobs have ended, at the latest then
  bool leaving() const { return leaving_; }
  void close();  // for good

  double command_limit() const { return running_ ? running_->limit : 0; }  // seconds
  WorkerFigures figures() const;

 private:
  enum class State { kPaused, kStarting, kReady, kDying, kClosed };
  struct Held {
    SizeBucket bucket;
    bool begun = false;
  };
  struct Running {
    Decision decision;
    SizeBucket bucket;
    double since = 0, limit = 0;  // clock
  };

  void said(WorkerReport report) override;
  void left(const std::string& why) override;
  void start(double now);
  void die(const std::string& why, const char* how, bool death);
  void welcome(Hello hello);
  void answer(WorkerReport report);
  void on_start(const Started& report, double seconds);
  void on_step(const Decision& decision, Stepped report, double seconds);
  void on_misfit(const Decision& decision);
  void on_finish(Finished report, double seconds);
  void on_failure(const Decision& decision, const JobFault& fault);
  void give(Decision decision);
  WorkerCommand command_for(const Decision& decision);
  void tell_drops();
  void ensure_bucket(const SizeBucket& bucket);
  void add_measured_bucket(const ShapeTimes& times);
  int max_batch_rows(const StepTimes& times) const;
  double limit_for(const Decision& decision, const SizeBucket& bucket) const;
  BatcherSettings batcher_settings() const;

  boost::asio::io_context& events_;
  WorkerEvents& worker_events_;
  const ServeSettings& settings_;
  std::string device_;
  std::vector<std::string> program_;
  State state_ = State::kPaused;
  const char* how_ = "starting";  // while it is not ready: "starting", "dead", "hung"
  std::unique_ptr<WorkerProcess> process_;
  std::optional<Hello> hello_;
  Batcher batcher_;
  std::map<JobId, Held> jobs_;
  std::set<std::pair<SizeBucket, Decision::Kind>> seen_;  // shapes and commands whose time has been seen
  std::optional<Running> running_;
  std::optional<Decision> held_;  // decided, not given: there is no room for its pixels
  std::vector<JobId> drops_;      // the worker is told before its next command
  double start_by_ = 0, next_start_ = 0, pause_ = 0, ready_since_ = 0, leave_until_ = 0;
  bool leaving_ = false;
  int restarts_ = 0;
};

}  // namespace inkstone::serve
