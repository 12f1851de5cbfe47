// Workers die, hang and talk nonsense: their images come all the same, with the same bytes.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>

#include "serve/gateway/canary.h"
#include "serve/gateway/gateway_fixture.h"

namespace inkstone::serve {
namespace {

FixtureOptions quick_watchdog(std::vector<std::string> flags = {"step_ms=2"}) {
  FixtureOptions options{quick_settings(), std::move(flags)};
  options.settings.watchdog_min = 0.4;
  return options;
}

TEST(Workers, that_fail_in_any_phase_and_way_leave_the_same_image_and_its_company) {
  GatewayFixture fixture(quick_watchdog());
  ASSERT_TRUE(fixture.ready());
  int failures = 0;
  const std::map<std::string, std::string> only_at{
      {"rowless", "encode"}, {"callless", "encode"}, {"stranger", "encode"}, {"large", "decode"}};
  for (const std::string what : {"die", "leave", "garbage", "wrong", "rowless", "callless", "stranger", "early",
                                 "failed", "unasked", "large", "unusable", "stop"}) {
    for (const std::string where : {"encode", "step:1", "step:4", "step:6", "decode"}) {
      if (what != "die" && where != (only_at.contains(what) ? only_at.at(what) : "step:4")) continue;
      const OrderState* company = fixture.submit("company", 12);
      const OrderState* order = fixture.submit(what + "@" + where + " times:1:" + fixture.counter(), 6);
      EXPECT_EQ(fixture.end_of(order), "done") << what << where;
      EXPECT_EQ(fixture.end_of(company), "done") << what << where;
      EXPECT_TRUE(as_alone(*order) && as_alone(*company)) << what << where;
      EXPECT_EQ(order->images[0].attempt, 2) << what << where;
      EXPECT_EQ(order->images[0].warnings, std::vector<std::string>{"it is simulated"}) << "once, not once an attempt";
      failures++;
    }
  }
  EXPECT_EQ(fixture.gateway.figures().worker_deaths, failures);
  EXPECT_GE(fixture.gateway.figures().retries, failures);
  EXPECT_TRUE(fixture.until([] { return children() == 1; }));
}

TEST(Workers, whose_model_is_another_than_is_served_are_refused_until_the_operator_asks_for_it) {
  const std::string changed = "/tmp/inkstone_changed_" + std::to_string(getpid());
  FixtureOptions options{quick_settings(), {"another_if:" + changed}};
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  std::ofstream(changed) << "now";
  kill(fixture.pids()[0], SIGKILL);
  EXPECT_TRUE(fixture.until([&] { return fixture.gateway.figures().workers[0].restarts >= 4; }));
  EXPECT_EQ(fixture.refused("x").code, "not_ready");
  EXPECT_EQ(fixture.gateway.models().at(0).card->fingerprint, "one");
  fixture.gateway.replace_workers();
  EXPECT_TRUE(fixture.ready()) << "a worker that could not start is asked too";
  EXPECT_EQ(fixture.gateway.models().at(0).card->fingerprint, "another");
  EXPECT_EQ(fixture.end_of(fixture.submit("y")), "done");
  std::filesystem::remove(changed);
  fixture.gateway.replace_workers();  // while it runs
  EXPECT_TRUE(fixture.until([&] { return fixture.gateway.models().at(0).card->fingerprint == "one"; }));
  EXPECT_EQ(fixture.end_of(fixture.submit("z")), "done");
}

TEST(Workers, that_are_stopped_or_killed_from_outside_are_replaced) {
  GatewayFixture fixture(quick_watchdog());
  ASSERT_TRUE(fixture.ready());
  for (const int signal : {SIGSTOP, SIGKILL}) {
    const int pid = fixture.pids().at(0);
    const OrderState* order = fixture.submit("x", 100);
    ASSERT_TRUE(fixture.until([&] { return order->images[0].call > 3; }));
    kill(pid, signal);
    EXPECT_EQ(fixture.end_of(order), "done");
    EXPECT_TRUE(as_alone(*order));
    EXPECT_NE(fixture.pids().at(0), pid);
    EXPECT_EQ(kill(pid, 0), -1) << "it is gone";
  }
}

TEST(Workers, poison_fails_and_its_company_survives) {
  GatewayFixture fixture(quick_watchdog());
  ASSERT_TRUE(fixture.ready());
  const OrderState* company = fixture.submit("company", 30);
  const OrderState* poison = fixture.submit("die@step:3", 6);
  EXPECT_EQ(fixture.end_of(poison), "worker_died");
  EXPECT_FALSE(poison->images[0].failure.message.empty());
  EXPECT_EQ(fixture.end_of(company), "done");
  EXPECT_TRUE(as_alone(*company));
  const int64_t deaths = fixture.gateway.figures().worker_deaths;
  EXPECT_GE(deaths, 2);
  EXPECT_LE(deaths, 3);
  EXPECT_EQ(fixture.end_of(fixture.submit("after")), "done");
}

TEST(Workers, what_is_not_a_number_fails_alone) {
  GatewayFixture fixture(quick_watchdog());
  ASSERT_TRUE(fixture.ready());
  for (const std::string where : {"encode", "step:3", "decode"}) {
    const OrderState* company = fixture.submit("company", 8);
    const OrderState* order = fixture.submit("nan@" + where, 6);
    EXPECT_EQ(fixture.end_of(order), "nan_output");
    EXPECT_EQ(fixture.end_of(company), "done");
    EXPECT_TRUE(as_alone(*company));
  }
  EXPECT_EQ(fixture.gateway.figures().worker_deaths, 0);
  EXPECT_EQ(fixture.gateway.figures().failures, (std::vector<std::pair<std::string, int64_t>>{{"nan_output", 3}}));
}

TEST(Workers, a_step_that_does_not_fit_is_made_smaller) {
  for (const Batching mode : {Batching::kStatic, Batching::kStep}) {
    FixtureOptions options = quick_watchdog({"step_ms=2", "fits=2"});
    options.settings.batching = mode;
    GatewayFixture fixture(options);
    ASSERT_TRUE(fixture.ready());
    std::vector<const OrderState*> orders;
    for (int i = 0; i < 6; i++) orders.push_back(fixture.submit("x" + std::to_string(i), 6));
    for (const OrderState* order : orders) {
      EXPECT_EQ(fixture.end_of(order), "done");
      EXPECT_TRUE(as_alone(*order));
    }
    EXPECT_EQ(fixture.gateway.figures().worker_deaths, 0);
  }
  GatewayFixture fixture(quick_watchdog({"fits=0.5"}));
  ASSERT_TRUE(fixture.ready());
  EXPECT_EQ(fixture.end_of(fixture.submit("x")), "out_of_memory");
}

TEST(Workers, orders_wait_for_a_worker_that_comes_back_but_not_for_the_first) {
  FixtureOptions options = quick_watchdog({"step_ms=2", "hello_ms=300"});
  GatewayFixture fixture(options);
  const Rejection rejection = fixture.refused("x");
  EXPECT_EQ(rejection.code, "not_ready");
  EXPECT_GT(rejection.retry_after, 0);
  bool told = false;
  fixture.gateway.on_ready([&] { told = true; });
  ASSERT_TRUE(fixture.ready());
  EXPECT_TRUE(fixture.until([&] { return told; }));
  kill(fixture.pids().at(0), SIGKILL);
  ASSERT_TRUE(fixture.until([&] { return !fixture.gateway.figures().ready; }));
  const OrderState* order = fixture.submit("x");
  ASSERT_NE(order, nullptr);
  EXPECT_EQ(fixture.gateway.figures().queued, 1);
  const OrderState* cancelled = fixture.submit("y");
  EXPECT_TRUE(fixture.gateway.cancel(*cancelled));
  EXPECT_EQ(fixture.end_of(cancelled), "cancelled");
  const OrderState* late = fixture.submit("z", 3, [](Order& asked) { asked.deadline = 0.1; });
  EXPECT_EQ(fixture.end_of(late), "deadline");
  EXPECT_EQ(fixture.end_of(order), "done");
}

TEST(Workers, that_never_become_ready_are_started_again_and_again_ever_more_slowly) {
  GatewayFixture fixture(quick_watchdog({"never_ready=1"}));
  EXPECT_TRUE(fixture.until([&] { return fixture.gateway.figures().workers[0].restarts >= 3; }));
  EXPECT_TRUE(fixture.until([&] { return fixture.gateway.figures().workers[0].state == "dead"; }));
  EXPECT_FALSE(fixture.gateway.figures().ready);
  EXPECT_EQ(fixture.refused("x").code, "not_ready");
  fixture.pass(0.5);
  EXPECT_LE(fixture.gateway.figures().workers[0].restarts, 4);
}

TEST(Workers, several_share_the_work_and_one_death_is_the_others_gain) {
  FixtureOptions options = quick_watchdog({"step_ms=5"});
  options.settings.workers = 3;
  options.settings.max_batch = 1;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  std::vector<const OrderState*> orders;
  for (int i = 0; i < 24; i++) orders.push_back(fixture.submit("x" + std::to_string(i), 10));
  fixture.until([&] { return orders[3]->images[0].call > 2; });
  kill(fixture.pids().at(1), SIGKILL);
  for (const OrderState* order : orders) {
    EXPECT_EQ(fixture.end_of(order), "done");
    EXPECT_TRUE(as_alone(*order));
  }
  for (const WorkerFigures& worker : fixture.gateway.figures().workers)
    EXPECT_TRUE(worker.restarts > 0 || worker.batcher.ended > 2);
}

TEST(Workers, are_replaced_one_after_the_other_without_a_loss) {
  FixtureOptions options = quick_watchdog({"step_ms=3"});
  options.settings.workers = 2;
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  const std::vector<int> before = fixture.pids();
  std::vector<const OrderState*> orders;
  for (int i = 0; i < 10; i++) orders.push_back(fixture.submit("x" + std::to_string(i), 10));
  fixture.gateway.replace_workers();
  bool always_ready = true;
  EXPECT_TRUE(fixture.until([&] {
    always_ready &= fixture.gateway.figures().ready;
    const std::vector<WorkerFigures> workers = fixture.gateway.figures().workers;
    return workers[0].restarts == 1 && workers[1].restarts == 1;
  }));
  EXPECT_TRUE(always_ready);
  for (const OrderState* order : orders) {
    EXPECT_EQ(fixture.end_of(order), "done");
    EXPECT_EQ(order->images[0].attempt, 1);
  }
  ASSERT_TRUE(fixture.ready());
  for (const int pid : fixture.pids()) EXPECT_FALSE(pid == before[0] || pid == before[1]);
  EXPECT_EQ(fixture.gateway.figures().worker_deaths, 0);
}

TEST(Workers, draining_lets_nobody_in_and_ends_what_is_there) {
  GatewayFixture fixture(quick_watchdog({"step_ms=5"}));
  ASSERT_TRUE(fixture.ready());
  const OrderState* order = fixture.submit("x", 20);
  bool drained = false;
  fixture.gateway.drain([&] { drained = true; });
  EXPECT_EQ(fixture.refused("y").code, "draining");
  EXPECT_FALSE(fixture.gateway.figures().ready);
  EXPECT_TRUE(fixture.gateway.figures().draining);
  EXPECT_TRUE(fixture.until([&] { return drained; }));
  EXPECT_EQ(fixture.end_of(order), "done");

  FixtureOptions impatient = quick_watchdog({"step_ms=50"});
  impatient.settings.grace = 0.2;
  GatewayFixture other(impatient);
  ASSERT_TRUE(other.ready());
  const OrderState* late = other.submit("x", 150);
  drained = false;
  other.gateway.drain([&] { drained = true; });
  EXPECT_TRUE(other.until([&] { return drained; }));
  EXPECT_EQ(other.end_of(late), "shutting_down");
}

TEST(Workers, stop_ends_everything_at_once) {
  GatewayFixture fixture(quick_watchdog({"step_ms=50"}));
  ASSERT_TRUE(fixture.ready());
  Watcher watcher;
  const OrderState* order = fixture.submit("x", 150);
  fixture.gateway.watch(*order, watcher);
  fixture.until([&] { return order->images[0].call > 0; });
  fixture.gateway.stop();
  EXPECT_EQ(fixture.end_of(order), "shutting_down");
  EXPECT_EQ(watcher.ends, 1);
  EXPECT_EQ(children(), 0);
  EXPECT_EQ(fixture.refused("y").code, "draining");
}

TEST(Workers, a_canary_tells_that_images_come_through) {
  FixtureOptions options = quick_watchdog();
  options.settings.canary_seconds = 0.3;
  options.settings.watchdog_min = 1000;  // nobody comes to help
  GatewayFixture fixture(options);
  ASSERT_TRUE(fixture.ready());
  fixture.pass(1);
  EXPECT_LT(fixture.gateway.figures().canary_age, 0.8);
  EXPECT_EQ(fixture.gateway.figures().done, 0) << "it is not counted";
  EXPECT_EQ(fixture.gateway.figures().orders, 0);
  EXPECT_GT(fixture.gateway.figures().workers[0].batcher.ended, 0);
  kill(fixture.pids().at(0), SIGSTOP);
  EXPECT_TRUE(fixture.until([&] { return fixture.gateway.figures().canary_age > 1.5; }));
}

TEST(Workers, a_canary_is_too_old_when_what_should_come_does_not) {
  const ServeSettings settings = quick_settings();
  Canary canary{settings};
  canary.passed = 100;
  EXPECT_LT(canary.age(110), canary.limit(0, 600));
  EXPECT_GT(canary.age(1000), canary.limit(0, 600));
  EXPECT_LT(canary.age(1000), canary.limit(2000, 600)) << "an order may take so long";
  canary.away_since = 990;
  EXPECT_LT(canary.age(1000), canary.limit(0, 600)) << "a worker is being started";
  EXPECT_GT(canary.age(2000), canary.limit(0, 600));
}

// Each order ends exactly once, and every image that came is as alone, whatever befalls the
// workers.
TEST(Workers, chaos) {
  const int descriptors = open_descriptors();
  {
    FixtureOptions options = quick_watchdog({"step_ms=1", "row_ms=0.05"});
    options.settings.workers = 2;
    options.settings.watchdog_min = 1;
    GatewayFixture fixture(options);
    ASSERT_TRUE(fixture.ready());
    std::mt19937 chance(7);
    const auto of = [&](unsigned n) { return static_cast<int>(chance() % n); };
    std::vector<const OrderState*> orders;
    std::vector<std::unique_ptr<Watcher>> watchers;
    int kills = 0;
    for (int i = 0; i < 500; i++) {
      const OrderState* order = fixture.submit("order " + std::to_string(i), 1 + of(20), [&](Order& asked) {
        say(asked, [&](ImageRequest& image) {
          image.width = 32 << of(3);
          image.height = 32 << of(3);
          image.guidance_scale = of(3) ? 7.5f : 1;
          image.scheduler = std::vector<std::string>{"euler", "pndm", "ddim", "unipc"}[static_cast<size_t>(of(4))];
        });
        asked.priority = static_cast<Priority>(of(3));
        asked.previews = of(2);
      });
      ASSERT_NE(order, nullptr);
      orders.push_back(order);
      watchers.push_back(std::make_unique<Watcher>());
      fixture.gateway.watch(*order, *watchers.back());
      const size_t back = static_cast<size_t>(of(20));
      if (of(6) == 0 && back < orders.size()) fixture.gateway.cancel(*orders[orders.size() - 1 - back]);
      if (of(25) == 0) {
        const std::vector<int> pids = fixture.pids();
        if (!pids.empty())
          kill(pids[static_cast<size_t>(of(static_cast<unsigned>(pids.size())))], of(4) ? SIGKILL : SIGSTOP);
        kills++;
      }
      fixture.pass(0.001 * of(9));
    }
    std::map<std::string, int> ends;
    for (size_t i = 0; i < orders.size(); i++) {
      const std::string end = fixture.end_of(orders[i]);
      ends[end]++;
      EXPECT_TRUE(end != "done" || as_alone(*orders[i])) << i;
      EXPECT_TRUE(fixture.until([&] { return watchers[i]->ends == 1; })) << i;
    }
    for (const auto& [end, count] : ends) std::printf("%s: %d\n", end.c_str(), count);
    EXPECT_GT(kills, 10);
    EXPECT_GT(ends["done"], 300);
    EXPECT_GT(ends["cancelled"], 20);
    EXPECT_GT(fixture.gateway.figures().retries, 10);
    EXPECT_EQ(ends["done"] + ends["cancelled"] + ends["worker_died"], 500);
    EXPECT_LE(ends["worker_died"], 5);
    for (const auto& watcher : watchers) EXPECT_EQ(watcher->ends, 1);
  }
  EXPECT_EQ(children(), 0);
  EXPECT_EQ(open_descriptors(), descriptors);
}

}  // namespace
}  // namespace inkstone::serve
