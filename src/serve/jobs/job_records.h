// What a job store in memory knows: orders, queues, hosts, gateways, and the moves of one job between them.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "serve/jobs/job_store.h"

namespace inkstone::serve {

struct JobRecord {
  NewJob job;
  JobState state;
  std::string token, host;
  bool alone = false, cut = false, begun = false;
  int redraws = 0;
};
struct KnownOrder {
  NewOrder order;  // without its jobs
  std::vector<JobRecord> jobs;
  double arrival = 0, rank = 0;
  std::optional<double> latest_start;
  int64_t number = 0;
  int left = 0;
  bool again = false;  // its key stands for nothing any more
  double until = 0;    // where it has ended
};
struct JobPlace {  // in a lane, and among the latest starts
  double at;
  int64_t number;
  JobKey job;
  auto operator<=>(const JobPlace&) const = default;
};
struct HeldRecord {
  std::string token;
  int missed = 0;
};
struct HostRecord {
  double until = 0;
  HostFigures figures{};
  std::vector<std::string> queues{};
  std::map<JobKey, HeldRecord> held{};
};
struct GatewayRecord {
  double until = 0;
  std::map<int64_t, std::string> orders{};  // that have not ended, by number
};
struct QueueRecord {
  std::map<std::string, std::set<JobPlace>> lanes{};
  int queued = 0, leased = 0;
  double seconds = 0;
};

class JobRecords {
 public:
  explicit JobRecords(StoreSettings wanted) : settings(wanted) {}

  void tick(double now);  // the time of a call that changes something
  KnownOrder* find(const std::string& order);
  JobRecord* job_of(const JobKey& key);
  void add(NewOrder order);  // one that is admitted
  void enqueue(KnownOrder& record, const JobKey& key);
  void dequeue(KnownOrder& record, const JobKey& key);
  // From the queue or a lease to an end. `again`: its idempotency key stands for nothing any more.
  void end(const JobKey& key, JobStage stage, std::string result, std::string code, bool again);
  void put_back(const JobKey& key, bool died);  // from a lease; its last death is its end
  bool end_order(const std::string& order, JobStage stage, const std::string& code);  // what has not ended of it
  void sweep();  // hosts, gateways and latest starts whose time is over
  void note(const std::string& who, Notice notice);
  std::string faults() const;  // what does not fit together

  const StoreSettings settings;
  double now = 0;
  std::map<std::string, KnownOrder> orders;
  std::map<std::string, QueueRecord> queues;
  std::set<JobPlace> latest_starts;
  std::map<std::string, HostRecord> hosts;
  std::map<std::string, GatewayRecord> gateways;
  std::map<std::string, std::deque<Notice>> inboxes;
  std::map<std::string, std::string> keys;  // idempotency -> order
  std::map<std::string, double> cancelled_early;
  std::set<std::pair<double, std::string>> ended;  // orders, by when they are forgotten
  std::map<std::string, int> clients;              // images that have not ended
  int64_t tokens = 0;
  StoreFigures counts;

 private:
  void unlease(KnownOrder& record, const JobKey& key);

  double amnesty_ = 0;
  int64_t number_ = 0;
};

}  // namespace inkstone::serve
