// A fleet in virtual time: gateways and hosts that die, are cut off, lose answers and say things twice. The same seed gives
// the same calls, so both stores must give the same answers, and end each image once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "redis_server.h"
#include "store_fixture.h"

namespace inkstone::serve {
namespace {

struct SimulatedHost {
  std::string name;
  std::vector<LeasedJob> held;
  std::vector<std::pair<LeasedJob, JobEnd>> said;  // whose answer was lost: said again
  double silent_until = 0, next_beat = 0;
};

class Fleet {
 public:
  Fleet(AnyStore& store, uint32_t seed, int orders) : store_(store), random_(seed), orders_(orders) {
    for (int i = 0; i < 20; i++) hosts_.push_back({"host" + std::to_string(i), {}, {}});
    for (int i = 0; i < 5; i++) gateways_.push_back("gateway" + std::to_string(i));
  }

  // What happened, line by line.
  std::vector<std::string> run() {
    while (submitted_ < orders_) step(true);
    for (int i = 0; i < 2000 && store_.figures().images > 0; i++) step(false);
    const StoreFigures figures = store_.figures();
    EXPECT_EQ(figures.images, 0);
    EXPECT_EQ(figures.orders, 0);
    EXPECT_EQ(figures.done + figures.failed + figures.cancelled + figures.poison, images_);
    EXPECT_EQ(store_.check(), "");
    for (const std::string& order : known_)
      if (store_.knows(order)) {
        const JobState state = store_.state(order);
        EXPECT_TRUE(has_ended(state.stage)) << order;
        EXPECT_LE(state.deaths, 3) << order;
        say("end " + order + " " + std::to_string(static_cast<int>(state.stage)) + " " + std::to_string(state.attempt) +
            " " + std::to_string(state.deaths) + " " + state.code + " " + state.result);
      }
    for (const auto& [job, times] : done_) EXPECT_EQ(times, 1) << job.order << "." << job.image << " was done twice";
    say("done " + std::to_string(figures.done) + " failed " + std::to_string(figures.failed) + " cancelled " +
        std::to_string(figures.cancelled) + " poison " + std::to_string(figures.poison) + " deaths " +
        std::to_string(figures.deaths) + " stale " + std::to_string(figures.stale));
    return std::move(log_);
  }

 private:
  int number(int below) { return static_cast<int>(random_() % static_cast<uint32_t>(below)); }
  bool chance(double p) { return random_() < p * 4294967296.0; }
  bool lost() { return chance(0.02); }
  bool twice() { return chance(0.02); }
  void say(std::string line) { log_.push_back(std::move(line)); }

  void step(bool submits) {
    const double jump = chance(0.001) ? 40 : 0.25;  // the store was away; sums of these have no rounding
    store_.set_clock(store_.clock + jump);
    if (submits)
      for (int i = number(4); i > 0; i--) submit();
    if (submits && chance(0.1) && !known_.empty()) {
      const std::string& order =
          known_[known_.size() - 1 - static_cast<size_t>(number(std::min(50, int(known_.size()))))];
      say("cancel " + order + " " +
          std::to_string(static_cast<int>(store_.cancel(order, "client" + order.substr(0, 1)))));
    }
    if (submits && chance(0.005)) {  // with its orders
      const size_t dead = static_cast<size_t>(number(5));
      gateways_[dead] = "gateway" + std::to_string(gateways_born_++);
      say("gateway dies");
    }
    if (++steps_ % 10 == 0)
      for (const std::string& gateway : gateways_) {
        store_.gateway_beat(gateway);
        say("told " + gateway + " " + std::to_string(store_.notices(gateway).size()));
      }
    for (SimulatedHost& host : hosts_) act(host, submits);
    if (steps_ % 1000 == 0) {
      EXPECT_EQ(store_.check(), "") << steps_;
    }
  }

  void submit() {
    const std::string client(1, static_cast<char>('a' + number(6)));
    NewOrder order = order_of(client + std::to_string(submitted_++), 1 + number(3));
    order.client = "client" + client;
    order.gateway = gateways_[static_cast<size_t>(number(5))];
    order.stays = chance(0.3);
    order.priority = static_cast<Priority>(number(3));
    order.queue = chance(0.8) ? "queue" : "other";
    if (chance(0.2)) order.latest_start = 1 + number(60);
    if (chance(0.2)) order.idempotency = client + std::to_string(number(200));
    for (NewJob& job : order.jobs) {
      job.lane = std::to_string(64 << number(3));
      job.rows = 1 + number(2);
    }
    order.limits.max_images = 300;
    order.limits.max_per_client = 100;
    const int times = lost() || twice() ? 2 : 1;
    for (int i = 0; i < times; i++) {
      const SubmitAnswer answer = store_.submit(order);
      say("submit " + order.id + " " + std::to_string(static_cast<int>(answer.state)) + " " + answer.order);
      if (answer.state != SubmitAnswer::State::kNew) continue;
      images_ += static_cast<int>(order.jobs.size());
      known_.push_back(order.id);
    }
  }

  void act(SimulatedHost& host, bool fails) {
    if (fails && chance(0.002)) {  // a machine dies; another takes its place
      say(host.name + " dies with " + std::to_string(host.held.size()));
      host = {"host" + std::to_string(hosts_born_++), {}, {}};
    }
    if (fails && chance(0.002)) host.silent_until = store_.clock + 5 + number(20);  // it is cut off, and works on
    const bool silent = store_.clock < host.silent_until;
    if (!silent) {
      for (auto& [job, end] : std::exchange(host.said, {})) finish(host, job, end, false);
      if (store_.clock >= host.next_beat) beat(host);
      if (host.held.size() < 3 && chance(0.3)) lease(host);
    }
    for (size_t i = 0; i < host.held.size();) {
      if (!chance(0.15)) {
        i++;
        continue;
      }
      const LeasedJob job = host.held[i];
      host.held.erase(host.held.begin() + static_cast<std::ptrdiff_t>(i));
      const double what = number(100);
      finish(host, job,
             what < 88   ? JobEnd::kDone
             : what < 91 ? JobEnd::kFailed
             : what < 93 ? JobEnd::kFailedNow
             : what < 98 ? JobEnd::kDied
                         : JobEnd::kReturned,
             silent);
    }
  }

  void finish(SimulatedHost& host, const LeasedJob& job, JobEnd end, bool silent) {
    if (silent) return host.said.emplace_back(job, end), void();
    const FinishAnswer answer = store_.finish(job, end, "result of " + job.token);
    say(host.name + " finishes " + job.job.order + "." + std::to_string(job.job.image) + " " +
        std::to_string(static_cast<int>(answer)));
    if (answer == FinishAnswer::kGood && end == JobEnd::kDone) done_[job.job]++;
    if (lost() || twice()) host.said.emplace_back(job, end);
  }

  void lease(SimulatedHost& host) {
    LeaseRequest request = lease_of(host.name, 1 + number(3));
    if (chance(0.3)) request.queues = {"other", "queue"};
    for (const LeasedJob& job : host.held) request.lanes.push_back({job.lane, number(4)});
    request.patience = 0.5;
    request.max_rows = 1 + number(4);
    const std::vector<LeasedJob> leases = store_.lease(std::move(request));
    const bool unheard = lost();
    for (const LeasedJob& job : leases) {
      say(host.name + " leases " + job.job.order + "." + std::to_string(job.job.image) + " " +
          std::to_string(job.attempt) + " " + std::to_string(job.deaths) + (job.alone ? " alone" : ""));
      if (!unheard) host.held.push_back(job);
    }
  }

  void beat(SimulatedHost& host) {
    host.next_beat = store_.clock + 2;
    std::vector<HeldJob> named;
    for (const LeasedJob& job : host.held) named.push_back(held_of(job, number(2) == 0));
    for (const auto& [job, end] : host.said) named.push_back(held_of(job));
    const BeatAnswer answer = store_.beat(host.name, named);
    if (lost()) return;
    for (const JobKey& gone : answer.gone) {
      say(host.name + " drops " + gone.order + "." + std::to_string(gone.image));
      std::erase_if(host.held, [&](const LeasedJob& job) { return job.job == gone; });
    }
  }

  AnyStore& store_;
  std::mt19937 random_;
  const int orders_;
  std::vector<SimulatedHost> hosts_;
  std::vector<std::string> gateways_, known_, log_;
  std::map<JobKey, int> done_;
  int submitted_ = 0, images_ = 0, hosts_born_ = 100, gateways_born_ = 100;
  int64_t steps_ = 0;
};

TEST(Simulation, ten_thousand_orders_end_once_each_and_alike_in_both_stores) {
  if (!RedisServer::there_is_one()) GTEST_SKIP() << "there is no redis-server here: tools/setup.sh test installs it";
  constexpr int kOrders = 10000;
  constexpr double kKept = 100000;  // longer than the test, in either time
  const auto memory = make_store(StoreKind::kMemory, kKept), redis = make_store(StoreKind::kRedis, kKept);
  const std::vector<std::string> of_memory = Fleet(*memory, 1, kOrders).run(),
                                 of_redis = Fleet(*redis, 1, kOrders).run();
  const auto context = [](const auto& log, auto at) {
    std::string text;
    for (auto line = at - std::min<std::ptrdiff_t>(10, at - log.begin()); line != log.end() && line <= at; ++line)
      text += "\n  " + *line;
    return text;
  };
  const auto [one, other] = std::ranges::mismatch(of_memory, of_redis);
  EXPECT_TRUE(one == of_memory.end() && other == of_redis.end())
      << "in memory:" << context(of_memory, one) << "\non Redis:" << context(of_redis, other);
  for (const char* what : {"stale 0", "poison 0", "deaths 0", "cancelled 0", "failed 0"})
    EXPECT_THAT(of_memory.back(), testing::Not(testing::HasSubstr(what))) << "the fleet has met too little";
  RecordProperty("ends", of_memory.back());
}

}  // namespace
}  // namespace inkstone::serve
