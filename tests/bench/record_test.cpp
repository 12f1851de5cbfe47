// Percentiles by nearest rank, and what a run's figures count.
#include "load/record.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "load/plot.h"

namespace inkstone {
namespace {

TEST(Percentile, is_the_nearest_rank) {
  const struct {
    std::vector<double> sorted;
    double fraction, wanted;
  } rows[] = {{{5}, 0.5, 5},          {{5}, 0.99, 5},           {{1, 2}, 0.5, 1},     {{1, 2}, 0.51, 2},
              {{1, 2, 3, 4}, 0.5, 2}, {{1, 2, 3, 4}, 0.75, 3},  {{1, 2, 3, 4}, 0, 1}, {{1, 2, 3, 4}, 1, 4},
              {{1, 2, 3}, 0.9, 3},    {{1, 2, 3, 4, 5}, 0.6, 3}};
  for (const auto& row : rows) EXPECT_EQ(percentile(row.sorted, row.fraction), row.wanted) << row.fraction;
  std::vector<double> hundred;
  for (int i = 1; i <= 100; ++i) hundred.push_back(i);
  EXPECT_EQ(percentile(hundred, 0.99), 99);
  EXPECT_EQ(percentile(hundred, 0.9), 90);
  EXPECT_THROW(percentile({}, 0.5), Error);
}

TEST(Summary, takes_values_in_any_order) {
  const Summary summary = summarize({3, 1, 2});
  EXPECT_EQ(summary.count, 3u);
  EXPECT_DOUBLE_EQ(summary.mean, 2);
  EXPECT_EQ(summary.p50, 2);
  EXPECT_EQ(summary.max, 3);
  EXPECT_EQ(summarize({}).count, 0u);
}

Record record(double intended, double total, Fate fate) {
  Record r;
  r.intended = intended;
  r.total = total;
  r.fate = fate;
  r.slo = 1.0;
  r.size = "64x64";
  return r;
}

std::vector<Record> day() {
  std::vector<Record> records = {record(0.5, 0.9, Fate::kOk),        record(1.5, 1.5, Fate::kOk),
                                 record(2.5, 0.01, Fate::kRejected), record(3.5, 0.2, Fate::kAborted),
                                 record(4.5, 30, Fate::kTimedOut),   record(5.5, 9, Fate::kOk),
                                 record(6.5, 0.1, Fate::kWrong),     record(7.5, 0.2, Fate::kFailed)};
  records[2].status = 429;
  records[7].detail = "nan_output";
  return records;
}

TEST(Figures, count_refusals_and_lateness_as_misses_and_leave_out_who_left) {
  const Figures f = figures_of(day(), 0, 10);
  EXPECT_EQ(f.count, 8);
  EXPECT_EQ(f.within_slo, 1);  // of three images, one was in time
  EXPECT_DOUBLE_EQ(f.goodput, 0.1);
  EXPECT_DOUBLE_EQ(f.attainment, 1.0 / 7);
  EXPECT_DOUBLE_EQ(f.throughput, 0.2);  // the third came after the end
  EXPECT_DOUBLE_EQ(f.offered, 0.8);
  ASSERT_EQ(f.rejected.size(), 1u);
  EXPECT_EQ(f.rejected[0], std::make_pair(std::string("429"), int64_t{1}));
  EXPECT_EQ(f.failed[0].first, "nan_output");
  EXPECT_EQ(f.rejects.count, 1u);
  EXPECT_EQ(f.total.count, 3u);
}

TEST(Figures, leave_the_warm_up_out) {
  const Figures f = figures_of(day(), 1, 10);
  EXPECT_EQ(f.count, 7);
  EXPECT_EQ(f.within_slo, 0);
  EXPECT_DOUBLE_EQ(f.seconds, 9);
}

TEST(Seconds, add_up) {
  const std::vector<Second> seconds = seconds_of(day());
  int64_t arrivals = 0, ok = 0, failed = 0;
  for (const Second& second : seconds) arrivals += second.arrivals, ok += second.ok, failed += second.failed;
  EXPECT_EQ(arrivals, 8);
  EXPECT_EQ(ok, 3);
  EXPECT_EQ(failed, 3);
  EXPECT_EQ(seconds[5].open, 2);  // one that will time out, one that takes nine seconds
  EXPECT_EQ(seconds.back().open, 0);
}

TEST(Plot, is_closed_and_holds_no_markup_of_others) {
  const std::string svg = plot_of(day(), "a <b> & c");
  EXPECT_NE(svg.find("a &lt;b&gt; &amp; c"), std::string::npos);
  EXPECT_NE(svg.find("</svg>"), std::string::npos);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_NE(plot_of({}, "").find("</svg>"), std::string::npos);
}

}  // namespace
}  // namespace inkstone
