// The job queue behind a small interface: in memory here, shared by many machines later. A job is
// delivered at least once and ends exactly once: only the newest attempt's result counts, and a job
// that was run at too many worker deaths is poison. Without threads and clocks: the caller passes
// the time, which never goes back.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "serve/scheduling/batch_job.h"

namespace inkstone::serve {

struct Submission {
  // Chosen by who submits; never used twice.
  JobId id = 0;
  std::string request;  // what the worker gets
  // Key of the client's, with the client's name in it; empty: none.
  std::string idempotency;
  Priority priority = Priority::kNormal;
  int rows = 2;
};

struct Lease {
  JobId id = 0;
  int attempt = 0;  // from 1
  // Worker deaths while it ran: let it share no step.
  int deaths = 0;
  std::string request;
  double until = 0;
};

enum class End {
  kDone,
  kFailed,     // by its own fault
  kCancelled,  // by cancel() alone
  kPoison,     // by the broker alone
  // No end: the worker died, or hung, while it ran this; it is tried again.
  kDied,
  // No end: the worker gives it back untouched, or died without running it.
  kReturned
};

struct Ended {  // a job's one answer
  JobId id = 0;
  End end = End::kDone;
  std::string result;
};

enum class Submitted { kNew, kSame, kEnded, kConflict, kCancelled, kKnown };
struct Receipt {
  Submitted state = Submitted::kNew;
  // kSame, kEnded: the job that the key stands for.
  JobId id = 0;
  // kEnded: its answer; valid until the next call.
  const Ended* ended = nullptr;
};

// Of an attempt. kStale: another has it, or it has ended.
enum class Standing { kGood, kCancelled, kStale, kUnknown };
// kUnknown: if it is submitted later, it is refused.
enum class Cancelled { kNow, kBefore, kTooLate, kUnknown };

struct BrokerSettings {
  // Without extend(); then it counts as died.
  double lease_seconds = 10;
  int max_deaths = 2;  // more are poison
  // An answer, for its idempotency key and late questions.
  double kept_seconds = 600;
  size_t max_kept = 1024;  // answers
};

struct BrokerStats {
  int queued = 0, leased = 0, kept = 0;
  int64_t submitted = 0, deliveries = 0, deaths = 0, stale_results = 0;
  int64_t done = 0, failed = 0, cancelled = 0, poison = 0;
};

class Broker {
 public:
  virtual ~Broker() = default;
  virtual Receipt submit(const Submission& submission, double now) = 0;
  // The next job of at most so many rows: by priority, then in order of submission, tried again or
  // not.
  virtual std::optional<Lease> lease(int rows, double now) = 0;
  virtual Standing extend(JobId id, int attempt, double now) = 0;
  // kGood: the result is the job's answer (or kDied, kReturned: it goes back). Else it is dropped.
  virtual Standing finish(JobId id, int attempt, End end, std::string result, double now) = 0;
  virtual Cancelled cancel(JobId id, double now) = 0;
  // The answers since the last call, each once.
  virtual std::vector<Ended> collect(double now) = 0;
  virtual BrokerStats stats(double now) = 0;
  virtual bool waits(JobId id) const = 0;  // to be leased
};

class MemoryBroker : public Broker {
 public:
  explicit MemoryBroker(BrokerSettings settings = {}) : settings_(settings) {}
  Receipt submit(const Submission& submission, double now) override;
  std::optional<Lease> lease(int rows, double now) override;
  Standing extend(JobId id, int attempt, double now) override;
  Standing finish(JobId id, int attempt, End end, std::string result, double now) override;
  Cancelled cancel(JobId id, double now) override;
  std::vector<Ended> collect(double now) override;
  BrokerStats stats(double now) override;
  bool waits(JobId id) const override;

 private:
  struct Held {  // not ended
    Submission submission;
    int64_t order;
    int attempt = 0, deaths = 0;
    std::optional<double> until{};  // leased
  };
  struct Kept {
    Ended ended;
    std::string request, idempotency;
    double until;
  };
  using Jobs = std::map<JobId, Held>;
  struct Place {  // in the queue
    int below;    // 0 and less: the priority, negated
    int64_t order;
    JobId id;
    auto operator<=>(const Place&) const = default;
  };

  // Leases that ran out, answers kept long enough.
  void pass_time(double now);
  void end(Jobs::iterator job, End end, std::string result, double now);
  void put_back(Jobs::iterator job, bool died, double now);
  static Place place_of(Jobs::const_iterator job);
  void lease_until(Held& job, std::optional<double> until);
  Standing standing(JobId id, int attempt) const;
  void forget_oldest();

  BrokerSettings settings_;
  Jobs jobs_;
  // Each job stands in one of these.
  std::set<Place> waiting_;
  std::set<std::pair<double, JobId>> leases_;  // by their end
  std::map<JobId, Kept> kept_;
  std::deque<std::pair<double, JobId>> to_forget_;  // by time
  // Idempotency key -> held or kept job.
  std::map<std::string, JobId> keys_;
  std::set<JobId> cancelled_early_;
  std::deque<std::pair<double, JobId>> early_to_forget_;  // by time
  std::vector<Ended> ended_;
  BrokerStats stats_;
};

}  // namespace inkstone::serve
