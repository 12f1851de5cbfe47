// The batcher's rules, one by one, by hand.
#include "serve/scheduling/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "serve/scheduling/simulation.h"

namespace inkstone::serve {
namespace {

using Kind = Decision::Kind;
using testing::ElementsAre;

const SizeBucket kSmall{"m", 256, 256}, kLarge{"m", 512, 512};

// A batcher whose runs take one second each.
struct Bench {
  explicit Bench(int max_batch_rows = 4, BatcherSettings settings = {}) : batcher(settings) {
    for (const SizeBucket& bucket : {kSmall, kLarge})
      batcher.add_bucket({bucket, StepTimes({{1, 1}, {2, 1}, {8, 1}}, 1, 1), max_batch_rows});
  }
  Admission admit(JobId id, int calls = 3, BatchJob job = {}) {
    job.id = id;
    job.calls_left = calls;
    job.arrival = now;
    if (job.bucket.model.empty()) job.bucket = kSmall;
    return batcher.admit(job, now);
  }
  Decision next() { return batcher.next(now); }
  void report(const Decision& decision) {
    now += 1;
    if (decision.kind == Kind::kStep) batcher.stepped(1);
    if (decision.kind == Kind::kEncode) batcher.encoded(1);
    if (decision.kind == Kind::kDecode) batcher.decoded(1);
  }
  Decision run() {
    const Decision decision = next();
    report(decision);
    return decision;
  }
  Decision run_until(Kind kind) {
    Decision decision = run();
    for (int i = 0; i < 100 && decision.kind != kind; i++) decision = run();
    return decision;
  }
  Batcher batcher;
  double now = 0;
};

TEST(Batcher, takes_a_job_through_encode_denoise_and_decode) {
  Bench bench;
  EXPECT_TRUE(bench.admit(1, 2).accepted());
  for (const Kind kind : {Kind::kEncode, Kind::kStep, Kind::kStep, Kind::kDecode}) EXPECT_EQ(bench.run().kind, kind);
  EXPECT_EQ(bench.run().kind, Kind::kNothing);
  EXPECT_EQ(bench.batcher.figures().ended, 1);
}

TEST(Batcher, says_nothing_while_a_run_is_not_reported) {
  Bench bench;
  bench.admit(1);
  const Decision encode = bench.next();
  EXPECT_EQ(bench.next().kind, Kind::kNothing);
  bench.report(encode);
  EXPECT_EQ(bench.next().kind, Kind::kStep);
}

TEST(Batcher, a_newcomer_joins_at_the_next_step) {
  Bench bench;
  bench.admit(1, 10);
  bench.run_until(Kind::kStep);
  bench.admit(2, 10);
  EXPECT_EQ(bench.run().kind, Kind::kEncode);
  EXPECT_THAT(bench.run().jobs, testing::UnorderedElementsAre(1, 2));
}

TEST(Batcher, counts_rows_not_jobs) {
  Bench bench(4, {.first_step_first = false});
  bench.admit(1, 20, {.rows = 2});
  bench.admit(2, 20, {.rows = 1});
  bench.admit(3, 20, {.rows = 2});
  bench.admit(4, 20, {.rows = 1});
  for (int i = 0; i < 12; i++) bench.run();
  EXPECT_THAT(bench.run_until(Kind::kStep).jobs, ElementsAre(1, 2, 4));  // 3 does not fit, 4 does
}

TEST(Batcher, cancelled_rows_are_free_at_the_next_step) {
  Bench bench(2);
  bench.admit(1, 20);
  bench.admit(2, 20);
  for (int i = 0; i < 6; i++) bench.run();
  const Decision step = bench.next();
  ASSERT_THAT(step.jobs, ElementsAre(1));
  EXPECT_TRUE(bench.batcher.cancel(1));
  EXPECT_FALSE(bench.batcher.cancel(1));
  // The device is still busy with it.
  EXPECT_EQ(bench.next().kind, Kind::kNothing);
  bench.report(step);
  EXPECT_THAT(bench.run_until(Kind::kStep).jobs, ElementsAre(2));
}

TEST(Batcher, a_cancel_in_every_phase_leaves_nothing_behind) {
  for (int runs = 0; runs < 5; runs++) {
    for (const bool running : {false, true}) {
      Bench bench;
      bench.admit(1, 2);
      for (int i = 0; i < runs; i++) bench.run();
      const Decision decision = running ? bench.next() : Decision{};
      EXPECT_EQ(bench.batcher.cancel(1), runs < 4);
      bench.report(decision);
      EXPECT_EQ(bench.next().kind, Kind::kNothing);
      EXPECT_EQ(bench.batcher.figures().jobs, 0);
    }
  }
}

TEST(Batcher, one_job_fails_and_its_neighbours_go_on) {
  Bench bench;
  bench.admit(1, 5);
  bench.admit(2, 5);
  for (int i = 0; i < 4; i++) bench.run();
  const Decision both = bench.next();
  ASSERT_EQ(both.jobs.size(), 2U);
  bench.batcher.fail(1);
  bench.report(both);
  EXPECT_THAT(bench.run().jobs, ElementsAre(2));
  const Decision last = bench.next();
  bench.batcher.fail(2);  // all that ran
  bench.report(last);
  EXPECT_EQ(bench.next().kind, Kind::kNothing);
  EXPECT_EQ(bench.batcher.figures().failed, 2);
}

TEST(Batcher, a_step_that_did_not_fit_is_tried_with_fewer_rows) {
  Bench bench(8);
  for (JobId id = 1; id <= 4; id++) bench.admit(id, 20);
  Decision step;
  for (int i = 0; i < 20; i++) step = bench.run();
  while (step.jobs.size() < 4) step = bench.run();
  ASSERT_EQ(bench.next().jobs.size(), 4U);
  EXPECT_TRUE(bench.batcher.did_not_fit());
  EXPECT_EQ(bench.next().jobs.size(), 2U);
  EXPECT_TRUE(bench.batcher.did_not_fit());
  EXPECT_EQ(bench.next().jobs.size(), 1U);
  EXPECT_FALSE(bench.batcher.did_not_fit());
}

TEST(Batcher, a_job_that_saw_a_death_steps_alone) {
  Bench bench;
  bench.admit(1, 20, {.alone = true});
  bench.admit(2, 20);
  for (int i = 0; i < 12; i++) {
    const Decision decision = bench.run();
    EXPECT_EQ(decision.jobs.size(), 1U);
  }
}

TEST(Batcher, a_higher_priority_parks_a_lower_one_at_the_next_step) {
  Bench bench(2, {.head_start = 50});
  bench.admit(1, 20, {.priority = Priority::kLow});
  for (int i = 0; i < 4; i++) bench.run();
  bench.admit(2, 3, {.priority = Priority::kHigh});
  EXPECT_EQ(bench.run().kind, Kind::kEncode);
  EXPECT_THAT(bench.next().jobs, ElementsAre(2));
  EXPECT_EQ(bench.batcher.figures().between_steps, 1);
}

TEST(Batcher, an_old_low_priority_goes_before_a_new_high_one) {
  Bench bench(2, {.head_start = 10, .first_step_first = false});
  bench.admit(1, 40, {.priority = Priority::kLow});
  for (int i = 0; i < 30; i++) bench.run();
  bench.admit(2, 3, {.priority = Priority::kHigh});
  EXPECT_EQ(bench.run().kind, Kind::kEncode);
  EXPECT_THAT(bench.run().jobs, ElementsAre(1));
}

TEST(Batcher, a_deadline_at_risk_goes_first) {
  Bench bench(2, {.first_step_first = false});
  for (JobId id = 1; id <= 5; id++) bench.admit(id, 20);
  ASSERT_TRUE(bench.admit(6, 3, {.deadline = 30.0}).accepted());
  while (bench.now < 30) bench.run();
  EXPECT_EQ(bench.batcher.figures().ended, 1);
  EXPECT_FALSE(bench.batcher.cancel(6));
}

// What counts is the work of others that stands before a job, not its own.
TEST(Batcher, an_idle_device_takes_any_job_and_a_busy_one_what_need_not_wait_too_long) {
  Bench bench(2, {.max_wait = 60});
  const Admission alone = bench.admit(1, 1000);
  EXPECT_TRUE(alone.accepted());
  EXPECT_EQ(alone.wait, 0);
  const Admission second = bench.admit(2, 3);
  EXPECT_EQ(second.refusal, Refusal::kTooLong);
  EXPECT_GT(second.wait, 60);
  EXPECT_GT(second.retry_after, 0);
  BatchJob image{.id = 3, .bucket = kSmall, .calls_left = 3, .arrival = bench.now, .follows = true};
  EXPECT_TRUE(bench.batcher.admit(image, bench.now).accepted()) << "the wait of an order is its first image's";
}

TEST(Batcher, a_deadline_that_even_an_idle_device_misses_is_not_to_be_tried_again) {
  Bench bench(2);
  const Admission late = bench.admit(1, 100, {.deadline = 10.0});
  EXPECT_EQ(late.refusal, Refusal::kDeadline);
  EXPECT_EQ(late.retry_after, 0);
}

// The cap grows while larger batches have not been tried, and stays where a row got no cheaper.
TEST(Batcher, learns_how_many_rows_pay) {
  for (const bool pays : {false, true}) {
    Batcher batcher;
    batcher.add_bucket({kSmall, StepTimes({{1, 1}}, 1, 1, true), 16, false, 16});
    for (JobId id = 1; id <= 8; ++id) batcher.admit({.id = id, .bucket = kSmall, .calls_left = 40}, 0);
    double now = 0;
    for (int run = 0; run < 60; ++run) {
      const Decision decision = batcher.next(now);
      if (decision.kind == Decision::Kind::kEncode) batcher.encoded(0.1);
      if (decision.kind == Decision::Kind::kDecode) batcher.decoded(0.1);
      const double rows = 2.0 * static_cast<double>(decision.jobs.size());
      if (decision.kind == Decision::Kind::kStep) batcher.stepped(pays ? 1 + 0.1 * rows : rows);
      now += 1;
    }
    EXPECT_EQ(batcher.figures().buckets[0].max_batch_rows, pays ? 16 : 2);
  }
}

TEST(Batcher, refuses_at_once_and_says_why) {
  Bench bench(2, {.max_jobs = 3, .max_rows = 5, .max_wait = 60});
  EXPECT_EQ(bench.admit(1, 3, {.bucket = {"other", 64, 64}}).refusal, Refusal::kNoBucket);
  EXPECT_EQ(bench.admit(1, 3, {.rows = 0}).refusal, Refusal::kTooManyRows);
  EXPECT_EQ(bench.admit(1, 3, {.deadline = 4.0}).refusal, Refusal::kDeadline);
  EXPECT_TRUE(bench.admit(1, 20).accepted());
  EXPECT_EQ(bench.admit(1, 20).refusal, Refusal::kKnown);
  EXPECT_TRUE(bench.admit(2, 20).accepted());
  const Admission full = bench.admit(3, 3);
  EXPECT_EQ(full.refusal, Refusal::kQueueFull);  // 6 rows
  EXPECT_GT(full.retry_after, 0);
  EXPECT_TRUE(bench.admit(3, 3, {.rows = 1}).accepted());
  EXPECT_EQ(bench.admit(4, 3, {.rows = 1}).refusal, Refusal::kQueueFull);  // 4 jobs
  EXPECT_EQ(bench.batcher.figures().jobs, 3);
  EXPECT_EQ(bench.batcher.figures().refused[static_cast<size_t>(Refusal::kQueueFull)], 2);
  bench.batcher.readmit({.id = 9, .bucket = kSmall});  // was admitted before
  EXPECT_EQ(bench.batcher.figures().jobs, 4);
  // Without rows it would never fill a step, and a forecast would never end.
  EXPECT_THROW(bench.batcher.readmit({.id = 10, .bucket = kSmall, .rows = 0}), Error);
  EXPECT_THROW(bench.batcher.correct(9, 0, 3), Error);
}

TEST(Batcher, a_deadline_that_would_break_an_earlier_promise_is_refused) {
  Bench bench(2);
  ASSERT_TRUE(bench.admit(1, 20, {.deadline = 28.0}).accepted());
  EXPECT_EQ(bench.admit(2, 10, {.deadline = 20.0}).refusal, Refusal::kDeadline);
  EXPECT_TRUE(bench.admit(3, 10, {.deadline = 60.0}).accepted());
}

TEST(Batcher, predicts_the_end_of_a_job_alone_exactly) {
  Bench bench;
  EXPECT_DOUBLE_EQ(bench.admit(1, 7).end, 9);
}

TEST(Batcher, static_lets_nobody_join_a_batch_that_runs) {
  Bench bench(4, {.batching = Batching::kStatic});
  bench.admit(1, 5);
  EXPECT_EQ(bench.run().kind, Kind::kEncode);
  bench.admit(2, 5);
  for (int i = 0; i < 5; i++) EXPECT_THAT(bench.run().jobs, ElementsAre(1));
  EXPECT_EQ(bench.run().kind, Kind::kDecode);
  bench.admit(3, 5);
  EXPECT_THAT(bench.run_until(Kind::kStep).jobs, ElementsAre(2, 3));
}

TEST(Batcher, off_runs_one_job_at_a_time_in_order) {
  Bench bench(4, {.batching = Batching::kOff});
  bench.admit(1, 2);
  bench.admit(2, 2, {.priority = Priority::kHigh});
  std::vector<JobId> ran;
  for (int i = 0; i < 8; i++) ran.push_back(bench.run().jobs.at(0));
  EXPECT_THAT(ran, ElementsAre(1, 1, 1, 1, 2, 2, 2, 2));
}

TEST(Batcher, a_bucket_is_added_once) {
  Bench bench;
  EXPECT_THROW(bench.batcher.add_bucket({kSmall, StepTimes({{1, 1}}, 1, 1), 2}), Error);
  EXPECT_THROW(bench.batcher.times({"other", 1, 1}), Error);
}

TEST(Batcher, to_consider_a_job_changes_nothing) {
  Bench bench;
  bench.admit(1, 20);
  const BatchJob job{.id = 2, .bucket = kSmall, .calls_left = 10};
  const double end = bench.batcher.consider(job, 0).end;
  EXPECT_EQ(bench.batcher.figures().jobs, 1);
  EXPECT_EQ(bench.batcher.figures().admitted, 1);
  EXPECT_EQ(bench.batcher.admit(job, 0).end, end);
  EXPECT_EQ(bench.batcher.consider(job, 0).refusal, Refusal::kKnown);
  EXPECT_EQ(bench.batcher.figures().refused[static_cast<size_t>(Refusal::kKnown)], 0);
}

TEST(Batcher, a_job_withdrawn_for_another_device_counts_there_alone) {
  Bench bench;
  bench.admit(1);
  EXPECT_TRUE(bench.batcher.withdraw(1));
  EXPECT_FALSE(bench.batcher.withdraw(1));
  EXPECT_EQ(bench.next().kind, Kind::kNothing);
  EXPECT_EQ(bench.batcher.figures().admitted, 0);
  EXPECT_EQ(bench.batcher.figures().cancelled, 0);
}

TEST(Batcher, a_job_cut_short_has_its_pixels_next_after_one_step_at_least) {
  // Runs: none, its text, one step, two.
  for (int after = 0; after < 4; after++) {
    Bench bench;
    bench.admit(1, 20);
    for (int i = 0; i < after; i++) bench.run();
    EXPECT_TRUE(bench.batcher.cut_short(1));
    int steps = std::max(0, after - 1);
    for (Decision decision = bench.run(); decision.kind != Kind::kNothing; decision = bench.run())
      steps += decision.kind == Kind::kStep;
    EXPECT_EQ(steps, std::max(1, after - 1)) << after;
    EXPECT_EQ(bench.batcher.figures().ended, 1);
    EXPECT_FALSE(bench.batcher.cut_short(1));
  }
  Bench bench;  // in the step that runs
  bench.admit(1, 20);
  bench.run();
  bench.run();
  const Decision step = bench.next();
  bench.batcher.cut_short(1);
  bench.report(step);
  EXPECT_EQ(bench.next().kind, Kind::kDecode);
}

TEST(Batcher, a_job_of_two_legs_goes_on_in_the_next_ones_bucket) {
  Bench bench;
  const Admission admission = bench.admit(1, 2, {.later = {{kLarge, 1, 3}}});
  ASSERT_TRUE(admission.accepted());
  const std::map<JobId, double> foretold = bench.batcher.forecast(0);
  for (const Kind kind : {Kind::kEncode, Kind::kStep, Kind::kStep}) EXPECT_EQ(bench.run().kind, kind);
  EXPECT_EQ(bench.batcher.job(1).leg, 1);
  EXPECT_EQ(bench.batcher.job(1).bucket, kLarge);
  EXPECT_EQ(bench.batcher.figures().wait_for_encode, 1) << "what comes between its legs";
  for (const Kind kind : {Kind::kEncode, Kind::kStep, Kind::kStep, Kind::kStep, Kind::kDecode})
    EXPECT_EQ(bench.run().kind, kind);
  EXPECT_EQ(bench.run().kind, Kind::kNothing);
  EXPECT_EQ(bench.batcher.figures().ended, 1);
  EXPECT_EQ(bench.batcher.figures().admitted, 1);
  EXPECT_EQ(bench.batcher.figures().rows_stepped, 2 * 2 + 3 * 1);
  EXPECT_DOUBLE_EQ(admission.end, bench.now - 1) << "it had nothing more to do";
  EXPECT_DOUBLE_EQ(foretold.at(1), admission.end);
}

// The time of a picture through the VAE must not be learnt as that of a text, nor limit the watchdog by it.
TEST(Batcher, what_begins_with_an_image_has_a_beginning_of_its_own_length) {
  Bench bench;
  for (JobId id = 1; id <= 40; ++id) {
    const auto begins = static_cast<Beginning>(id % 3);
    ASSERT_TRUE(bench.admit(id, 1, {.begins = begins}).accepted());
    EXPECT_EQ(bench.next().kind, Kind::kEncode);
    bench.batcher.encoded(begins == Beginning::kText ? 1 : begins == Beginning::kImage ? 9 : 80);
    bench.run_until(Kind::kDecode);
  }
  bench.admit(41, 1);
  EXPECT_NEAR(bench.next().seconds, 1, 0.1);
  bench.batcher.encoded(1);
  bench.run_until(Kind::kDecode);
  bench.admit(42, 1, {.begins = Beginning::kImage});
  const double image = bench.next().seconds;
  EXPECT_GT(image, 4);
  bench.batcher.encoded(image);
  bench.run_until(Kind::kDecode);
  bench.admit(43, 1, {.begins = Beginning::kNetwork});
  EXPECT_GT(bench.next().seconds, 4 * image);
  bench.batcher.encoded(1);
  bench.run_until(Kind::kDecode);
  // A later leg's is counted where it is to come.
  BatchJob two{.id = 44, .bucket = kSmall, .arrival = bench.now, .later = {{kSmall, 2, 3}}};
  const double without = bench.batcher.consider(two, bench.now).end;
  two.later[0].begins = Beginning::kNetwork;
  EXPECT_GT(bench.batcher.consider(two, bench.now).end, without + image);
}

// A picture that is made larger alone: a beginning, and then its pixels.
TEST(Batcher, what_draws_nothing_has_no_step_and_teaches_nothing_of_decoding) {
  for (const Batching batching : {Batching::kStep, Batching::kStatic, Batching::kOff}) {
    Bench bench(4, {.batching = batching});
    const BatchJob job{.begins = Beginning::kNetwork, .draws = false};
    for (int i = 0; i < 20; ++i) {
      const Admission admission = bench.admit(1, 0, job);
      ASSERT_TRUE(admission.accepted());
      const Decision begins = bench.next();
      EXPECT_EQ(begins.kind, Kind::kEncode);
      EXPECT_NEAR(admission.end, bench.now + begins.seconds, 1e-9);
      bench.batcher.encoded(50);
      bench.now += 50;
      EXPECT_EQ(bench.next().kind, Kind::kDecode);
      bench.batcher.decoded(0.001);
      EXPECT_EQ(bench.next().kind, Kind::kNothing);
    }
    EXPECT_DOUBLE_EQ(bench.batcher.times(kSmall).decode_seconds(), 1);
    EXPECT_DOUBLE_EQ(bench.batcher.times(kSmall).encode_seconds(), 1);
    EXPECT_GT(bench.batcher.times(kSmall).begin_seconds(Beginning::kNetwork), 25);
  }
}

// What it took counts in its client's share: another's short ones need not wait for each of its long ones.
TEST(Batcher, what_draws_nothing_is_paid_by_its_client) {
  Bench bench;
  for (JobId id = 1; id <= 3; ++id)
    bench.admit(id, 0, {.client = "long", .begins = Beginning::kNetwork, .draws = false});
  for (JobId id = 4; id <= 7; ++id)
    bench.admit(id, 0, {.client = "short", .begins = Beginning::kImage, .draws = false});
  std::vector<JobId> ended;
  while (ended.size() < 7) {
    const Decision decision = bench.next();
    ASSERT_NE(decision.kind, Kind::kNothing);
    const double seconds = decision.kind == Kind::kDecode ? 0.001 : decision.jobs.front() <= 3 ? 100 : 1;
    decision.kind == Kind::kDecode ? bench.batcher.decoded(seconds) : bench.batcher.encoded(seconds);
    if (decision.kind == Kind::kDecode) ended.push_back(decision.jobs.front());
    bench.now += seconds;
  }
  EXPECT_THAT(ended, ElementsAre(1, 4, 5, 6, 7, 2, 3));
}

TEST(Batcher, jobs_of_a_later_leg_share_steps_with_others_of_its_bucket) {
  Bench bench;
  bench.admit(1, 1, {.later = {{kLarge, 2, 3}}});
  bench.admit(2, 9, {.bucket = kLarge});
  for (int i = 0; i < 30; i++) {
    const Decision decision = bench.run();
    if (decision.kind == Kind::kStep && decision.jobs.size() == 2) return;
  }
  FAIL() << "they never stepped together";
}

TEST(Batcher, a_leg_whose_bucket_is_not_there_or_too_small_is_refused) {
  Bench bench(1);
  EXPECT_EQ(bench.admit(1, 3, {.rows = 1, .later = {{{"other", 64, 64}, 1, 3}}}).refusal, Refusal::kNoBucket);
  EXPECT_EQ(bench.admit(1, 3, {.rows = 1, .later = {{kLarge, 2, 3}}}).refusal, Refusal::kTooManyRows);
  EXPECT_TRUE(bench.admit(1, 3, {.rows = 1, .later = {{kLarge, 1, 3}}}).accepted());
}

TEST(Batcher, a_bucket_that_a_leg_is_to_come_in_is_not_forgotten) {
  Bench bench;
  const SizeBucket passing{"m", 64, 64};
  bench.batcher.add_bucket({passing, StepTimes({{2, 1}}, 1, 1), 2, true});
  bench.admit(1, 2, {.later = {{passing, 2, 1}}});
  for (int i = 1; i < 80; i++) bench.batcher.add_bucket({{"m", 64 + i, 64}, StepTimes({{2, 1}}, 1, 1), 2, true});
  EXPECT_TRUE(bench.batcher.has_bucket(passing));
  for (int i = 0; i < 5; i++) bench.run();
  EXPECT_EQ(bench.run().kind, Kind::kDecode);
}

TEST(Batcher, a_job_cut_short_goes_into_no_other_leg) {
  // Of encode, step, step | encode, step, step, step, decode.
  const int steps_after[] = {1, 1, 1, 2, 3, 3, 4};
  for (int after = 0; after < 7; after++) {
    Bench bench;
    bench.admit(1, 2, {.later = {{kLarge, 2, 3}}});
    int steps = 0;
    for (int i = 0; i < after; i++) steps += bench.run().kind == Kind::kStep;
    EXPECT_TRUE(bench.batcher.cut_short(1));
    for (Decision decision = bench.run(); decision.kind != Kind::kNothing; decision = bench.run())
      steps += decision.kind == Kind::kStep;
    EXPECT_EQ(steps, steps_after[after]) << after;
    EXPECT_EQ(bench.batcher.figures().ended, 1);
  }
  Bench bench;  // while the next leg begins: its first step comes, because there is nothing else to show by then
  bench.admit(1, 2, {.later = {{kLarge, 2, 3}}});
  for (int i = 0; i < 3; i++) bench.run();
  const Decision begins = bench.next();
  bench.batcher.cut_short(1);
  bench.report(begins);
  EXPECT_EQ(bench.run().kind, Kind::kStep);
  EXPECT_EQ(bench.run().kind, Kind::kDecode);
}

TEST(Batcher, one_at_a_time_takes_a_job_through_all_its_legs) {
  for (const Batching batching : {Batching::kOff, Batching::kStatic}) {
    Bench bench(2, {.batching = batching});
    bench.admit(1, 2, {.later = {{kLarge, 2, 1}}});
    bench.admit(2, 2);
    std::vector<JobId> ran;
    for (int i = 0; i < 10; i++) ran.push_back(bench.run().jobs.at(0));
    EXPECT_THAT(ran, ElementsAre(1, 1, 1, 1, 1, 1, 2, 2, 2, 2));
  }
}

TEST(Batcher, what_was_estimated_is_corrected) {
  Bench bench;
  bench.admit(1, 20);
  const Decision text = bench.next();
  bench.batcher.correct(1, 1, 2);
  bench.report(text);
  for (const Kind kind : {Kind::kStep, Kind::kStep, Kind::kDecode}) EXPECT_EQ(bench.run().kind, kind);
  EXPECT_EQ(bench.batcher.figures().rows_stepped, 2);
}

TEST(Batcher, a_wave_that_did_not_fit_leaves_some_for_the_next) {
  Bench bench(8, {.batching = Batching::kStatic});
  for (JobId id = 1; id <= 4; id++) bench.admit(id, 3);
  bench.run_until(Kind::kStep);
  Decision decision = bench.next();
  ASSERT_EQ(decision.jobs.size(), 4U);
  EXPECT_TRUE(bench.batcher.did_not_fit());
  for (decision = bench.run(); decision.kind != Kind::kNothing; decision = bench.run())
    EXPECT_LE(decision.jobs.size(), 2U);
  EXPECT_EQ(bench.batcher.figures().ended, 4);
}

TEST(Batcher, a_composed_prompt_of_more_rows_than_a_step_has_steps_alone) {
  Bench bench(4);
  EXPECT_TRUE(bench.admit(1, 3, {.rows = 7}).accepted());
  for (JobId id = 2; id <= 4; ++id) EXPECT_TRUE(bench.admit(id, 3).accepted());
  size_t steps = 0;
  for (Decision decision = bench.run(); decision.kind != Kind::kNothing; decision = bench.run())
    if (decision.kind == Kind::kStep && std::ranges::count(decision.jobs, JobId{1})) {
      EXPECT_EQ(decision.jobs.size(), 1U);
      ++steps;
    }
  EXPECT_EQ(steps, 3U);
  EXPECT_EQ(bench.batcher.figures().ended, 4);
}

TEST(Batcher, a_job_of_more_rows_than_its_bucket_has_by_now_is_taken_back) {
  Bench bench(1);
  EXPECT_EQ(bench.admit(1).refusal, Refusal::kTooManyRows);
  bench.batcher.readmit({.id = 1, .bucket = kSmall, .calls_left = 1});
  EXPECT_EQ(bench.run_until(Kind::kDecode).jobs, std::vector<JobId>{1});
}

TEST(Batcher, passing_buckets_are_forgotten_when_they_are_idle) {
  Bench bench;
  const StepTimes times({{1, 1}}, 1, 1);
  bench.batcher.add_bucket({{"m", 8, 8}, times, 2, true});
  bench.batcher.readmit({.id = 1, .bucket = {"m", 8, 8}});
  for (int side = 16; side < 16 + 1000; side++) bench.batcher.add_bucket({{"m", side, 8}, times, 2, true});
  EXPECT_LT(bench.batcher.figures().buckets.size(), 50U);
  EXPECT_TRUE(bench.batcher.has_bucket({"m", 8, 8}));
  EXPECT_TRUE(bench.batcher.has_bucket(kSmall));
  EXPECT_TRUE(bench.batcher.has_bucket({"m", 1015, 8}));
  EXPECT_EQ(bench.run().jobs, std::vector<JobId>{1});
}

}  // namespace
}  // namespace inkstone::serve
