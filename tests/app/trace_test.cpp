#include "app/trace.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace inkstone {
namespace {

TEST(Trace, is_json_of_complete_events_in_microseconds_each_track_in_order) {
  Trace trace(100);
  const std::vector<CallProfile> calls{{"conv2d", "[1, 2] \"x\"", 0.25, 8e9, 4e6, 101.5},
                                       {"linear", "b", 0.5, 1e9, 1, 101}};
  const MemoryPeaks peaks{7, 3, 4};
  trace.stage("step", 101, 1, &peaks);
  trace.calls(calls);
  trace.stage("open", 100, 0.5);
  const Json json = parse_json(trace.text(), "trace");
  std::vector<const Json*> events;
  for (const Json& event : json.at("traceEvents").as_array())
    if (event.at("ph").as_string() == "X") events.push_back(&event);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0]->at("name").as_string(), "open");
  EXPECT_EQ(events[0]->at("ts").to_number<double>(), 0);
  EXPECT_EQ(events[0]->at("dur").to_number<double>(), 5e5);
  EXPECT_EQ(events[1]->at("args").at("measured_peak_bytes").to_number<int>(), 7);
  EXPECT_EQ(events[1]->at("tid"), events[0]->at("tid"));
  EXPECT_NE(events[2]->at("tid"), events[0]->at("tid"));
  EXPECT_EQ(events[2]->at("name").as_string(), "linear");
  EXPECT_EQ(events[3]->at("ts").to_number<double>(), 1.5e6);
  EXPECT_EQ(events[3]->at("args").at("shapes").as_string(), "[1, 2] \"x\"");
  EXPECT_EQ(events[3]->at("args").at("flops").to_number<double>(), 8e9);
  EXPECT_EQ(events[3]->at("args").at("bytes").to_number<double>(), 4e6);
}

}  // namespace
}  // namespace inkstone
