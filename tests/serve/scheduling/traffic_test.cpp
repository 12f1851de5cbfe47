// The batcher under thousands of random arrivals: what must hold whatever comes, and how well it
// serves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <sstream>

#include "sanitized.h"
#include "serve/scheduling/simulation.h"

namespace inkstone::serve {
namespace {

constexpr Batching kModes[] = {Batching::kOff, Batching::kStatic, Batching::kStep};

double load_of(const SimulatedBucket& bucket, double load) { return load * bucket.saturation(20, 2); }

// Each seed is another server, another mix and other faults.
struct Chaos {
  SimulationOptions options;
  std::vector<Arrival> arrivals;

  explicit Chaos(uint64_t seed) {
    const bool roomy = seed % 2;
    Mix mix;
    for (size_t i = 0; i < 1 + seed % 3; i++) {
      const int size = 256 << i;
      options.buckets.push_back(roomy ? roomy_bucket("m", size, 1 + 0.7 * static_cast<double>(i))
                                      : flat_bucket("m", size, 1));
      mix.buckets.push_back(options.buckets.back().bucket);
    }
    const double scale = roomy ? 0.05 : 1;
    options.settings.batching = seed % 7 == 5 ? Batching::kStatic : seed % 7 == 6 ? Batching::kOff : Batching::kStep;
    options.settings.max_jobs = seed % 5 == 0 ? 20 : 256;
    options.settings.head_start = 100 * scale;
    options.settings.first_step_first = seed % 4 != 3;
    options.noise = 0.2;
    options.failures = 0.005;
    options.seconds_to_death = seed % 3 ? 500 * scale : 0;
    options.seed = seed;
    mix.per_second = load_of(options.buckets[0], 0.3 + 0.4 * static_cast<double>(seed % 6));
    mix.jobs = 250;
    mix.min_calls = 1;
    mix.max_calls = 40;
    mix.unguided = 0.3;
    mix.cancelled = 0.2;
    mix.low = mix.high = 0.2;
    mix.timed = 0.4;
    mix.slack = 200 * scale;
    mix.bursts = seed % 2;
    mix.legs = seed % 5 < 2 ? 0.5 : 0;
    arrivals = random_arrivals(mix, seed);
    for (Arrival& arrival : arrivals) {
      arrival.job.alone = arrival.job.id % 17 == 0;
      arrival.job.client = std::to_string(arrival.job.id % (1 + seed % 4));
    }
  }

  std::vector<std::string> faults() const {
    const SimulationOutcome outcome = simulate(options, arrivals);
    std::vector<std::string> faults = outcome.faults;
    for (const Fate& fate : outcome.fates) {
      if (fate.ends != fate.admission.accepted()) faults.push_back("not one end: " + std::to_string(fate.job.id));
      const bool early = fate.end && fate.first_step && *fate.end < *fate.first_step;
      if (early) faults.push_back("ended before it began: " + std::to_string(fate.job.id));
    }
    return faults;
  }

  // Leaves out arrivals, ever smaller runs of them, as long as something is still wrong.
  void shrink() {
    for (size_t run = arrivals.size() / 2; run > 0; run /= 2) {
      for (size_t from = 0; from + run <= arrivals.size();) {
        const std::vector<Arrival> all = arrivals;
        const auto first = arrivals.begin() + static_cast<std::ptrdiff_t>(from);
        arrivals.erase(first, first + static_cast<std::ptrdiff_t>(run));
        if (!faults().empty()) continue;
        arrivals = all;
        from += run;
      }
    }
  }

  std::string story() const {
    std::ostringstream text;
    for (const auto& [job, cancelled_at] : arrivals) {
      text << "job " << job.id << " at " << job.arrival << ", " << job.bucket.width << " px, " << job.rows << " rows, "
           << job.calls_left << " calls, priority " << static_cast<int>(job.priority) << ", deadline "
           << job.deadline.value_or(-1) << ", cancelled at " << cancelled_at.value_or(-1) << "\n";
    }
    return text.str();
  }
};

TEST(Traffic, every_admitted_job_ends_exactly_once_and_no_rule_is_broken) {
  for (uint64_t seed = 1; seed <= 120; seed++) {
    Chaos chaos(seed);
    if (chaos.faults().empty()) continue;
    chaos.shrink();
    FAIL() << "seed " << seed << ": " << chaos.faults().at(0) << "\n" << chaos.story();
  }
}

TEST(Traffic, the_same_arrivals_give_the_same_course) {
  for (const uint64_t seed : {3, 4}) {
    const Chaos chaos(seed);
    const auto one = simulate(chaos.options, chaos.arrivals), two = simulate(chaos.options, chaos.arrivals);
    for (size_t i = 0; i < one.fates.size(); i++) EXPECT_EQ(one.fates[i].end, two.fates[i].end);
  }
}

SimulationOutcome serve_at(const SimulatedBucket& bucket, double load, Batching batching,
                           int jobs = kSanitized ? 300 : 1500) {
  SimulationOptions options;
  options.buckets = {bucket};
  options.settings.batching = batching;
  options.settings.max_jobs = options.settings.max_rows = 100000;
  options.settings.max_wait = 1e9;
  return simulate(options,
                  random_arrivals({.buckets = {bucket.bucket}, .per_second = load_of(bucket, load), .jobs = jobs}, 7));
}

TEST(Traffic, a_first_step_comes_after_about_a_step_where_other_ways_wait_for_images) {
  for (const SimulatedBucket& bucket : {flat_bucket("m", 512), roomy_bucket("m", 512)}) {
    const double step = bucket.times.step_seconds(bucket.max_batch_rows), image = 20 * bucket.times.step_seconds(2);
    double median[3], late[3];
    for (const double load : {0.5, 0.8, 1.0}) {
      for (const Batching mode : kModes) {
        const SimulationOutcome outcome = serve_at(bucket, load, mode);
        ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
        const size_t at = static_cast<size_t>(mode);
        median[at] = quantile(waits_for_first_step(outcome), 0.5);
        late[at] = quantile(waits_for_first_step(outcome), 0.99);
        std::printf("%-5s load %.1f %-6s first step: median %8.3f s, p99 %8.3f s; rows a step %4.1f\n",
                    bucket.max_batch_rows > 2 ? "roomy" : "flat", load,
                    mode == Batching::kOff ? "off"
                    : at == 1              ? "static"
                                           : "step",
                    median[at], late[at], static_cast<double>(outcome.rows) / static_cast<double>(outcome.steps));
      }
      EXPECT_LT(median[2], 3 * step) << load;
      EXPECT_LT(late[2], 6 * step) << load;
      EXPECT_LT(late[2], 0.2 * late[0]) << load;
      EXPECT_LT(late[2], 0.2 * late[1]) << load;
    }
    EXPECT_GT(late[1], image);
  }
}

TEST(Traffic, throughput_is_never_below_one_at_a_time) {
  for (const SimulatedBucket& bucket : {flat_bucket("m", 512), roomy_bucket("m", 512)}) {
    for (const double load : {0.3, 0.8, 1.0, 50.0}) {
      const double off = serve_at(bucket, load, Batching::kOff).seconds;
      EXPECT_LE(serve_at(bucket, load, Batching::kStep).seconds, off * 1.0001) << load;
      EXPECT_LE(serve_at(bucket, load, Batching::kStatic).seconds, off * 1.0001) << load;
    }
  }
}

Mix mixed(const std::vector<SimulatedBucket>& buckets, double load, double slack) {
  Mix mix{.jobs = 2000, .min_calls = 10, .max_calls = 30, .low = 0.1, .high = 0.1, .timed = 0.5, .slack = slack};
  double seconds = 0;  // of a job
  for (const SimulatedBucket& bucket : buckets) {
    mix.buckets.push_back(bucket.bucket);
    seconds += 1 / bucket.saturation(20, 2) / static_cast<double>(buckets.size());
  }
  mix.per_second = load / seconds;
  return mix;
}

TEST(Traffic, at_moderate_load_deadlines_are_kept_and_ends_are_as_predicted) {
  for (const bool roomy : {false, true}) {
    for (const size_t buckets : {1, 3}) {
      SimulationOptions options{.noise = 0.1};
      for (size_t i = 0; i < buckets; i++) {
        const int size = 512 + 64 * static_cast<int>(i);
        const double scale = 1 + 0.5 * static_cast<double>(i);
        options.buckets.push_back(roomy ? roomy_bucket("m", size, scale) : flat_bucket("m", size, scale));
      }
      options.settings.head_start = roomy ? 3 : 120;
      options.settings.max_wait = 1e9;
      const auto outcome = simulate(options, random_arrivals(mixed(options.buckets, 0.5, roomy ? 4 : 200), 7));
      ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
      int timed = 0, kept = 0;
      std::vector<double> ratios;
      for (const Fate& fate : outcome.fates) {
        if (!fate.end) continue;
        ratios.push_back((*fate.end - fate.job.arrival) / (fate.admission.end - fate.job.arrival));
        timed += fate.job.deadline.has_value();
        kept += fate.job.deadline && *fate.end <= *fate.job.deadline;
      }
      std::printf("%-5s %zu buckets: %d of %d deadlines kept; end to predicted p1 %.2f p50 %.2f p90 %.2f p99 %.2f\n",
                  roomy ? "roomy" : "flat", buckets, kept, timed, quantile(ratios, 0.01), quantile(ratios, 0.5),
                  quantile(ratios, 0.9), quantile(ratios, 0.99));
      EXPECT_GE(kept, 0.985 * timed);
      EXPECT_GT(quantile(ratios, 0.01), 0.5);
      EXPECT_LT(quantile(ratios, 0.5), 1.5);
      EXPECT_LT(quantile(ratios, 0.9), 2.5);
    }
  }
}

TEST(Traffic, three_times_too_much_leaves_the_goodput_and_is_refused) {
  for (const bool timed : {false, true}) {
    for (const SimulatedBucket& bucket : {flat_bucket("m", 512), roomy_bucket("m", 512)}) {
      double peak = 0, goodput = 0;
      for (const double load : {0.8, 1.0, 1.2, 3.0}) {
        SimulationOptions options;
        options.buckets = {bucket};
        options.settings.max_jobs = 4 * bucket.max_batch_rows;
        Mix mix{.buckets = {bucket.bucket}, .per_second = load_of(bucket, load), .jobs = 3000};
        mix.timed = timed;
        mix.slack = 100 * bucket.times.step_seconds(2);
        const auto outcome = simulate(options, random_arrivals(mix, 3));
        ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
        int good = 0;
        for (const Fate& fate : outcome.fates) {
          good += fate.end && (!fate.job.deadline || *fate.end <= *fate.job.deadline);
          EXPECT_TRUE(fate.admission.accepted() || fate.admission.retry_after > 0);
        }
        goodput = good / outcome.fates.back().job.arrival;
        peak = std::max(peak, goodput);
      }
      std::printf("%-5s %s: goodput at 3.0 is %.1f %% of the peak\n", bucket.max_batch_rows > 2 ? "roomy" : "flat",
                  timed ? "deadlines" : "no deadlines", 100 * goodput / peak);
      EXPECT_GE(goodput, 0.9 * peak);
    }
  }
}

TEST(Traffic, buckets_share_the_time_evenly_under_a_flood) {
  for (const bool roomy : {false, true}) {
    SimulationOptions options;
    Mix mix{.per_second = 1000, .jobs = 900};
    for (int i = 0; i < 3; i++) {
      options.buckets.push_back(roomy ? roomy_bucket("m", 256 << i, 1 << (2 * i))
                                      : flat_bucket("m", 256 << i, 1 << (2 * i)));
      mix.buckets.push_back(options.buckets.back().bucket);
    }
    // The flood is of the large ones.
    for (int i = 0; i < 6; i++) mix.buckets.push_back(mix.buckets[2]);
    options.settings.max_jobs = options.settings.max_rows = 100000;
    options.settings.max_wait = 1e9;
    // All of them have work until then.
    options.buckets_until = roomy ? 80 : 4000;
    const auto outcome = simulate(options, random_arrivals(mix, 5));
    ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
    const auto& seconds = outcome.bucket_seconds;
    const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
    const double squares = std::inner_product(seconds.begin(), seconds.end(), seconds.begin(), 0.0);
    std::printf("%-5s buckets %.1f s, %.1f s, %.1f s: Jain %.4f\n", roomy ? "roomy" : "flat", seconds[0], seconds[1],
                seconds[2], sum * sum / (3 * squares));
    EXPECT_GT(sum * sum / (3 * squares), 0.98);
  }
}

TEST(Traffic, nobody_starves_under_a_flood_of_high_priorities_and_deadlines) {
  const SimulatedBucket bucket = flat_bucket("m", 512);
  SimulationOptions options;
  options.buckets = {bucket, flat_bucket("m", 768, 2)};
  options.settings.max_jobs = 16;
  options.settings.max_wait = 1e9;
  Mix mix{.buckets = {bucket.bucket, options.buckets[1].bucket}, .per_second = load_of(bucket, 2.0), .jobs = 4000};
  mix.low = 0.1;
  mix.high = 0.6;
  mix.timed = 0.5;
  mix.slack = 200;
  const auto outcome = simulate(options, random_arrivals(mix, 9));
  ASSERT_TRUE(outcome.faults.empty()) << outcome.faults[0];
  const BatcherSettings& s = options.settings;
  const double at_once = 16 * (20 * options.buckets[1].times.step_seconds(2) + 7);
  const double steps_share = 1 / (1 + s.encode_share / (1 - s.encode_share) + s.decode_share / (1 - s.decode_share));
  const double rest = (1 - s.deadline_share) * (1 - s.first_step_share);
  double longest = 0;
  int low = 0;
  for (const Fate& fate : outcome.fates) {
    if (!fate.end) continue;
    longest = std::max(longest, *fate.end - fate.job.arrival);
    low += fate.job.priority == Priority::kLow;
  }
  std::printf("%d of low priority; longest of all %.0f s, promised %.0f s, all at once takes %.0f s\n", low, longest,
              2 * s.head_start + 2 * at_once / (rest * steps_share), at_once);
  EXPECT_GT(low, 20);
  EXPECT_LT(longest, 2 * s.head_start + 2 * at_once / (rest * steps_share));
  EXPECT_LT(longest, 2 * s.head_start + at_once / rest);
}

}  // namespace
}  // namespace inkstone::serve
