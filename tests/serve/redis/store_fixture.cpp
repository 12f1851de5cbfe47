#include "store_fixture.h"

#include <boost/asio/post.hpp>
#include <cmath>

#include "redis_server.h"
#include "serve/jobs/memory_job_store.h"
#include "serve/redis/redis_job_store.h"

namespace inkstone::serve {
namespace {

class InMemory final : public AnyStore {
 public:
  explicit InMemory(double kept_seconds)
      : store_(
            {.kept_seconds = kept_seconds}, [this] { return clock; }, poster()) {}
  JobStore& store() override { return store_; }
  void set_clock(double seconds) override { clock = seconds; }

 private:
  std::function<void(std::function<void()>)> poster() {
    return [this](auto call) { boost::asio::post(events, std::move(call)); };
  }
  MemoryJobStore store_;
};

// One server for all tests of the program; each test has a pool of its own.
class OnRedis final : public AnyStore {
 public:
  explicit OnRedis(double kept_seconds) {
    static int pools = 0;
    pool_ = "test" + std::to_string(pools++);
    run({"FUNCTION", "LOAD", "REPLACE", with_virtual_clock()});
    run({"HSET", "ink1:{" + pool_ + "}:cfg", "kept", std::to_string(std::llround(kept_seconds * 1000))});
    set_clock(clock);
    store_.emplace(*connection_, pool_);
  }
  JobStore& store() override { return *store_; }
  void set_clock(double seconds) override {
    clock = seconds;
    run({"SET", "ink1:{" + pool_ + "}:wall", std::to_string(std::llround(seconds * 1000))});
  }

 private:
  static RedisServer& server() {
    static RedisServer one;
    return one;
  }
  static std::string with_virtual_clock() {
    std::string library(redis_library());
    const std::string real = "redis.call('TIME')";
    const size_t at = library.find(real);
    EXPECT_NE(at, library.npos);
    return library.replace(
        at, real.size(),
        "{math.floor(redis.call('GET', P .. 'wall') / 1000), redis.call('GET', P .. 'wall') % 1000 * 1000}");
  }
  void run(std::vector<std::string> words) {
    bool over = false;
    connection_->call(std::move(words), [&](std::optional<RedisReply> reply) {
      over = true;
      ASSERT_TRUE(reply && reply->kind != RedisReply::Kind::kError) << (reply ? reply->text : "no reply");
    });
    events.restart();
    while (!over) events.run_one();
  }

  std::optional<RedisConnection> connection_{std::in_place, events, server().address()};
  std::string pool_;
  std::optional<RedisJobStore> store_;
};

}  // namespace

std::unique_ptr<AnyStore> make_store(StoreKind kind, double kept_seconds) {
  if (kind == StoreKind::kMemory) return std::make_unique<InMemory>(kept_seconds);
  return std::make_unique<OnRedis>(kept_seconds);
}

void AnyStore::advance(double seconds) {
  for (const double end = clock + seconds; clock < end;) {
    set_clock(std::min(end, clock + 1));
    gateway_beat("gateway");
  }
}

SubmitAnswer AnyStore::submit(NewOrder order) {
  return ask<SubmitAnswer>([&](auto done) { store().submit(std::move(order), done); });
}
CancelAnswer AnyStore::cancel(const std::string& order, const std::string& client) {
  return ask<CancelAnswer>([&](auto done) { store().cancel(order, client, "cancelled", done); });
}
CancelAnswer AnyStore::cut_short(const std::string& order) {
  return ask<CancelAnswer>([&](auto done) { store().cut_short(order, "client", done); });
}
std::vector<LeasedJob> AnyStore::lease(LeaseRequest request) {
  return ask<std::vector<LeasedJob>>([&](auto done) { store().lease(std::move(request), done); });
}
BeatAnswer AnyStore::beat(const std::string& host, const std::vector<HeldJob>& held, HostFigures figures) {
  return ask<BeatAnswer>([&](auto done) { store().beat(host, {"queue"}, figures, held, done); });
}
FinishAnswer AnyStore::finish(const LeasedJob& lease, JobEnd end, const std::string& result) {
  const std::string host = lease.token.substr(0, lease.token.find('/'));
  return ask<FinishAnswer>([&](auto done) { store().finish(host, {lease.job, lease.token}, end, result, done); });
}
void AnyStore::gateway_beat(const std::string& gateway) {
  ask<Told>([&](auto done) { store().gateway_beat(gateway, done); });
}
JobState AnyStore::state(const std::string& order, int image) {
  const auto records = ask<std::vector<OrderRecord>>([&](auto done) { store().states({order}, done); });
  EXPECT_TRUE(records.at(0).known) << order;
  return records.at(0).known ? records.at(0).images.at(static_cast<size_t>(image)) : JobState{};
}
bool AnyStore::knows(const std::string& order) {
  return ask<std::vector<OrderRecord>>([&](auto done) { store().states({order}, done); }).at(0).known;
}
std::vector<Notice> AnyStore::notices(const std::string& who) {
  return ask<std::vector<Notice>>([&](auto done) { store().notices(who, done); });
}
StoreFigures AnyStore::figures() {
  return ask<StoreFigures>([&](auto done) { store().figures(done); });
}
std::string AnyStore::check() {
  return ask<std::string>([&](auto done) { store().check(done); });
}

NewOrder order_of(const std::string& id, int images) {
  NewOrder order;
  order.id = id;
  order.client = "client";
  order.digest = "digest";
  order.gateway = "gateway";
  order.queue = "queue";
  for (int i = 0; i < images; i++) order.jobs.push_back({"64x64", 2, 10, "request " + std::to_string(i)});
  return order;
}

LeaseRequest lease_of(const std::string& host, int max_jobs) {
  LeaseRequest request;
  request.host = host;
  request.queues = {"queue"};
  request.max_jobs = max_jobs;
  request.max_rows = 8;
  request.other_rows = 2 * max_jobs;
  return request;
}

HeldJob held_of(const LeasedJob& lease, bool begun) { return {lease.job, lease.token, begun}; }

void JobStores::SetUp() {
  if (GetParam() == StoreKind::kRedis && !RedisServer::there_is_one())
    GTEST_SKIP() << "there is no redis-server here: tools/setup.sh test installs it";
  store_ = make_store(GetParam());
}

void JobStores::TearDown() {
  if (!store_) return;
  EXPECT_EQ(store_->check(), "");
}

}  // namespace inkstone::serve
