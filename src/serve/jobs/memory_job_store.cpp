#include "serve/jobs/memory_job_store.h"

#include <algorithm>

namespace inkstone::serve {
namespace {

// As in serve/redis/ledger.lua.
constexpr double kUrgent = 5;
constexpr size_t kMaxLanesSeen = 32, kMaxJobsSeen = 8, kMaxUrgentSeen = 8;
constexpr int kMissedBeats = 2;

}  // namespace

MemoryJobStore::MemoryJobStore(StoreSettings settings, std::function<double()> now,
                               std::function<void(std::function<void()>)> post)
    : records_(settings), now_(std::move(now)), post_(std::move(post)) {}

// ---- What gateways say.

SubmitAnswer MemoryJobStore::admit(NewOrder& order) {
  using State = SubmitAnswer::State;
  if (records_.cancelled_early.contains(order.id)) return {State::kCancelled, "", 0, 0};
  if (const KnownOrder* known = records_.find(order.id)) {
    const bool same = known->order.digest == order.digest && known->order.client == order.client;
    return {same ? State::kKnown : State::kConflict, "", 0, 0};
  }
  if (const auto key = records_.keys.find(order.idempotency);
      !order.idempotency.empty() && key != records_.keys.end()) {
    const KnownOrder* other = records_.find(key->second);
    if (other && !other->again && other->order.digest == order.digest) return {State::kSame, key->second, 0, 0};
    if (other && !other->again) return {State::kConflict, "", 0, 0};
  }
  const auto queue = records_.queues.find(order.queue);
  const double waits = queue == records_.queues.end() ? 0 : queue->second.seconds;
  const int images = static_cast<int>(order.jobs.size());
  const auto client = records_.clients.find(order.client);
  const int of_client = client == records_.clients.end() ? 0 : client->second;
  if (of_client + images > order.limits.max_per_client) return {State::kClientFull, "", waits, of_client};
  if (records_.counts.images + images > order.limits.max_images)
    return {State::kImagesFull, "", waits, records_.counts.images};
  if (waits > order.limits.max_queue_seconds) return {State::kQueueLong, "", waits, 0};

  const int before = records_.counts.images;
  records_.add(std::move(order));
  return {State::kNew, "", waits, before};
}

void MemoryJobStore::submit(NewOrder order, Done<SubmitAnswer> done) {
  tick();
  answer(done, admit(order));
}

void MemoryJobStore::cancel(const std::string& order, const std::string& client, const std::string& code,
                            Done<CancelAnswer> done) {
  tick();
  const KnownOrder* record = records_.find(order);
  if (!record) records_.cancelled_early[order] = records_.now + records_.settings.kept_seconds;
  if (!record || record->order.client != client) return answer(done, CancelAnswer::kUnknown);
  answer(done, records_.end_order(order, JobStage::kCancelled, code) ? CancelAnswer::kNow : CancelAnswer::kEnded);
}

void MemoryJobStore::cut_short(const std::string& order, const std::string& client, Done<CancelAnswer> done) {
  tick();
  KnownOrder* record = records_.find(order);
  if (!record || record->order.client != client) return answer(done, CancelAnswer::kUnknown);
  bool any = false;
  for (int image = 0; image < static_cast<int>(record->jobs.size()); image++) {
    JobRecord& job = record->jobs[static_cast<size_t>(image)];
    if (has_ended(job.state.stage)) continue;
    if (job.state.stage == JobStage::kLeased) records_.note(job.host, {Notice::Kind::kCutShort, {order, image}, ""});
    any = job.cut = true;
  }
  answer(done, any ? CancelAnswer::kNow : CancelAnswer::kEnded);
}

void MemoryJobStore::states(std::vector<std::string> orders, Done<std::vector<OrderRecord>> done) {
  tick();
  std::vector<OrderRecord> records;
  for (const std::string& order : orders) {
    OrderRecord& record = records.emplace_back();
    const KnownOrder* known = records_.find(order);
    record.known = known != nullptr;
    if (known)
      for (const JobRecord& job : known->jobs) record.images.push_back(job.state);
  }
  answer(done, std::move(records));
}

void MemoryJobStore::release(const std::string& order, Done<Told> done) {
  tick();
  if (const KnownOrder* record = records_.find(order);
      record && record->left == 0 && record->order.idempotency.empty() && !record->order.stays) {
    records_.ended.erase({record->until, order});
    records_.orders.erase(order);
  }
  answer(done, Told{});
}

void MemoryJobStore::redraw(JobKey key, Done<bool> done) {
  tick();
  JobRecord* job = records_.job_of(key);
  if (!job || job->state.stage != JobStage::kDone || job->redraws >= records_.settings.max_redraws)
    return answer(done, false);
  KnownOrder& record = records_.orders.at(key.order);
  job->redraws++;
  job->state.stage = JobStage::kQueued;
  job->state.result.clear();
  job->token.clear();
  job->host.clear();
  job->begun = false;
  record.latest_start.reset();
  records_.counts.done--;
  records_.counts.images++;
  records_.clients[record.order.client]++;
  if (record.left++ == 0) {
    records_.counts.orders++;
    records_.ended.erase({record.until, key.order});
    if (!record.order.gateway.empty()) records_.gateways[record.order.gateway].orders[record.number] = key.order;
  }
  records_.enqueue(record, key);
  answer(done, true);
}

void MemoryJobStore::gateway_beat(const std::string& gateway, Done<Told> done) {
  tick();
  records_.gateways[gateway].until = records_.now + records_.settings.lease_seconds;
  records_.sweep();
  answer(done, Told{});
}

// ---- What hosts say.

std::vector<LeasedJob> MemoryJobStore::take(const LeaseRequest& request) {
  std::map<std::string, int> credit;
  for (const LaneCredit& lane : request.lanes) credit[lane.lane] = lane.rows;
  const bool idle = request.lanes.empty();
  int other = request.other_rows;
  std::vector<LeasedJob> leases;
  const size_t most = static_cast<size_t>(request.max_jobs);
  HostRecord& host = records_.hosts[request.host];
  host.until = records_.now + records_.settings.lease_seconds;

  const auto try_job = [&](const JobKey& key) {
    KnownOrder& record = records_.orders.at(key.order);
    JobRecord& job = *records_.job_of(key);
    if (job.job.rows > request.max_rows) return false;
    const auto own = credit.find(job.job.lane);
    int has = own == credit.end() ? 0 : own->second;
    if (own == credit.end() && (idle || records_.now - record.arrival >= request.patience)) has = other;
    if (job.job.rows > has) return false;
    if (own == credit.end()) other = 0;
    credit[job.job.lane] = has - job.job.rows;
    records_.dequeue(record, key);
    records_.queues.at(record.order.queue).leased++;
    job.state.stage = JobStage::kLeased;
    job.state.attempt++;
    job.token = request.host + "/" + std::to_string(++records_.tokens);
    job.host = request.host;
    job.begun = false;
    host.held[key] = {job.token};
    LeasedJob lease;
    lease.job = key;
    lease.token = job.token;
    lease.queue = record.order.queue;
    lease.lane = job.job.lane;
    lease.rows = job.job.rows;
    lease.attempt = job.state.attempt;
    lease.deaths = job.state.deaths;
    lease.alone = job.alone;
    lease.cut_short = job.cut;
    lease.age = records_.now - record.arrival;
    if (record.latest_start) lease.start_within = std::max(0.0, *record.latest_start - records_.now);
    lease.priority = record.order.priority;
    lease.client = record.order.client;
    lease.request = job.job.request;
    leases.push_back(std::move(lease));
    return true;
  };

  for (const std::string& name : request.queues) {
    const auto queue = records_.queues.find(name);
    if (queue == records_.queues.end()) continue;
    std::vector<JobKey> urgent;
    for (auto place = records_.latest_starts.lower_bound({records_.now, 0, {}});
         place != records_.latest_starts.end() && place->at <= records_.now + kUrgent && urgent.size() < kMaxUrgentSeen;
         ++place)
      urgent.push_back(place->job);
    for (const JobKey& key : urgent)
      if (leases.size() < most && records_.orders.at(key.order).order.queue == name) try_job(key);
    // Lanes by their first job's rank.
    std::vector<std::pair<JobPlace, std::string>> lanes;
    for (const auto& [lane, places] : queue->second.lanes) lanes.emplace_back(*places.begin(), lane);
    std::ranges::sort(lanes);
    if (lanes.size() > kMaxLanesSeen) lanes.resize(kMaxLanesSeen);
    std::set<std::string> closed;
    while (leases.size() < most) {
      const JobPlace* best = nullptr;
      for (const auto& [first, lane] : lanes) {
        const auto places = queue->second.lanes.find(lane);
        if (closed.contains(lane) || places == queue->second.lanes.end()) continue;
        const JobPlace* fits = nullptr;
        size_t seen = 0;
        for (const JobPlace& place : places->second) {
          if (seen++ == kMaxJobsSeen || fits) break;
          if (records_.job_of(place.job)->job.rows <= request.max_rows) fits = &place;
        }
        if (!fits) closed.insert(lane);
        if (fits && (!best || *fits < *best)) best = fits;
      }
      if (!best) break;
      const JobKey key = best->job;
      const std::string lane = records_.job_of(key)->job.lane;
      if (!try_job(key)) closed.insert(lane);
    }
  }
  return leases;
}

void MemoryJobStore::lease(LeaseRequest request, Done<std::vector<LeasedJob>> done) {
  tick();
  answer(done, take(request));
}

void MemoryJobStore::beat(const std::string& name, const std::vector<std::string>& queues, const HostFigures& figures,
                          const std::vector<HeldJob>& held, Done<BeatAnswer> done) {
  tick();
  HostRecord& host = records_.hosts[name];
  host.until = records_.now + records_.settings.lease_seconds;
  host.figures = figures;
  host.queues = queues;
  BeatAnswer said;
  std::set<JobKey> named;
  for (const HeldJob& one : held) {
    const auto its = host.held.find(one.job);
    if (its == host.held.end() || its->second.token != one.token) {
      said.gone.push_back(one.job);
      continue;
    }
    named.insert(one.job);
    its->second.missed = 0;
    records_.job_of(one.job)->begun |= one.begun;
  }
  std::vector<JobKey> back;
  for (auto& [key, its] : host.held) {
    if (named.contains(key)) continue;
    if (its.missed++ >= kMissedBeats)
      back.push_back(key);
    else
      said.unnamed.push_back({key, its.token});
  }
  for (const JobKey& key : back) records_.put_back(key, false);
  records_.sweep();
  answer(done, std::move(said));
}

void MemoryJobStore::finish(const std::string&, HeldJob held, JobEnd how, std::string result, Done<FinishAnswer> done) {
  tick();
  const JobRecord* job = records_.job_of(held.job);
  if (!job) return answer(done, FinishAnswer::kUnknown);
  const bool over = how != JobEnd::kDied && how != JobEnd::kReturned;
  if (job->state.stage != JobStage::kLeased || job->token != held.token) {
    if (job->state.stage == JobStage::kCancelled) return answer(done, FinishAnswer::kCancelled);
    const bool said =
        job->token == held.token && (job->state.stage == JobStage::kDone || job->state.stage == JobStage::kFailed);
    records_.counts.stale += over && !said;
    return answer(done, said ? FinishAnswer::kDone : FinishAnswer::kStale);
  }
  if (over)
    records_.end(held.job, how == JobEnd::kDone ? JobStage::kDone : JobStage::kFailed, std::move(result), "",
                 how == JobEnd::kFailedNow);
  else
    records_.put_back(held.job, how == JobEnd::kDied);
  answer(done, FinishAnswer::kGood);
}

void MemoryJobStore::notices(const std::string& who, Done<std::vector<Notice>> done) {
  std::vector<Notice> all;
  if (const auto inbox = records_.inboxes.find(who); inbox != records_.inboxes.end()) {
    all.assign(std::move_iterator(inbox->second.begin()), std::move_iterator(inbox->second.end()));
    records_.inboxes.erase(inbox);
  }
  answer(done, std::move(all));
}

void MemoryJobStore::figures(Done<StoreFigures> done) {
  StoreFigures figures = records_.counts;
  std::map<std::string, QueueFigures> queues;
  for (const auto& [name, queue] : records_.queues) {
    if (queue.queued + queue.leased == 0) continue;
    QueueFigures& its = queues[name];
    its.queued = queue.queued;
    its.leased = queue.leased;
    its.seconds_queued = queue.seconds;
  }
  for (const auto& [name, host] : records_.hosts)
    for (const std::string& queue : host.queues) {
      QueueFigures& its = queues[queue];
      its.seconds_left += host.figures.seconds_left;
      its.hosts += !host.figures.draining;
      its.speed += host.figures.draining ? 0 : host.figures.speed;
    }
  for (auto& [name, its] : queues) {
    its.queue = name;
    figures.queues.push_back(its);
  }
  answer(done, std::move(figures));
}

void MemoryJobStore::check(Done<std::string> done) { answer(done, records_.faults()); }

}  // namespace inkstone::serve
