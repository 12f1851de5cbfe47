#include "serve/jobs/job_records.h"

#include <algorithm>

namespace inkstone::serve {
namespace {

// As in serve/redis/ledger.lua.
constexpr double kSilence = 3, kHeadStart = 120;
constexpr size_t kMaxNotices = 10000;
constexpr int kMaxSwept = 32;
constexpr size_t kMaxExpired = 8;

// The first of those whose lease is over.
template <typename Record>
std::vector<std::string> expired(const std::map<std::string, Record>& all, double now) {
  std::vector<std::pair<double, std::string>> over;
  for (const auto& [name, record] : all)
    if (record.until <= now) over.emplace_back(record.until, name);
  std::ranges::sort(over);
  std::vector<std::string> names;
  for (const auto& [until, name] : over)
    if (names.size() < kMaxExpired) names.push_back(name);
  return names;
}

}  // namespace

void JobRecords::tick(double time) {
  if (now > 0 && time > now + kSilence) amnesty_ = time + settings.lease_seconds;
  now = time;
  while (!ended.empty() && ended.begin()->first <= now) {
    const std::string& order = ended.begin()->second;
    if (const auto key = keys.find(orders.at(order).order.idempotency); key != keys.end() && key->second == order)
      keys.erase(key);
    orders.erase(order);
    ended.erase(ended.begin());
  }
  std::erase_if(cancelled_early, [&](const auto& early) { return early.second <= now; });
}

KnownOrder* JobRecords::find(const std::string& order) {
  const auto found = orders.find(order);
  return found == orders.end() ? nullptr : &found->second;
}

JobRecord* JobRecords::job_of(const JobKey& key) {
  KnownOrder* record = find(key.order);
  const size_t image = static_cast<size_t>(key.image);
  return record && image < record->jobs.size() ? &record->jobs[image] : nullptr;
}

void JobRecords::add(NewOrder order) {
  const int images = static_cast<int>(order.jobs.size());
  KnownOrder& record = orders[order.id];
  for (NewJob& job : order.jobs) record.jobs.emplace_back().job = std::move(job);
  order.jobs.clear();
  record.order = std::move(order);
  record.arrival = now;
  record.rank = now - kHeadStart * static_cast<int>(record.order.priority);
  if (record.order.latest_start) record.latest_start = now + *record.order.latest_start;
  record.number = ++number_;
  record.left = images;
  clients[record.order.client] += images;
  counts.images += images;
  counts.orders++;
  for (int image = 0; image < images; image++) enqueue(record, {record.order.id, image});
  if (!record.order.idempotency.empty()) keys[record.order.idempotency] = record.order.id;
  if (record.order.gateway.empty()) return;
  const auto gateway = gateways.try_emplace(record.order.gateway, GatewayRecord{now + settings.lease_seconds}).first;
  gateway->second.orders[record.number] = record.order.id;
}

void JobRecords::enqueue(KnownOrder& record, const JobKey& key) {
  const JobRecord& job = record.jobs[static_cast<size_t>(key.image)];
  QueueRecord& queue = queues[record.order.queue];
  queue.lanes[job.job.lane].insert({record.rank, record.number, key});
  queue.queued++;
  queue.seconds += job.job.seconds;
  if (record.latest_start) latest_starts.insert({*record.latest_start, record.number, key});
}

void JobRecords::dequeue(KnownOrder& record, const JobKey& key) {
  const JobRecord& job = record.jobs[static_cast<size_t>(key.image)];
  QueueRecord& queue = queues.at(record.order.queue);
  const auto lane = queue.lanes.find(job.job.lane);
  lane->second.erase({record.rank, record.number, key});
  if (lane->second.empty()) queue.lanes.erase(lane);
  queue.queued--;
  queue.seconds = queue.queued > 0 ? queue.seconds - job.job.seconds : 0;
  if (record.latest_start) latest_starts.erase({*record.latest_start, record.number, key});
}

void JobRecords::unlease(KnownOrder& record, const JobKey& key) {
  hosts.at(record.jobs[static_cast<size_t>(key.image)].host).held.erase(key);
  queues.at(record.order.queue).leased--;
}

void JobRecords::note(const std::string& who, Notice notice) {
  if (who.empty()) return;
  std::deque<Notice>& inbox = inboxes[who];
  inbox.push_back(std::move(notice));
  if (inbox.size() > kMaxNotices) inbox.pop_front();
}

void JobRecords::end(const JobKey& key, JobStage stage, std::string result, std::string code, bool again) {
  KnownOrder& record = orders.at(key.order);
  JobRecord& job = *job_of(key);
  job.state.stage == JobStage::kQueued ? dequeue(record, key) : unlease(record, key);
  job.state.stage = stage;
  job.state.result = std::move(result);
  job.state.code = std::move(code);
  record.again |= again;
  if (--clients[record.order.client] == 0) clients.erase(record.order.client);
  counts.images--;
  (stage == JobStage::kDone        ? counts.done
   : stage == JobStage::kFailed    ? counts.failed
   : stage == JobStage::kCancelled ? counts.cancelled
                                   : counts.poison)++;
  note(record.order.gateway, {Notice::Kind::kEnded, key, ""});
  if (--record.left > 0) return;
  counts.orders--;
  if (const auto gateway = gateways.find(record.order.gateway); gateway != gateways.end())
    gateway->second.orders.erase(record.number);
  record.until = now + settings.kept_seconds;
  ended.insert({record.until, key.order});
}

// From a lease back into the queue, or to its end as poison.
void JobRecords::put_back(const JobKey& key, bool died) {
  KnownOrder& record = orders.at(key.order);
  JobRecord& job = *job_of(key);
  counts.deaths += died;
  job.state.deaths += died;
  if (job.state.deaths > settings.max_deaths) return end(key, JobStage::kPoison, "", "worker_died", true);
  unlease(record, key);
  job.state.stage = JobStage::kQueued;
  job.token.clear();
  job.host.clear();
  job.begun = false;
  job.alone |= died;
  enqueue(record, key);
}

bool JobRecords::end_order(const std::string& order, JobStage stage, const std::string& code) {
  KnownOrder& record = orders.at(order);
  bool any = false;
  for (int image = 0; image < static_cast<int>(record.jobs.size()); image++) {
    const JobKey key{order, image};
    const JobRecord& job = *job_of(key);
    if (has_ended(job.state.stage)) continue;
    if (job.state.stage == JobStage::kLeased) note(job.host, {Notice::Kind::kCancelled, key, job.token});
    end(key, stage, "", code, true);
    any = true;
  }
  return any;
}

// Hosts, gateways and latest starts whose time is over.
void JobRecords::sweep() {
  for (int i = 0; i < kMaxSwept && !latest_starts.empty() && latest_starts.begin()->at <= now; i++)
    end(JobKey(latest_starts.begin()->job), JobStage::kFailed, "", "deadline", true);
  if (now < amnesty_) return;
  int budget = kMaxSwept;
  for (const std::string& name : expired(hosts, now)) {
    std::map<JobKey, HeldRecord>& held = hosts.at(name).held;
    while (!held.empty() && budget-- > 0) {
      const JobKey key = held.begin()->first;
      put_back(key, job_of(key)->begun);
    }
    if (!held.empty()) return;
    inboxes.erase(name);
    hosts.erase(name);
  }
  for (const std::string& name : expired(gateways, now)) {
    std::map<int64_t, std::string>& own = gateways.at(name).orders;
    while (!own.empty() && budget-- > 0) {
      const std::string order = own.begin()->second;
      own.erase(own.begin());
      NewOrder& its = orders.at(order).order;
      its.gateway.clear();
      if (!its.stays && its.idempotency.empty()) end_order(order, JobStage::kCancelled, "gateway_died");
    }
    if (!own.empty()) return;
    inboxes.erase(name);
    gateways.erase(name);
  }
}

std::string JobRecords::faults() const {
  std::string text;
  const auto fault = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  int images = 0, live = 0;
  size_t starts = 0, held = 0, all_held = 0;
  std::map<std::string, int> of_clients, queued, leased;
  for (const auto& [id, record] : orders) {
    int left = 0;
    for (size_t i = 0; i < record.jobs.size(); i++) {
      const JobRecord& job = record.jobs[i];
      const JobKey key{id, static_cast<int>(i)};
      const std::string name = id + "." + std::to_string(i);
      const auto queue = queues.find(record.order.queue);
      const auto lane = queue->second.lanes.find(job.job.lane);
      const bool stands = lane != queue->second.lanes.end() && lane->second.contains({record.rank, record.number, key});
      const auto host = hosts.find(job.host);
      const bool is_held = host != hosts.end() && host->second.held.contains(key);
      if (stands != (job.state.stage == JobStage::kQueued)) fault(name + " and its lane do not fit together");
      if (is_held != (job.state.stage == JobStage::kLeased)) fault(name + " and its host do not fit together");
      if (has_ended(job.state.stage)) continue;
      left++;
      of_clients[record.order.client]++;
      (stands ? queued : leased)[record.order.queue]++;
      held += is_held;
      starts += stands && record.latest_start;
    }
    images += left;
    live += left > 0;
    if (left != record.left) fault(id + " counts " + std::to_string(record.left) + " left");
    if ((left == 0) != ended.contains({record.until, id})) fault(id + " is not forgotten in time");
    const auto gateway = gateways.find(record.order.gateway);
    const bool owned = gateway != gateways.end() && gateway->second.orders.contains(record.number);
    if (!record.order.gateway.empty() && owned != (left > 0)) fault(id + " and its gateway do not know each other");
  }
  for (const auto& [name, host] : hosts) all_held += host.held.size();
  for (const auto& [name, queue] : queues)
    if (queue.queued != (queued.contains(name) ? queued.at(name) : 0) ||
        queue.leased != (leased.contains(name) ? leased.at(name) : 0))
      fault(name + " counts wrong");
  if (starts != latest_starts.size()) fault("latest starts of other jobs");
  if (held != all_held) fault("hosts hold other jobs");
  if (of_clients != clients) fault("clients count wrong");
  if (images != counts.images || live != counts.orders) fault("the sums are wrong");
  return text;
}

}  // namespace inkstone::serve
