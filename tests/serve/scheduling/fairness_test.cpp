// Between clients: whoever sends much waits for itself, and others wait for about one of its images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "serve/scheduling/simulation.h"

namespace inkstone::serve {
namespace {

constexpr int kCalls = 20;

SimulationOptions device(std::vector<SimulatedBucket> buckets) {
  SimulationOptions options;
  options.buckets = std::move(buckets);
  options.settings.max_jobs = options.settings.max_rows = 100000;
  options.settings.max_wait = 1e9;
  options.settings.head_start = 1000;
  return options;
}

// An image's time in batches that are full.
double share(const SimulatedBucket& bucket) {
  return kCalls * bucket.times.step_seconds(bucket.max_batch_rows) + bucket.times.encode_seconds() +
         bucket.times.decode_seconds();
}

class Arrivals {
 public:
  Arrivals& add(const std::string& client, int images, double at, const SimulatedBucket& bucket, BatchJob job = {}) {
    for (int i = 0; i < images; i++) {
      job.id = static_cast<JobId>(all.size() + 1);
      job.client = client;
      job.bucket = bucket.bucket;
      job.calls_left = kCalls;
      job.arrival = at;
      all.push_back({job, {}});
    }
    return *this;
  }
  std::vector<Arrival> all;
};

std::vector<Fate> of_client(const SimulationOutcome& outcome, const std::string& client) {
  std::vector<Fate> fates;
  for (const Fate& fate : outcome.fates)
    if (fate.job.client == client) fates.push_back(fate);
  return fates;
}

double seconds_of(const Fate& fate) { return fate.end.value_or(1e9) - fate.job.arrival; }

struct Device {
  const char* name;
  SimulatedBucket bucket;
};
const Device kDevices[] = {{"flat", flat_bucket("m", 512)}, {"roomy", roomy_bucket("m", 512)}};

TEST(Fairness, one_image_beside_a_client_with_64_waits_for_one_at_most) {
  for (const auto& [name, bucket] : kDevices) {
    for (const double noise : {0.0, 0.3}) {
      for (const double begins : {0.0, 0.3, 1.7, 4.5, 9.9}) {
        SimulationOptions options = device({bucket});
        options.noise = noise;
        Arrivals arrivals;
        arrivals.add("many", 64, 0, bucket).add("one", 1, begins * share(bucket), bucket);
        const SimulationOutcome outcome = simulate(options, arrivals.all);
        ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
        const double seconds = seconds_of(of_client(outcome, "one")[0]);
        EXPECT_LT(seconds, 2.2 * (1 + noise) * share(bucket)) << name << " " << begins;
        // Its first step comes about as soon as on an idle device.
        EXPECT_LT(*outcome.fates.back().first_step - begins * share(bucket), 0.5 * share(bucket)) << name << begins;
      }
    }
  }
}

TEST(Fairness, neither_many_sizes_nor_deadlines_bring_a_client_more) {
  for (const auto& [name, bucket] : kDevices) {
    std::vector<SimulatedBucket> sizes{bucket};
    for (int i = 1; i < 32; i++) {
      sizes.push_back(bucket);
      sizes.back().bucket.width += 8 * i;
    }
    Arrivals many_sizes;
    for (int i = 0; i < 64; i++) many_sizes.add("many", 1, 0, sizes[static_cast<size_t>(i) % 32]);
    Arrivals deadlines;
    for (int i = 0; i < 64; i++) deadlines.add("many", 1, 0, bucket, {.deadline = (6.0 + 2.0 * i) * share(bucket)});
    for (Arrivals arrivals : {many_sizes, deadlines}) {
      const double at = 3.3 * share(bucket);
      arrivals.add("one", 1, at, bucket).add("timed", 1, at, bucket, {.deadline = at + 8 * share(bucket)});
      const SimulationOutcome outcome = simulate(device(sizes), arrivals.all);
      ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
      // With the two of them there are three clients.
      EXPECT_LT(seconds_of(of_client(outcome, "one")[0]), 3.3 * share(bucket)) << name;
      EXPECT_TRUE(of_client(outcome, "timed")[0].admission.accepted()) << name;
      EXPECT_LT(seconds_of(of_client(outcome, "timed")[0]), 4.6 * share(bucket)) << name;
    }
  }
}

TEST(Fairness, clients_with_many_share_evenly_whoever_came_first) {
  for (const auto& [name, bucket] : kDevices) {
    Arrivals arrivals;
    arrivals.add("a", 120, 0, bucket);
    arrivals.add("b", 120, 5.5 * share(bucket), bucket).add("c", 120, 6 * share(bucket), bucket);
    const SimulationOutcome outcome = simulate(device({bucket}), arrivals.all);
    std::map<std::string, int> ended;
    const double from = 9 * share(bucket), to = 24 * share(bucket);
    for (const Fate& fate : outcome.fates) ended[fate.job.client] += *fate.end >= from && *fate.end < to;
    for (const auto& [client, images] : ended) EXPECT_NEAR(images, ended["a"], 0.1 * images + 1) << name << client;
    EXPECT_GT(ended["b"], 3) << name;
  }
}

TEST(Fairness, within_a_client_images_go_by_arrival) {
  const SimulatedBucket bucket = flat_bucket("m", 512);
  Arrivals arrivals;
  for (int i = 0; i < 12; i++) arrivals.add(i % 3 ? "a" : "b", 1, 0.1 * i, bucket);
  const SimulationOutcome outcome = simulate(device({bucket}), arrivals.all);
  for (const char* client : {"a", "b"}) {
    const std::vector<Fate> fates = of_client(outcome, client);
    EXPECT_TRUE(std::ranges::is_sorted(fates, {}, [](const Fate& fate) { return *fate.end; }));
  }
}

TEST(Fairness, what_is_foretold_is_the_order_that_runs) {
  for (const auto& [name, bucket] : kDevices) {
    SimulationOptions options = device({bucket});
    options.settings.first_step_first = false;
    Arrivals arrivals;
    arrivals.add("a", 9, 0, bucket).add("b", 4, 0, bucket).add("c", 2, 0, bucket);
    Batcher batcher(options.settings);
    batcher.add_bucket({bucket.bucket, bucket.times, bucket.max_batch_rows});
    for (const Arrival& arrival : arrivals.all) batcher.admit(arrival.job, 0);
    const std::map<JobId, double> foretold = batcher.forecast(0);
    const SimulationOutcome outcome = simulate(options, arrivals.all);
    for (const Fate& fate : outcome.fates)
      EXPECT_NEAR(foretold.at(fate.job.id), *fate.end, 0.1 * *fate.end + 0.5) << name << fate.job.id;
  }
}

// A flood fills its own wait alone: the wait of others is their own.
TEST(Fairness, a_flood_is_refused_and_shuts_out_nobody_else) {
  const SimulatedBucket bucket = flat_bucket("m", 512);
  SimulationOptions options = device({bucket});
  options.settings.max_wait = 10 * share(bucket);
  Arrivals arrivals;
  arrivals.add("many", 64, 0, bucket).add("one", 1, 1, bucket).add("many", 1, 2, bucket);
  const SimulationOutcome outcome = simulate(options, arrivals.all);
  int admitted = 0;
  for (const Fate& fate : of_client(outcome, "many")) admitted += fate.admission.accepted();
  EXPECT_GE(admitted, 10);
  EXPECT_LE(admitted, 13);
  EXPECT_EQ(outcome.fates.back().admission.refusal, Refusal::kTooLong);
  const Fate one = of_client(outcome, "one")[0];
  EXPECT_TRUE(one.admission.accepted());
  EXPECT_LT(one.admission.wait, 1.5 * share(bucket));
}

TEST(Fairness, ever_new_clients_do_not_starve_one_that_waits) {
  const SimulatedBucket bucket = flat_bucket("m", 512);
  SimulationOptions options = device({bucket});
  options.settings.max_jobs = 12;
  options.settings.head_start = 100;
  Arrivals arrivals;
  arrivals.add("old", 4, 0, bucket, {.priority = Priority::kLow});
  for (int i = 0; i < 1500; i++)
    arrivals.add("new " + std::to_string(i), 1, 1 + i * 0.3 * share(bucket), bucket,
                 {.priority = i % 2 ? Priority::kLow : Priority::kNormal});
  const SimulationOutcome outcome = simulate(options, arrivals.all);
  ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
  double longest = 0;
  for (const Fate& fate : of_client(outcome, "old")) longest = std::max(longest, seconds_of(fate));
  const double even = 12 * 4 * share(bucket);  // with 12 clients at once, for its four images
  std::printf("the last of four images after %.0f s; an even share is %.0f s\n", longest, even);
  EXPECT_LT(longest, even + 2 * options.settings.head_start);
  EXPECT_GT(outcome.seconds, 4 * longest) << "others came all the time";
}

// The lane keeps its ranks, so lower priorities do not come before higher ones more than before.
TEST(Fairness, who_passes_in_a_lane_passes_nobody_outside) {
  const SimulatedBucket bucket = flat_bucket("m", 512);
  SimulationOptions options = device({bucket});
  options.settings.head_start = 100;
  Arrivals arrivals;
  arrivals.add("low", 10, 0, bucket, {.priority = Priority::kLow});
  arrivals.add("high", 3, 350, bucket, {.priority = Priority::kHigh});
  arrivals.add("lower", 10, 360, bucket, {.priority = Priority::kLow});
  const SimulationOutcome outcome = simulate(options, arrivals.all);
  double last_high = 0;
  for (const Fate& fate : of_client(outcome, "high")) last_high = std::max(last_high, *fate.end);
  int low_before = 0;
  for (const Fate& fate : outcome.fates) low_before += fate.job.priority == Priority::kLow && *fate.end < last_high;
  EXPECT_LE(low_before, 11) << "those from 150 s earlier, and what ran";
}

TEST(Fairness, a_withdrawn_or_cancelled_image_costs_its_client_only_what_it_had) {
  Batcher batcher(device({}).settings);
  const SimulatedBucket bucket = flat_bucket("m", 512);
  batcher.add_bucket({bucket.bucket, bucket.times, bucket.max_batch_rows});
  const auto job = [&](JobId id, const char* client, double arrival) {
    return BatchJob{.id = id, .bucket = bucket.bucket, .client = client, .calls_left = kCalls, .arrival = arrival};
  };
  for (JobId id = 1; id <= 5; id++) batcher.admit(job(id, "a", 0), 0);
  batcher.admit(job(6, "b", 1), 1);
  batcher.admit(job(7, "b", 1), 1);
  EXPECT_TRUE(batcher.goes_before(6, 2));
  EXPECT_TRUE(batcher.goes_before(2, 7));
  EXPECT_TRUE(batcher.goes_before(7, 3));
  batcher.cancel(1);
  batcher.withdraw(2);
  EXPECT_TRUE(batcher.goes_before(3, 6));
  EXPECT_TRUE(batcher.goes_before(6, 4));
}

}  // namespace
}  // namespace inkstone::serve
