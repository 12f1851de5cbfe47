// Several models on a device that has not room for all of them: how often they are switched, and that
// nobody starves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "serve/scheduling/simulation.h"

namespace inkstone::serve {
namespace {

SimulationOptions device(std::vector<SimulatedBucket> buckets, size_t kept, double switch_seconds) {
  SimulationOptions options;
  options.buckets = std::move(buckets);
  options.settings.max_jobs = options.settings.max_rows = 100000;
  options.settings.max_wait = 1e9;
  options.models_kept = kept;
  options.switch_seconds = switch_seconds;
  return options;
}

Arrival image(JobId id, const SimulatedBucket& bucket, double at, const std::string& client = "a") {
  Arrival arrival;
  arrival.job.id = id;
  arrival.job.bucket = bucket.bucket;
  arrival.job.client = client;
  arrival.job.arrival = at;
  return arrival;
}

std::vector<Arrival> in_turns(const std::vector<SimulatedBucket>& buckets, int images, double apart) {
  std::vector<Arrival> arrivals;
  for (int i = 0; i < images; i++)
    arrivals.push_back(image(static_cast<JobId>(i + 1), buckets[static_cast<size_t>(i) % buckets.size()], i * apart));
  return arrivals;
}

const std::vector<SimulatedBucket> kTwo{roomy_bucket("one", 512), roomy_bucket("two", 512)};

TEST(Models, are_switched_seldom_where_that_is_dear) {
  for (const double switch_seconds : {0.5, 2.0, 10.0}) {
    for (const double noise : {0.0, 0.3}) {
      SimulationOptions options = device(kTwo, 1, switch_seconds);
      options.noise = noise;
      const SimulationOutcome outcome = simulate(options, in_turns(kTwo, 600, 0.01));
      ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
      for (const Fate& fate : outcome.fates) EXPECT_TRUE(fate.end);
      const double switching = static_cast<double>(outcome.switches) * switch_seconds;
      // A turn may end early, when all that waits for its model is done.
      EXPECT_LT(switching, (outcome.seconds - switching) / 8 * (1 + noise) + 3 * switch_seconds) << switch_seconds;
    }
  }
}

TEST(Models, that_are_all_in_memory_change_nothing) {
  const std::vector<Arrival> arrivals = in_turns(kTwo, 200, 0.02);
  const SimulationOutcome all = simulate(device(kTwo, 0, 0), arrivals), told = simulate(device(kTwo, 2, 0), arrivals);
  ASSERT_TRUE(told.faults.empty()) << told.faults[0];
  ASSERT_EQ(all.fates.size(), told.fates.size());
  EXPECT_EQ(told.switches, 2);
  EXPECT_NEAR(all.seconds, told.seconds, 0.1) << "but for the order at the start";
  for (size_t i = 0; i < all.fates.size(); i++) EXPECT_NEAR(*all.fates[i].end, *told.fates[i].end, 1);
}

TEST(Models, one_image_of_another_does_not_starve_beside_a_flood) {
  for (const double switch_seconds : {0.5, 2.0, 10.0}) {
    std::vector<Arrival> arrivals = in_turns({kTwo[0]}, 700, 0.001);
    arrivals.push_back(image(100000, kTwo[1], 5, "b"));
    arrivals.push_back(image(100001, kTwo[1], 5, "a"));
    const SimulationOutcome outcome = simulate(device(kTwo, 1, switch_seconds), arrivals);
    ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
    // At most a turn of the other model, a switch, and its own.
    const double seconds = *outcome.fates[700].end - 5;
    EXPECT_LT(seconds, 2 * 2 * 9 * switch_seconds + 5) << switch_seconds;
    EXPECT_LE(outcome.switches, 6);
  }
}

TEST(Models, share_the_time_evenly_though_they_are_switched) {
  SimulationOptions options = device(kTwo, 1, 1);
  const std::vector<Arrival> arrivals = in_turns(kTwo, 800, 0.001);
  options.buckets_until = 100;
  const SimulationOutcome outcome = simulate(options, arrivals);
  ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
  const double both = outcome.bucket_seconds[0] + outcome.bucket_seconds[1];
  EXPECT_NEAR(outcome.bucket_seconds[0] / both, 0.5, 0.12);
}

TEST(Models, all_ends_though_workers_die_and_clients_leave_and_many_models_pass_through) {
  std::vector<SimulatedBucket> buckets;
  std::vector<SizeBucket> sizes;
  for (const char* model : {"a", "b", "c", "d", "e"})
    for (const int size : {512, 768}) {
      buckets.push_back(roomy_bucket(model, size, size / 512.0));
      sizes.push_back(buckets.back().bucket);
    }
  for (const size_t kept : {1u, 2u, 3u}) {
    for (uint64_t seed = 1; seed <= 4; seed++) {
      SimulationOptions options = device(buckets, kept, 1.5);
      options.noise = 0.3;
      options.seconds_to_death = 120;
      options.failures = 0.001;
      options.seed = seed;
      const Mix mix{sizes, 1.0, 300, 5, 40, 0.2, 0.1, 0.2, 0.1, 0.2, 200, true, seed % 2 ? 0.3 : 0};
      const SimulationOutcome outcome = simulate(options, random_arrivals(mix, seed));
      ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0] << ", " << kept << " kept, seed " << seed;
      for (const Fate& fate : outcome.fates) EXPECT_EQ(fate.ends, fate.admission.accepted() ? 1 : 0) << fate.job.id;
    }
  }
}

// As SDXL's base and refiner do, where there is room for one of them.
TEST(Models, that_images_pass_from_one_to_the_other_are_switched_seldom_too) {
  std::vector<Arrival> arrivals = in_turns({kTwo[0]}, 100, 0.01);
  for (Arrival& arrival : arrivals) arrival.job.later = {{kTwo[1].bucket, 2, 5}};
  const SimulationOutcome outcome = simulate(device(kTwo, 1, 2), arrivals);
  ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
  for (const Fate& fate : outcome.fates) EXPECT_TRUE(fate.end);
  EXPECT_LE(outcome.switches, 8) << "of 100 images that pass from one to the other";
}

TEST(Models, a_deadline_at_risk_has_its_model_brought_in_before_its_turn) {
  std::vector<Arrival> arrivals = in_turns({kTwo[0]}, 300, 0.001);
  arrivals.push_back(image(100000, kTwo[1], 20, "b"));
  arrivals.back().job.deadline = 26;
  SimulationOptions options = device(kTwo, 1, 2);
  const SimulationOutcome outcome = simulate(options, arrivals);
  ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
  ASSERT_EQ(outcome.fates.size(), 301u);
  int kept = 0;
  for (const Fate& fate : outcome.fates) {
    EXPECT_TRUE(fate.end || !fate.admission.accepted()) << fate.job.id;
    kept += fate.job.deadline && fate.end && *fate.end <= *fate.job.deadline;
  }
  EXPECT_EQ(kept, 1);
}

}  // namespace
}  // namespace inkstone::serve
