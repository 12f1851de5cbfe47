// The queue behind a small interface: in memory here, shared by many machines later. Delivery is at least once, a job's
// end exactly once: only the newest attempt's result counts, and a job that was there at too many deaths is poison.
// Without threads and clocks: the caller says what time it is, and it never goes back.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "serve/scheduling/batch_job.h"

namespace inkstone::serve {

struct Submission {
  JobId id = 0;             // chosen by who submits; never used twice
  std::string request;      // what the worker gets
  std::string idempotency;  // key of the client's, with the client's name in it; empty: none
  Priority priority = Priority::kNormal;
  int rows = 2;
};

struct Lease {
  JobId id = 0;
  int attempt = 0;  // from 1
  int deaths = 0;   // that it was there at: run it without company
  std::string request;
  double until = 0;
};

enum class End {
  kDone,
  kFailed,     // by its own fault
  kCancelled,  // by cancel() alone
  kPoison,     // by the broker alone
  kDied,       // no end: the worker died, or hung, while it ran this; it is tried again
  kReturned    // no end: the worker gives it back untouched, or died without running it
};

struct Ended {  // a job's one answer
  JobId id = 0;
  End end = End::kDone;
  std::string result;
};

enum class Submitted { kNew, kSame, kEnded, kConflict, kCancelled, kKnown };
struct Receipt {
  Submitted state = Submitted::kNew;
  JobId id = 0;                  // kSame, kEnded: the job that the key stands for
  const Ended* ended = nullptr;  // kEnded: its answer; valid until the next call
};

enum class Standing { kGood, kCancelled, kStale, kUnknown };  // of an attempt. kStale: another has it, or it has ended
enum class Cancelled { kNow, kBefore, kTooLate, kUnknown };   // kUnknown: if it is submitted later, it is refused

struct BrokerSettings {
  double lease_seconds = 10;  // without extend(); then it counts as died
  int max_deaths = 2;         // more are poison
  double kept_seconds = 600;  // an answer, for its idempotency key and late questions
  size_t max_kept = 1024;     // answers
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
  // The next_in_queue of at most so many rows: by priority, then in order of submission, tried again or not.
  virtual std::optional<Lease> lease(int rows, double now) = 0;
  virtual Standing extend(JobId id, int attempt, double now) = 0;
  // kGood: the result is the job's answer (or kDied, kReturned: it goes back). Else it is dropped.
  virtual Standing finish(JobId id, int attempt, End end, std::string result, double now) = 0;
  virtual Cancelled cancel(JobId id, double now) = 0;
  virtual std::vector<Ended> collect(double now) = 0;  // the answers since the last call, each once
  virtual BrokerStats stats(double now) = 0;
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

  void pass_time(double now);  // leases that ran out, answers kept long enough
  void end(Jobs::iterator job, End end, std::string result, double now);
  void put_back(Jobs::iterator job, bool died, double now);
  Standing standing(JobId id, int attempt) const;
  void forget_oldest();

  BrokerSettings settings_;
  Jobs jobs_;
  std::map<JobId, Kept> kept_;
  std::deque<std::pair<double, JobId>> to_forget_;  // by time
  std::map<std::string, JobId> keys_;               // idempotency key -> held or kept job
  std::map<JobId, double> cancelled_early_;         // until when that is remembered
  std::vector<Ended> ended_;
  BrokerStats stats_;
};

}  // namespace inkstone::serve
