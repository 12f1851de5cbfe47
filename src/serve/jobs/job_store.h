// The queue of a fleet: what gateways submit, hosts lease and finish. A job is one image of an order; it is delivered at
// least once and ends exactly once, because each attempt has a token and only the newest token's result counts.
//
// Every call is one atomic transition. Its answer comes to `done` on the event thread, never from inside the call. Where
// the store is away the call may have taken effect or not, and may be said again: submit() then answers kKnown, finish()
// kDone, a lease that nobody heard of goes back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "serve/scheduling/batch_job.h"

namespace inkstone::serve {

struct JobKey {
  std::string order;  // 32 hex digits, drawn by who submits it, never used twice
  int image = 0;
  auto operator<=>(const JobKey&) const = default;
};

// Queued: a host may lease it. The others but kLeased are ends.
enum class JobStage { kQueued, kLeased, kDone, kFailed, kCancelled, kPoison };
constexpr bool has_ended(JobStage stage) { return stage >= JobStage::kDone; }

// ---- What gateways say.

struct NewJob {
  std::string lane;     // jobs of one lane can share a step: a size bucket, as text
  int rows = 2;         // of a batch
  double seconds = 0;   // of device time, as predicted
  std::string request;  // for the host; the store does not look into it
};

struct AdmissionLimits {            // compared in the same transition that admits
  int max_images = 1 << 30;         // in all orders that have not ended
  int max_per_client = 1 << 30;     // of them, of this client
  double max_queue_seconds = 1e12;  // of device time that waits in this queue already
};

struct NewOrder {
  std::string id;
  std::string client;       // opaque; whoever cancels must say the same
  std::string idempotency;  // opaque, with the client in it; empty: none
  std::string digest;       // of what was asked: another one under the same key is a conflict
  std::string gateway;      // to whose inbox its ends go; empty: nobody's
  bool stays = false;       // it goes on where its gateway has died
  Priority priority = Priority::kNormal;
  std::optional<double> latest_start;  // seconds from now, of each of its jobs; a job not leased then has failed
  std::string queue;                   // which hosts may draw it: the hash of model, build and kind of device
  std::vector<NewJob> jobs;            // 1 to 64
  AdmissionLimits limits;
};

struct SubmitAnswer {
  enum class State {
    kNew,
    kKnown,      // it was submitted before, by this very call
    kSame,       // the key stands for another order, which asks for the same
    kConflict,   // ... for something else
    kCancelled,  // before it was submitted
    kImagesFull,
    kClientFull,
    kQueueLong
  };
  State state = State::kNew;
  std::string order;         // kSame: that one
  double queue_seconds = 0;  // of device time that waits in its queue, without it
  int images = 0;            // kImagesFull, kClientFull: so many there are
};

enum class CancelAnswer {
  kNow,      // those of its images that had not ended are cancelled
  kEnded,    // all had ended
  kUnknown,  // if it is submitted later, it is refused
};

struct JobState {
  JobStage stage = JobStage::kQueued;
  int attempt = 0, deaths = 0;
  std::string result;  // kDone, kFailed: what the host said
  // Of an end that no host said: what cancel() did, "deadline", "worker_died", "gateway_died".
  std::string code;
};

struct OrderRecord {
  bool known = false;
  std::vector<JobState> images;
};

// ---- What hosts say.

struct LaneCredit {
  std::string lane;
  int rows = 0;
};

struct LeaseRequest {
  std::string host;                 // its incarnation, new at each start
  std::vector<std::string> queues;  // that it can draw, the first preferred
  int max_jobs = 1;                 // 1 to 16
  int max_rows = 2;                 // that it can ever run at once: larger jobs are not for it
  std::vector<LaneCredit> lanes;    // that it runs, and how many rows more of each it takes
  int other_rows = 0;               // ... of the lanes that it does not run
  double patience = 0;              // seconds that the head of another lane waits for a host that runs it
};

struct LeasedJob {
  JobKey job;
  std::string token;
  std::string queue, lane;
  int rows = 0, attempt = 1, deaths = 0;
  bool alone = false;                  // it was in a step when a host died: it must share none
  bool cut_short = false;              // its client wants what there is after one step
  double age = 0;                      // seconds since its order came
  std::optional<double> start_within;  // seconds
  Priority priority = Priority::kNormal;
  std::string client;
  std::string request;
};

struct HeldJob {
  JobKey job;
  std::string token;
  bool begun = false;  // a worker has been told of it: if the host dies, it is to blame
};

struct HostFigures {
  double speed = 0;           // seconds of device time that it does in a second, at its best batch
  double seconds_left = 0;    // of the jobs that it holds
  int rows = 0;               // in its steps
  bool draining = false;      // it leases no more
  std::string device, build;  // for `inkstone fleet status`
};

struct BeatAnswer {
  std::vector<JobKey> gone;  // named, but not its own any more: to be dropped
  // Its own, but not named: the answer to a lease, or a finish, was lost. After two beats a job goes back.
  std::vector<HeldJob> unnamed;
};

enum class JobEnd {
  kDone,
  kFailed,     // by its own fault; trying again does not help
  kFailedNow,  // ... may help: its idempotency key stands for nothing any more
  kDied,       // no end: a worker died while it ran this
  kReturned    // no end: it was not begun
};

// Of an attempt. kStale: another has it, or it has ended with another token. kDone: this was said before.
enum class FinishAnswer { kGood, kDone, kStale, kCancelled, kUnknown };

// ---- Inboxes: one for each gateway and host. What is lost with the store is found by states() and beat().

struct Notice {
  enum class Kind { kEnded, kCancelled, kCutShort };  // the last two for hosts
  Kind kind = Kind::kEnded;
  JobKey job;
  std::string token;  // kCancelled
};

struct QueueFigures {
  std::string queue;
  int queued = 0, leased = 0;
  double seconds_queued = 0;           // of device time
  int hosts = 0;                       // that lease
  double speed = 0, seconds_left = 0;  // sums over them
};

struct StoreFigures {
  int orders = 0;  // that have not ended
  int images = 0;
  int64_t done = 0, failed = 0, cancelled = 0, poison = 0, deaths = 0, stale = 0;
  std::vector<QueueFigures> queues;
};

struct StoreSettings {
  double lease_seconds = 10;  // without a beat; then a host counts as dead
  double kept_seconds = 600;  // an order that has ended, its results and its idempotency key
  int max_deaths = 2;         // of one job; more are poison
  int max_redraws = 2;
};

// kAway: it cannot be reached, or did not answer in time. kFull: its memory is. kBroken: it is not what it should be, as
// without its functions, or with another's rights.
enum class StoreFault { kNone, kAway, kFull, kBroken };

template <typename Answer>
struct StoreReply {
  std::optional<Answer> answer;
  StoreFault fault = StoreFault::kNone;  // where there is no answer
  explicit operator bool() const { return answer.has_value(); }
  const Answer& operator*() const { return *answer; }
  const Answer* operator->() const { return &*answer; }
};

template <typename Answer>
using Done = std::function<void(StoreReply<Answer>)>;
struct Told {};

class JobStore {
 public:
  virtual ~JobStore() = default;

  virtual void submit(NewOrder order, Done<SubmitAnswer> done) = 0;
  virtual void cancel(const std::string& order, const std::string& client, const std::string& code,
                      Done<CancelAnswer> done) = 0;
  // Its images that have not ended make no further step, but for a first.
  virtual void cut_short(const std::string& order, const std::string& client, Done<CancelAnswer> done) = 0;
  virtual void states(std::vector<std::string> orders, Done<std::vector<OrderRecord>> done) = 0;
  // Its answer was delivered: forgotten, unless its key or a stay keeps it.
  virtual void release(const std::string& order, Done<Told> done) = 0;
  // The file of an image that is done is gone: it is drawn again, to the same bytes. False: too often, or it has not ended.
  virtual void redraw(JobKey job, Done<bool> done) = 0;
  // Several times in a lease. Without it the gateway counts as dead, and its orders without `stays` or key are cancelled.
  virtual void gateway_beat(const std::string& gateway, Done<Told> done) = 0;

  // By rank: arrival, with a head start of two minutes for each class of priority; a job whose latest start is near goes first.
  virtual void lease(LeaseRequest request, Done<std::vector<LeasedJob>> done) = 0;
  virtual void beat(const std::string& host, const std::vector<std::string>& queues, const HostFigures& figures,
                    const std::vector<HeldJob>& held, Done<BeatAnswer> done) = 0;
  // kDied, kReturned: `result` is not kept.
  virtual void finish(const std::string& host, HeldJob job, JobEnd end, std::string result,
                      Done<FinishAnswer> done) = 0;

  virtual void notices(const std::string& who, Done<std::vector<Notice>> done) = 0;  // since the last call
  virtual void figures(Done<StoreFigures> done) = 0;
  // What does not fit together, as text; empty: all does. For tests; it looks at everything.
  virtual void check(Done<std::string> done) = 0;
};

}  // namespace inkstone::serve
