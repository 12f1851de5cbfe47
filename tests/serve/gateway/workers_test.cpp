// Workers die, hang and talk nonsense: their pictures come all the same, with the same bytes.
#include <gtest/gtest.h>
#include <signal.h>

#include <random>

#include "serve/gateway/canary.h"
#include "serve/gateway/house.h"

namespace inkstone {
namespace {

HouseOptions quick_watchdog(std::vector<std::string> flags = {"step_ms=2"}) {
  HouseOptions options{quick_settings(), std::move(flags)};
  options.settings.watchdog_least = 0.4;
  return options;
}

TEST(Workers, that_fail_in_any_phase_and_way_leave_the_same_picture_and_its_company) {
  House house(quick_watchdog());
  ASSERT_TRUE(house.ready());
  int failures = 0;
  for (const std::string what : {"die", "leave", "garbage", "wrong", "unusable", "stop"}) {
    for (const std::string where : {"text", "step:1", "step:4", "step:6", "pixels"}) {
      if (what != "die" && where != "step:4") continue;
      const OrderState* company = house.place("company", 12);
      const OrderState* order = house.place(what + "@" + where + " times:1:" + house.counter(), 6);
      EXPECT_EQ(house.end_of(order), "done") << what << where;
      EXPECT_EQ(house.end_of(company), "done") << what << where;
      EXPECT_TRUE(as_alone(*order) && as_alone(*company)) << what << where;
      EXPECT_EQ(order->pictures[0].attempt, 2) << what << where;
      failures++;
    }
  }
  EXPECT_EQ(house.gateway.figures().worker_deaths, failures);
  EXPECT_GE(house.gateway.figures().retries, failures);
  EXPECT_TRUE(house.until([] { return children() == 1; }));
}

TEST(Workers, that_are_stopped_or_killed_from_outside_are_replaced) {
  House house(quick_watchdog());
  ASSERT_TRUE(house.ready());
  for (const int signal : {SIGSTOP, SIGKILL}) {
    const int pid = house.pids().at(0);
    const OrderState* order = house.place("x", 100);
    ASSERT_TRUE(house.until([&] { return order->pictures[0].call > 3; }));
    kill(pid, signal);
    EXPECT_EQ(house.end_of(order), "done");
    EXPECT_TRUE(as_alone(*order));
    EXPECT_NE(house.pids().at(0), pid);
    EXPECT_EQ(kill(pid, 0), -1) << "it is gone";
  }
}

TEST(Workers, poison_fails_and_its_company_survives) {
  House house(quick_watchdog());
  ASSERT_TRUE(house.ready());
  const OrderState* company = house.place("company", 30);
  const OrderState* poison = house.place("die@step:3", 6);
  EXPECT_EQ(house.end_of(poison), "worker_died");
  EXPECT_FALSE(poison->pictures[0].failure.message.empty());
  EXPECT_EQ(house.end_of(company), "done");
  EXPECT_TRUE(as_alone(*company));
  const int64_t deaths = house.gateway.figures().worker_deaths;
  EXPECT_GE(deaths, 2);
  EXPECT_LE(deaths, 3);
  EXPECT_EQ(house.end_of(house.place("after")), "done");
}

TEST(Workers, what_is_not_a_number_fails_alone) {
  House house(quick_watchdog());
  ASSERT_TRUE(house.ready());
  for (const std::string where : {"text", "step:3", "pixels"}) {
    const OrderState* company = house.place("company", 8);
    const OrderState* order = house.place("nan@" + where, 6);
    EXPECT_EQ(house.end_of(order), "nan_output");
    EXPECT_EQ(house.end_of(company), "done");
    EXPECT_TRUE(as_alone(*company));
  }
  EXPECT_EQ(house.gateway.figures().worker_deaths, 0);
  EXPECT_EQ(house.gateway.figures().failures, (std::vector<std::pair<std::string, int64_t>>{{"nan_output", 3}}));
}

TEST(Workers, a_step_that_does_not_fit_is_made_smaller) {
  for (const Batching mode : {Batching::kStatic, Batching::kStep}) {
    HouseOptions options = quick_watchdog({"step_ms=2", "fits=2"});
    options.settings.batching = mode;
    House house(options);
    ASSERT_TRUE(house.ready());
    std::vector<const OrderState*> orders;
    for (int i = 0; i < 6; i++) orders.push_back(house.place("x" + std::to_string(i), 6));
    for (const OrderState* order : orders) {
      EXPECT_EQ(house.end_of(order), "done");
      EXPECT_TRUE(as_alone(*order));
    }
    EXPECT_EQ(house.gateway.figures().worker_deaths, 0);
  }
  House house(quick_watchdog({"fits=0.5"}));
  ASSERT_TRUE(house.ready());
  EXPECT_EQ(house.end_of(house.place("x")), "out_of_memory");
}

TEST(Workers, orders_wait_for_a_worker_that_comes_back_but_not_for_the_first) {
  HouseOptions options = quick_watchdog({"step_ms=2", "hello_ms=300"});
  House house(options);
  const Rejection rejection = house.refused("x");
  EXPECT_EQ(rejection.code, "not_ready");
  EXPECT_GT(rejection.retry_after, 0);
  bool told = false;
  house.gateway.on_ready([&] { told = true; });
  ASSERT_TRUE(house.ready());
  EXPECT_TRUE(house.until([&] { return told; }));
  kill(house.pids().at(0), SIGKILL);
  ASSERT_TRUE(house.until([&] { return !house.gateway.figures().ready; }));
  const OrderState* order = house.place("x");
  ASSERT_NE(order, nullptr);
  EXPECT_EQ(house.gateway.figures().queued, 1);
  const OrderState* cancelled = house.place("y");
  EXPECT_TRUE(house.gateway.cancel(*cancelled));
  EXPECT_EQ(house.end_of(cancelled), "cancelled");
  const OrderState* late = house.place("z", 3, [](Order& asked) { asked.deadline = 0.1; });
  EXPECT_EQ(house.end_of(late), "deadline");
  EXPECT_EQ(house.end_of(order), "done");
}

TEST(Workers, that_never_become_ready_are_started_again_and_again_ever_more_slowly) {
  House house(quick_watchdog({"never_ready=1"}));
  EXPECT_TRUE(house.until([&] { return house.gateway.figures().workers[0].restarts >= 3; }));
  EXPECT_TRUE(house.until([&] { return house.gateway.figures().workers[0].state == "dead"; }));
  EXPECT_FALSE(house.gateway.figures().ready);
  EXPECT_EQ(house.refused("x").code, "not_ready");
  house.pass(0.5);
  EXPECT_LE(house.gateway.figures().workers[0].restarts, 4);
}

TEST(Workers, several_share_the_work_and_one_death_is_the_others_gain) {
  HouseOptions options = quick_watchdog({"step_ms=5"});
  options.settings.workers = 3;
  options.settings.most_batch = 1;
  House house(options);
  ASSERT_TRUE(house.ready());
  std::vector<const OrderState*> orders;
  for (int i = 0; i < 24; i++) orders.push_back(house.place("x" + std::to_string(i), 10));
  house.until([&] { return orders[3]->pictures[0].call > 2; });
  kill(house.pids().at(1), SIGKILL);
  for (const OrderState* order : orders) {
    EXPECT_EQ(house.end_of(order), "done");
    EXPECT_TRUE(as_alone(*order));
  }
  for (const WorkerFigures& worker : house.gateway.figures().workers)
    EXPECT_TRUE(worker.restarts > 0 || worker.batcher.ended > 2);
}

TEST(Workers, are_replaced_one_after_the_other_without_a_loss) {
  HouseOptions options = quick_watchdog({"step_ms=3"});
  options.settings.workers = 2;
  House house(options);
  ASSERT_TRUE(house.ready());
  const std::vector<int> before = house.pids();
  std::vector<const OrderState*> orders;
  for (int i = 0; i < 10; i++) orders.push_back(house.place("x" + std::to_string(i), 10));
  house.gateway.replace_workers();
  bool always_ready = true;
  EXPECT_TRUE(house.until([&] {
    always_ready &= house.gateway.figures().ready;
    const std::vector<WorkerFigures> workers = house.gateway.figures().workers;
    return workers[0].restarts == 1 && workers[1].restarts == 1;
  }));
  EXPECT_TRUE(always_ready);
  for (const OrderState* order : orders) {
    EXPECT_EQ(house.end_of(order), "done");
    EXPECT_EQ(order->pictures[0].attempt, 1);
  }
  ASSERT_TRUE(house.ready());
  for (const int pid : house.pids()) EXPECT_FALSE(pid == before[0] || pid == before[1]);
  EXPECT_EQ(house.gateway.figures().worker_deaths, 0);
}

TEST(Workers, draining_lets_nobody_in_and_ends_what_is_there) {
  House house(quick_watchdog({"step_ms=5"}));
  ASSERT_TRUE(house.ready());
  const OrderState* order = house.place("x", 20);
  bool drained = false;
  house.gateway.drain([&] { drained = true; });
  EXPECT_EQ(house.refused("y").code, "draining");
  EXPECT_FALSE(house.gateway.figures().ready);
  EXPECT_TRUE(house.gateway.figures().draining);
  EXPECT_TRUE(house.until([&] { return drained; }));
  EXPECT_EQ(house.end_of(order), "done");

  HouseOptions impatient = quick_watchdog({"step_ms=50"});
  impatient.settings.grace = 0.2;
  House other(impatient);
  ASSERT_TRUE(other.ready());
  const OrderState* late = other.place("x", 150);
  drained = false;
  other.gateway.drain([&] { drained = true; });
  EXPECT_TRUE(other.until([&] { return drained; }));
  EXPECT_EQ(other.end_of(late), "shutting_down");
}

TEST(Workers, stop_ends_everything_at_once) {
  House house(quick_watchdog({"step_ms=50"}));
  ASSERT_TRUE(house.ready());
  Watcher watcher;
  const OrderState* order = house.place("x", 150);
  house.gateway.watch(*order, watcher);
  house.until([&] { return order->pictures[0].call > 0; });
  house.gateway.stop();
  EXPECT_EQ(house.end_of(order), "shutting_down");
  EXPECT_EQ(watcher.ends, 1);
  EXPECT_EQ(children(), 0);
  EXPECT_EQ(house.refused("y").code, "draining");
}

TEST(Workers, a_canary_tells_that_pictures_come_through) {
  HouseOptions options = quick_watchdog();
  options.settings.canary_seconds = 0.3;
  options.settings.watchdog_least = 1000;  // nobody comes to help
  House house(options);
  ASSERT_TRUE(house.ready());
  house.pass(1);
  EXPECT_LT(house.gateway.figures().canary_age, 0.8);
  EXPECT_EQ(house.gateway.figures().done, 0) << "it is not counted";
  EXPECT_EQ(house.gateway.figures().orders, 0);
  EXPECT_GT(house.gateway.figures().workers[0].batcher.ended, 0);
  kill(house.pids().at(0), SIGSTOP);
  EXPECT_TRUE(house.until([&] { return house.gateway.figures().canary_age > 1.5; }));
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

// Each order ends exactly once, and every picture that came is as alone, whatever befalls the workers.
TEST(Workers, chaos) {
  const int descriptors = open_descriptors();
  {
    HouseOptions options = quick_watchdog({"step_ms=1", "row_ms=0.05"});
    options.settings.workers = 2;
    options.settings.watchdog_least = 1;
    House house(options);
    ASSERT_TRUE(house.ready());
    std::mt19937 chance(7);
    const auto of = [&](unsigned n) { return static_cast<int>(chance() % n); };
    std::vector<const OrderState*> orders;
    std::vector<std::unique_ptr<Watcher>> watchers;
    int kills = 0;
    for (int i = 0; i < 500; i++) {
      const OrderState* order = house.place("order " + std::to_string(i), 1 + of(20), [&](Order& asked) {
        PictureRequest& picture = asked.pictures[0];
        picture.width = 32 << of(3);
        picture.height = 32 << of(3);
        picture.guidance = of(3) ? 7.5f : 1;
        picture.scheduler = std::vector<std::string>{"euler", "pndm", "ddim", "unipc"}[static_cast<size_t>(of(4))];
        asked.priority = static_cast<Priority>(of(3));
        asked.previews = of(2);
      });
      ASSERT_NE(order, nullptr);
      orders.push_back(order);
      watchers.push_back(std::make_unique<Watcher>());
      house.gateway.watch(*order, *watchers.back());
      const size_t back = static_cast<size_t>(of(20));
      if (of(6) == 0 && back < orders.size()) house.gateway.cancel(*orders[orders.size() - 1 - back]);
      if (of(25) == 0) {
        const std::vector<int> pids = house.pids();
        if (!pids.empty())
          kill(pids[static_cast<size_t>(of(static_cast<unsigned>(pids.size())))], of(4) ? SIGKILL : SIGSTOP);
        kills++;
      }
      house.pass(0.001 * of(9));
    }
    std::map<std::string, int> ends;
    for (size_t i = 0; i < orders.size(); i++) {
      const std::string end = house.end_of(orders[i]);
      ends[end]++;
      EXPECT_TRUE(end != "done" || as_alone(*orders[i])) << i;
      EXPECT_TRUE(house.until([&] { return watchers[i]->ends == 1; })) << i;
    }
    for (const auto& [end, count] : ends) std::printf("%s: %d\n", end.c_str(), count);
    EXPECT_GT(kills, 10);
    EXPECT_GT(ends["done"], 300);
    EXPECT_GT(ends["cancelled"], 20);
    EXPECT_GT(house.gateway.figures().retries, 10);
    EXPECT_EQ(ends["done"] + ends["cancelled"] + ends["worker_died"], 500);
    EXPECT_LE(ends["worker_died"], 5);
    for (const auto& watcher : watchers) EXPECT_EQ(watcher->ends, 1);
  }
  EXPECT_EQ(children(), 0);
  EXPECT_EQ(open_descriptors(), descriptors);
}

}  // namespace
}  // namespace inkstone
