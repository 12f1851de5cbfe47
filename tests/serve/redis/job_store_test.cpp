// What every job store must do, of memory or of Redis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store_fixture.h"

namespace inkstone::serve {
namespace {

using State = SubmitAnswer::State;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_P(JobStores, a_job_goes_from_its_gateway_to_a_host_and_its_result_back) {
  EXPECT_EQ(at().submit(order_of("a1", 2)).state, State::kNew);
  const std::vector<LeasedJob> leases = at().lease(lease_of("host"));
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_EQ(leases[0].job, (JobKey{"a1", 0}));
  EXPECT_EQ(leases[1].job, (JobKey{"a1", 1}));
  EXPECT_EQ(leases[1].request, "request 1");
  EXPECT_EQ(leases[0].client, "client");
  EXPECT_EQ(leases[0].attempt, 1);
  EXPECT_FALSE(leases[0].start_within.has_value());
  EXPECT_NE(leases[0].token, leases[1].token);
  EXPECT_EQ(at().state("a1").stage, JobStage::kLeased);
  EXPECT_EQ(at().finish(leases[0], JobEnd::kDone, std::string("a\0b\r\n\xff", 6)), FinishAnswer::kGood);
  EXPECT_EQ(at().finish(leases[1], JobEnd::kFailed, "why"), FinishAnswer::kGood);
  EXPECT_EQ(at().state("a1").result, std::string("a\0b\r\n\xff", 6));
  EXPECT_EQ(at().state("a1", 1).stage, JobStage::kFailed);
  const std::vector<Notice> told = at().notices("gateway");
  ASSERT_THAT(told, SizeIs(2));
  EXPECT_EQ(told[0].job, leases[0].job);
  EXPECT_EQ(told[1].kind, Notice::Kind::kEnded);
  EXPECT_THAT(at().notices("gateway"), IsEmpty());
  EXPECT_EQ(at().figures().orders, 0);
}

TEST_P(JobStores, a_call_that_is_said_again_has_no_second_effect) {
  at().submit(order_of("a1"));
  EXPECT_EQ(at().submit(order_of("a1")).state, State::kKnown);
  NewOrder other = order_of("a1");
  other.digest = "other";
  EXPECT_EQ(at().submit(std::move(other)).state, State::kConflict);
  EXPECT_EQ(at().figures().images, 1);
  const LeasedJob lease = at().lease(lease_of("host")).at(0);
  EXPECT_EQ(at().finish(lease), FinishAnswer::kGood);
  EXPECT_EQ(at().finish(lease), FinishAnswer::kDone);
  EXPECT_EQ(at().submit(order_of("a1")).state, State::kKnown);
  EXPECT_EQ(at().cancel("a1"), CancelAnswer::kEnded);
  EXPECT_EQ(at().figures().done, 1);
  EXPECT_EQ(at().figures().stale, 0);
}

TEST_P(JobStores, a_key_stands_for_one_order_until_that_may_be_asked_for_again) {
  NewOrder order = order_of("a1");
  order.idempotency = "key";
  at().submit(order);
  order.id = "a2";
  SubmitAnswer again = at().submit(order);
  EXPECT_EQ(again.state, State::kSame);
  EXPECT_EQ(again.order, "a1");
  order.digest = "other";
  EXPECT_EQ(at().submit(order).state, State::kConflict);
  order.digest = "digest";
  at().finish(at().lease(lease_of("host")).at(0));
  EXPECT_EQ(at().submit(order).state, State::kSame) << "its answer is kept";

  order.id = "b1";
  order.idempotency = "other key";
  at().submit(order);
  at().finish(at().lease(lease_of("host")).at(0), JobEnd::kFailedNow);
  order.id = "b2";
  EXPECT_EQ(at().submit(order).state, State::kNew) << "another attempt may help";
  at().cancel("b2");
  order.id = "b3";
  EXPECT_EQ(at().submit(order).state, State::kNew);
}

TEST_P(JobStores, limits_are_compared_before_anything_is_admitted) {
  at().submit(order_of("a1", 3));
  NewOrder order = order_of("a2", 2);
  order.limits.max_per_client = 4;
  SubmitAnswer answer = at().submit(order);
  EXPECT_EQ(answer.state, State::kClientFull);
  EXPECT_EQ(answer.images, 3);
  order.client = "other";
  order.limits.max_images = 4;
  EXPECT_EQ(at().submit(order).state, State::kImagesFull);
  order.limits.max_images = 5;
  order.limits.max_queue_seconds = 29;
  answer = at().submit(order);
  EXPECT_EQ(answer.state, State::kQueueLong);
  EXPECT_DOUBLE_EQ(answer.queue_seconds, 30);
  order.limits.max_queue_seconds = 30;
  EXPECT_EQ(at().submit(order).state, State::kNew);
  EXPECT_FALSE(at().knows("a3"));
}

TEST_P(JobStores, jobs_go_by_arrival_with_a_head_start_for_priority) {
  NewOrder low = order_of("a1"), high = order_of("a4");
  low.priority = Priority::kLow;
  at().submit(std::move(low));
  at().advance(1);
  at().submit(order_of("a2"));
  at().advance(1);
  at().submit(order_of("a3"));
  at().advance(118);
  high.priority = Priority::kHigh;
  at().submit(std::move(high));
  std::vector<std::string> orders;
  for (const LeasedJob& lease : at().lease(lease_of("host"))) orders.push_back(lease.job.order);
  EXPECT_THAT(orders, ElementsAre("a4", "a2", "a3", "a1")) << "120 s before whom came at most so much earlier";
}

TEST_P(JobStores, a_host_takes_of_its_lanes_what_it_has_credit_for_and_others_heads_that_wait) {
  const auto submit = [&](const std::string& id, const std::string& lane, int rows) {
    NewOrder order = order_of(id);
    order.jobs[0].lane = lane;
    order.jobs[0].rows = rows;
    at().submit(std::move(order));
  };
  submit("a1", "96x96", 2);
  submit("a2", "64x64", 2);
  submit("a3", "64x64", 2);
  submit("a4", "64x64", 1);
  LeaseRequest request = lease_of("host");
  request.lanes = {{"64x64", 3}};
  request.patience = 5;
  request.other_rows = 2;
  std::vector<LeasedJob> leases = at().lease(request);
  ASSERT_THAT(leases, SizeIs(1)) << "of a3 one row is too many, and nobody passes it in its lane";
  EXPECT_EQ(leases[0].job.order, "a2");
  request.lanes = {{"64x64", 1}};
  EXPECT_THAT(at().lease(request), IsEmpty());
  at().advance(6);
  leases = at().lease(request);
  ASSERT_THAT(leases, SizeIs(1));
  EXPECT_EQ(leases[0].job.order, "a1") << "its head has waited long enough for a host that runs its lane";
  LeaseRequest small = lease_of("small");
  small.max_rows = 1;
  leases = at().lease(small);
  ASSERT_THAT(leases, SizeIs(1));
  EXPECT_EQ(leases[0].job.order, "a4") << "what it can never run is not for it";
  LeaseRequest idle = lease_of("idle");
  idle.patience = 1000;
  EXPECT_THAT(at().lease(idle), SizeIs(1)) << "who has no lane waits for none";
}

TEST_P(JobStores, only_hosts_of_a_queue_lease_its_jobs) {
  at().submit(order_of("a1"));
  LeaseRequest request = lease_of("host");
  request.queues = {"another"};
  EXPECT_THAT(at().lease(request), IsEmpty());
  request.queues = {"another", "queue"};
  EXPECT_THAT(at().lease(request), SizeIs(1));
}

TEST_P(JobStores, what_must_start_soon_goes_first_and_what_is_late_fails) {
  at().submit(order_of("a1"));
  NewOrder soon = order_of("a2"), late = order_of("a3");
  soon.latest_start = 4;
  late.latest_start = 2;
  at().submit(std::move(late));
  at().submit(std::move(soon));
  at().advance(3);
  EXPECT_EQ(at().state("a3").stage, JobStage::kFailed);
  EXPECT_EQ(at().state("a3").code, "deadline");
  const std::vector<LeasedJob> leases = at().lease(lease_of("host", 1));
  ASSERT_THAT(leases, SizeIs(1));
  EXPECT_EQ(leases[0].job.order, "a2");
  EXPECT_NEAR(*leases[0].start_within, 1, 1e-3);
  for (int i = 0; i < 5; i++) {
    at().advance(1);
    at().beat("host", {held_of(leases[0])});
  }
  EXPECT_EQ(at().state("a2").stage, JobStage::kLeased) << "it has started in time";
}

TEST_P(JobStores, the_jobs_of_a_host_that_is_silent_go_back_to_their_places_and_to_others) {
  at().submit(order_of("a1", 2));
  at().submit(order_of("a2"));
  const std::vector<LeasedJob> leases = at().lease(lease_of("host", 2));
  at().beat("host", {held_of(leases[0], true), held_of(leases[1], false)});
  at().advance(9);
  EXPECT_EQ(at().state("a1").stage, JobStage::kLeased);
  at().advance(2);
  const std::vector<LeasedJob> again = at().lease(lease_of("other"));
  ASSERT_THAT(again, SizeIs(3));
  EXPECT_EQ(again[0].job, leases[0].job);
  EXPECT_EQ(again[0].attempt, 2);
  EXPECT_EQ(again[0].deaths, 1) << "it was begun";
  EXPECT_TRUE(again[0].alone);
  EXPECT_EQ(again[1].deaths, 0);
  EXPECT_FALSE(again[1].alone);
  EXPECT_EQ(at().finish(leases[0]), FinishAnswer::kStale) << "another has it";
  EXPECT_EQ(at().finish(again[0], JobEnd::kDone, "second"), FinishAnswer::kGood);
  EXPECT_EQ(at().finish(leases[0]), FinishAnswer::kStale);
  EXPECT_EQ(at().state("a1").result, "second");
  EXPECT_EQ(at().figures().stale, 2);
  EXPECT_THAT(at().beat("host", {held_of(leases[0])}).gone, ElementsAre(leases[0].job));
}

TEST_P(JobStores, nobody_is_blamed_for_a_silence_of_all) {
  at().submit(order_of("a1"));
  const LeasedJob lease = at().lease(lease_of("host")).at(0);
  at().beat("host", {held_of(lease)});
  at().set_clock(at().clock + 60);
  at().gateway_beat("gateway");
  EXPECT_EQ(at().state("a1").stage, JobStage::kLeased);
  at().advance(1);
  EXPECT_THAT(at().beat("host", {held_of(lease)}).gone, IsEmpty());
  EXPECT_EQ(at().finish(lease), FinishAnswer::kGood);
}

TEST_P(JobStores, the_third_death_of_a_job_is_its_end) {
  at().submit(order_of("a1"));
  for (int death = 1; death <= 3; death++) {
    const std::vector<LeasedJob> leases = at().lease(lease_of("host"));
    ASSERT_THAT(leases, SizeIs(1));
    EXPECT_EQ(leases[0].deaths, death - 1);
    EXPECT_EQ(at().finish(leases[0], JobEnd::kReturned), FinishAnswer::kGood) << "which is no death";
    at().finish(at().lease(lease_of("host")).at(0), JobEnd::kDied);
  }
  EXPECT_THAT(at().lease(lease_of("host")), IsEmpty());
  EXPECT_EQ(at().state("a1").stage, JobStage::kPoison);
  EXPECT_EQ(at().state("a1").code, "worker_died");
  EXPECT_THAT(at().notices("gateway"), SizeIs(1));
  EXPECT_EQ(at().figures().poison, 1);
  EXPECT_EQ(at().figures().deaths, 3);
}

TEST_P(JobStores, a_lease_that_nobody_heard_of_goes_back) {
  at().submit(order_of("a1"));
  const LeasedJob lease = at().lease(lease_of("host")).at(0);
  for (int beat = 0; beat < 2; beat++) {
    const BeatAnswer answer = at().beat("host");
    ASSERT_THAT(answer.unnamed, SizeIs(1));
    EXPECT_EQ(answer.unnamed[0].token, lease.token);
  }
  EXPECT_THAT(at().beat("host").unnamed, IsEmpty());
  const LeasedJob again = at().lease(lease_of("other")).at(0);
  EXPECT_EQ(again.attempt, 2);
  EXPECT_EQ(again.deaths, 0);
}

TEST_P(JobStores, a_beat_that_names_a_job_keeps_it) {
  at().submit(order_of("a1"));
  const LeasedJob lease = at().lease(lease_of("host")).at(0);
  for (int beat = 0; beat < 30; beat++) {
    at().advance(1);
    EXPECT_THAT(at().beat("host", {held_of(lease)}).gone, IsEmpty());
    at().beat("host");  // one that was sent before it knew of the lease
  }
  EXPECT_EQ(at().finish(lease), FinishAnswer::kGood);
}

TEST_P(JobStores, cancelling_reaches_what_waits_what_runs_and_what_comes_late) {
  at().submit(order_of("a1", 3));
  const LeasedJob lease = at().lease(lease_of("host", 1)).at(0);
  EXPECT_EQ(at().cancel("a1", "another client"), CancelAnswer::kUnknown);
  EXPECT_EQ(at().cancel("a1"), CancelAnswer::kNow);
  EXPECT_EQ(at().cancel("a1"), CancelAnswer::kEnded);
  EXPECT_EQ(at().state("a1", 2).stage, JobStage::kCancelled);
  EXPECT_EQ(at().state("a1", 2).code, "cancelled");
  const std::vector<Notice> told = at().notices("host");
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, Notice::Kind::kCancelled);
  EXPECT_EQ(told[0].job, lease.job);
  EXPECT_EQ(told[0].token, lease.token);
  EXPECT_EQ(at().finish(lease), FinishAnswer::kCancelled);
  EXPECT_THAT(at().beat("host", {held_of(lease)}).gone, ElementsAre(lease.job));
  EXPECT_THAT(at().lease(lease_of("host")), IsEmpty());

  EXPECT_EQ(at().cancel("a2"), CancelAnswer::kUnknown);
  EXPECT_EQ(at().submit(order_of("a2")).state, State::kCancelled);
}

TEST_P(JobStores, an_order_that_is_cut_short_says_so_to_who_has_it_and_who_will) {
  at().submit(order_of("a1", 2));
  const LeasedJob lease = at().lease(lease_of("host", 1)).at(0);
  EXPECT_EQ(at().cut_short("a1"), CancelAnswer::kNow);
  const std::vector<Notice> told = at().notices("host");
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].kind, Notice::Kind::kCutShort);
  EXPECT_EQ(told[0].job, lease.job);
  EXPECT_TRUE(at().lease(lease_of("host")).at(0).cut_short);
  EXPECT_EQ(at().cut_short("a2"), CancelAnswer::kUnknown);
}

TEST_P(JobStores, orders_end_with_their_gateway_unless_someone_may_ask_for_them_elsewhere) {
  std::vector<NewOrder> orders{order_of("a1"), order_of("a2"), order_of("a3")};
  orders[1].idempotency = "key";
  orders[2].stays = true;
  for (NewOrder& order : orders) {
    order.gateway = "dies";
    at().submit(std::move(order));
  }
  at().gateway_beat("dies");
  at().advance(9);
  EXPECT_EQ(at().state("a1").stage, JobStage::kQueued);
  at().advance(3);
  EXPECT_EQ(at().state("a1").stage, JobStage::kCancelled);
  EXPECT_EQ(at().state("a1").code, "gateway_died");
  EXPECT_EQ(at().state("a2").stage, JobStage::kQueued);
  EXPECT_EQ(at().state("a3").stage, JobStage::kQueued);
  for (const LeasedJob& lease : at().lease(lease_of("host"))) at().finish(lease);
  EXPECT_EQ(at().state("a3").stage, JobStage::kDone);
}

TEST_P(JobStores, what_was_delivered_is_forgotten_unless_it_may_be_asked_for_again) {
  NewOrder with_key = order_of("a2"), stays = order_of("a3");
  with_key.idempotency = "key";
  stays.stays = true;
  at().submit(order_of("a1"));
  at().submit(std::move(with_key));
  at().submit(std::move(stays));
  const auto release = [&](const std::string& order) {
    at().ask<Told>([&](auto done) { at().store().release(order, done); });
  };
  release("a1");
  EXPECT_TRUE(at().knows("a1")) << "it has not ended";
  for (const LeasedJob& lease : at().lease(lease_of("host"))) at().finish(lease);
  for (const char* order : {"a1", "a2", "a3"}) release(order);
  EXPECT_FALSE(at().knows("a1"));
  EXPECT_TRUE(at().knows("a2"));
  EXPECT_TRUE(at().knows("a3"));
}

TEST_P(JobStores, an_image_whose_file_is_gone_is_drawn_again_but_not_for_ever) {
  at().submit(order_of("a1", 2));
  const auto redraw = [&] { return at().ask<bool>([&](auto done) { at().store().redraw({"a1", 0}, done); }); };
  EXPECT_FALSE(redraw()) << "it is not done";
  for (int time = 0; time < 2; time++) {
    for (const LeasedJob& lease : at().lease(lease_of("host"))) at().finish(lease);
    EXPECT_EQ(at().check(), "");
    EXPECT_TRUE(redraw());
    EXPECT_EQ(at().check(), "");
    EXPECT_EQ(at().figures().images, 1);
  }
  const LeasedJob lease = at().lease(lease_of("host")).at(0);
  EXPECT_EQ(lease.attempt, 3);
  EXPECT_EQ(lease.deaths, 0);
  at().finish(lease);
  EXPECT_FALSE(redraw());
}

TEST_P(JobStores, the_figures_of_queues_and_hosts_are_sums) {
  at().submit(order_of("a1", 3));
  const LeasedJob lease = at().lease(lease_of("host", 1)).at(0);
  at().beat("host", {held_of(lease)}, {2.5, 7, 2, false, "cpu", "build"});
  at().beat("other", {}, {1.5, 1, 2, false, "cpu", "build"});
  at().beat("leaves", {}, {4, 3, 2, true, "cpu", "build"});
  const StoreFigures figures = at().figures();
  EXPECT_EQ(figures.images, 3);
  ASSERT_THAT(figures.queues, SizeIs(1));
  const QueueFigures& queue = figures.queues[0];
  EXPECT_EQ(queue.queue, "queue");
  EXPECT_EQ(queue.queued, 2);
  EXPECT_EQ(queue.leased, 1);
  EXPECT_DOUBLE_EQ(queue.seconds_queued, 20);
  EXPECT_EQ(queue.hosts, 2) << "one leases no more";
  EXPECT_DOUBLE_EQ(queue.speed, 4);
  EXPECT_DOUBLE_EQ(queue.seconds_left, 11);
}

INSTANTIATE_TEST_SUITE_P(Of, JobStores, testing::Values(StoreKind::kMemory, StoreKind::kRedis),
                         [](const auto& test) { return test.param == StoreKind::kMemory ? "memory" : "redis"; });

}  // namespace
}  // namespace inkstone::serve
