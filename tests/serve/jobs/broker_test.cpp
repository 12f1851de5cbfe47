// The queue's promises: at least one delivery, exactly one answer, the newest attempt alone,
// poison, keys, races.
#include "serve/jobs/broker.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace inkstone::serve {
namespace {

Submission job(JobId id, std::string request = "fox", std::string key = "") {
  return {id, std::move(request), std::move(key)};
}

TEST(Broker, a_job_is_leased_once_and_answered_once) {
  MemoryBroker broker;
  EXPECT_EQ(broker.submit(job(1), 0).state, Submitted::kNew);
  EXPECT_EQ(broker.submit(job(1), 0).state, Submitted::kKnown);
  const auto lease = broker.lease(2, 1);
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->request, "fox");
  EXPECT_EQ(lease->attempt, 1);
  EXPECT_FALSE(broker.lease(2, 1));
  EXPECT_EQ(broker.finish(1, 1, End::kDone, "png", 2), Standing::kGood);
  EXPECT_EQ(broker.finish(1, 1, End::kDone, "png", 2), Standing::kStale);
  const auto ended = broker.collect(3);
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].result, "png");
  EXPECT_TRUE(broker.collect(3).empty());
}

TEST(Broker, leases_by_priority_then_in_order_and_only_what_fits) {
  MemoryBroker broker;
  broker.submit({1, "", "", Priority::kNormal, 2}, 0);
  broker.submit({2, "", "", Priority::kNormal, 1}, 0);
  broker.submit({3, "", "", Priority::kHigh, 2}, 0);
  EXPECT_EQ(broker.lease(1, 0)->id, 2U);
  EXPECT_EQ(broker.lease(2, 0)->id, 3U);
  EXPECT_EQ(broker.lease(2, 0)->id, 1U);
}

TEST(Broker, a_lease_that_runs_out_is_a_death_and_the_old_attempt_is_refused) {
  MemoryBroker broker({.lease_seconds = 10});
  broker.submit(job(1), 0);
  broker.lease(2, 0);
  EXPECT_EQ(broker.extend(1, 1, 9), Standing::kGood);
  EXPECT_FALSE(broker.lease(2, 18));
  // At the very moment it runs out.
  const auto again = broker.lease(2, 19);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->attempt, 2);
  EXPECT_EQ(again->deaths, 1);
  EXPECT_EQ(broker.extend(1, 1, 20), Standing::kStale);
  EXPECT_EQ(broker.finish(1, 1, End::kDone, "old", 20), Standing::kStale);
  EXPECT_EQ(broker.finish(1, 1, End::kDied, "", 20), Standing::kStale);
  EXPECT_EQ(broker.finish(1, 2, End::kDone, "new", 20), Standing::kGood);
  EXPECT_EQ(broker.collect(20).at(0).result, "new");
  EXPECT_EQ(broker.stats(20).stale_results, 1);
}

TEST(Broker, more_than_two_deaths_are_poison_and_going_back_is_none) {
  MemoryBroker broker;
  broker.submit(job(1), 0);
  for (int i = 0; i < 5; i++) {
    const auto lease = broker.lease(2, i);
    EXPECT_EQ(broker.finish(1, lease->attempt, End::kReturned, "", i), Standing::kGood);
  }
  for (int deaths = 0; deaths < 3; deaths++) {
    const auto lease = broker.lease(2, 10 + deaths);
    ASSERT_TRUE(lease);
    EXPECT_EQ(lease->deaths, deaths);
    broker.finish(1, lease->attempt, End::kDied, "", 10 + deaths);
  }
  EXPECT_FALSE(broker.lease(2, 20));
  EXPECT_EQ(broker.collect(20).at(0).end, End::kPoison);
  EXPECT_EQ(broker.stats(20).deliveries, 8);
}

TEST(Broker, what_goes_back_keeps_its_place) {
  MemoryBroker broker;
  broker.submit(job(1), 0);
  broker.submit(job(2), 0);
  broker.lease(2, 0);
  broker.finish(1, 1, End::kDied, "", 1);
  EXPECT_EQ(broker.lease(2, 1)->id, 1U);
}

TEST(Broker, an_idempotency_key_stands_for_one_job_while_its_answer_is_kept) {
  MemoryBroker broker({.kept_seconds = 100});
  broker.submit(job(1, "fox", "key"), 0);
  EXPECT_EQ(broker.submit(job(2, "fox", "key"), 1).state, Submitted::kSame);
  EXPECT_EQ(broker.submit(job(2, "cat", "key"), 1).state, Submitted::kConflict);
  broker.lease(2, 1);
  broker.finish(1, 1, End::kDone, "png", 2);
  const Receipt ended = broker.submit(job(2, "fox", "key"), 101.9);
  ASSERT_EQ(ended.state, Submitted::kEnded);
  EXPECT_EQ(ended.id, 1U);
  EXPECT_EQ(ended.ended->result, "png");
  EXPECT_EQ(broker.submit(job(2, "fox", "key"), 102).state, Submitted::kNew);
  EXPECT_EQ(broker.stats(102).kept, 0);
}

TEST(Broker, keeps_a_bounded_number_of_answers) {
  MemoryBroker broker({.max_kept = 10});
  for (JobId id = 1; id <= 50; id++) {
    broker.submit(job(id, "fox", "key" + std::to_string(id)), 0);
    broker.cancel(id, 0);
  }
  EXPECT_EQ(broker.stats(0).kept, 10);
  EXPECT_EQ(broker.submit(job(60, "fox", "key1"), 0).state, Submitted::kNew);
  EXPECT_EQ(broker.submit(job(61, "fox", "key50"), 0).state, Submitted::kEnded);
}

TEST(Broker, cancels_before_in_and_after_the_queue_and_twice) {
  MemoryBroker broker({.kept_seconds = 50});
  EXPECT_EQ(broker.cancel(1, 0), Cancelled::kUnknown);  // before it was submitted
  EXPECT_EQ(broker.submit(job(1), 0).state, Submitted::kCancelled);
  EXPECT_EQ(broker.submit(job(1), 0).state, Submitted::kNew);
  EXPECT_EQ(broker.cancel(1, 0), Cancelled::kNow);  // queued
  EXPECT_EQ(broker.cancel(1, 0), Cancelled::kBefore);
  EXPECT_FALSE(broker.lease(2, 0));
  broker.submit(job(2), 0);
  broker.lease(2, 0);
  EXPECT_EQ(broker.cancel(2, 1), Cancelled::kNow);  // runs
  EXPECT_EQ(broker.extend(2, 1, 1), Standing::kCancelled);
  EXPECT_EQ(broker.finish(2, 1, End::kDone, "late", 1), Standing::kCancelled);  // at its last step
  broker.submit(job(3), 1);
  broker.lease(2, 1);
  broker.finish(3, 1, End::kDone, "png", 1);
  EXPECT_EQ(broker.cancel(3, 1), Cancelled::kTooLate);
  const auto ended = broker.collect(1);
  ASSERT_EQ(ended.size(), 3U);
  EXPECT_EQ(ended[1].end, End::kCancelled);
  EXPECT_EQ(ended[2].end, End::kDone);
}

TEST(Broker, an_early_cancel_is_forgotten_in_time) {
  MemoryBroker broker({.kept_seconds = 50});
  broker.cancel(1, 0);
  EXPECT_EQ(broker.submit(job(1), 50).state, Submitted::kNew);
}

TEST(Broker, whatever_workers_do_each_job_is_answered_exactly_once) {
  for (unsigned seed = 1; seed <= 20; seed++) {
    SCOPED_TRACE(seed);
    std::mt19937 bits(seed);
    MemoryBroker broker({.lease_seconds = 3, .kept_seconds = 1e9, .max_kept = 100000});
    std::vector<std::pair<JobId, int>> leases;
    std::map<JobId, int> answers;
    double now = 0;
    JobId submitted = 0;
    for (int i = 0; i < 4000 || broker.stats(now).queued + broker.stats(now).leased > 0; i++) {
      now += 0.1;
      if (i < 4000 && bits() % 3 == 0) broker.submit(job(++submitted), now);
      if (const auto lease = broker.lease(2, now)) leases.push_back({lease->id, lease->attempt});
      if (submitted > 0 && bits() % 20 == 0) broker.cancel(1 + bits() % submitted, now);
      if (!leases.empty()) {
        const auto [id, attempt] = leases[bits() % leases.size()];
        const unsigned what = bits() % 10;
        if (what < 2) broker.extend(id, attempt, now);
        if (what >= 2) broker.finish(id, attempt, what < 4 ? End::kDied : End::kDone, "", now);
      }
      for (const Ended& ended : broker.collect(now)) answers[ended.id]++;
      ASSERT_LT(i, 100000);
    }
    EXPECT_EQ(answers.size(), submitted);
    for (const auto& [id, times] : answers) EXPECT_EQ(times, 1) << id;
    const BrokerStats stats = broker.stats(now);
    EXPECT_EQ(stats.done + stats.failed + stats.cancelled + stats.poison, static_cast<int64_t>(submitted));
    EXPECT_GT(stats.poison, 0);
  }
}

}  // namespace
}  // namespace inkstone::serve
