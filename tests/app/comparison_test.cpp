#include "app/comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"

namespace inkstone {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

JsonObject work(double seconds, double fraction) { return {{"seconds", seconds}, {"fraction_of_peak", fraction}}; }

JsonObject op(const char* name, double seconds, double fraction) {
  JsonObject object = work(seconds, fraction);
  object["op"] = name;
  return object;
}

JsonObject result(double factor, JsonArray step_ops) {
  JsonObject step = work(4 * factor, 0.8 / factor);
  step["ops"] = std::move(step_ops);
  JsonObject whole = work(100 * factor, 0.8);
  whole["by_medians"] = work(300 * factor, 0.8);
  return {{"model", {{"name", "sd15"}, {"parameters", 1000}}},
          {"machine", {{"description", "EPYC"}, {"threads", 2}}},
          {"width", 512},
          {"height", 512},
          {"precision", "bf16"},
          {"steps", 4},
          {"stages", {{"text_encoder", work(1, 0.5)}, {"guided_step", std::move(step)}, {"vae", work(6, 0.9)}}},
          {"end_to_end", std::move(whole)},
          {"first_step", {{"total_seconds", 9 * factor}}},
          {"memory", {{"measured_peak_bytes", 3e9 * factor}}}};
}

const Compared* find(const Comparison& comparison, const std::string& stage, const std::string& op) {
  for (const Compared& row : comparison.rows)
    if (row.stage == stage && row.op == op) return &row;
  return nullptr;
}

TEST(Comparison, ratios_are_now_over_before_for_stages_and_ops) {
  const JsonObject before = result(1, {op("conv2d", 2, 0.9), op("linear", 1, 0.8), op("cast", 0.1, 0)});
  const JsonObject now = result(0.5, {op("conv2d", 1, 0.45), op("winograd", 0.5, 1.2), op("cast", 0.1, 0)});
  const Comparison comparison = compare(now, before, "old.json");
  EXPECT_THAT(comparison.notes, IsEmpty());
  struct Row {
    const char *stage, *op;
    std::optional<double> seconds, fraction;
  };
  const Row rows[] = {
      {"text_encoder", "", 1, 1},
      {"guided_step", "", 0.5, 2},
      {"guided_step", "conv2d", 0.5, 0.5},
      {"guided_step", "linear", {}, {}},
      {"guided_step", "winograd", {}, {}},
      {"guided_step", "cast", 1, {}},
      {"vae", "", 1, 1},
      {"end_to_end", "", 0.5, 1},
      {"first_step", "", 0.5, {}},
  };
  for (const Row& wanted : rows) {
    const Compared* row = find(comparison, wanted.stage, wanted.op);
    ASSERT_TRUE(row) << wanted.stage << wanted.op;
    EXPECT_EQ(ratio(row->seconds, row->seconds_before), wanted.seconds) << wanted.stage << wanted.op;
    EXPECT_EQ(ratio(row->fraction, row->fraction_before), wanted.fraction) << wanted.stage << wanted.op;
  }
  EXPECT_EQ(comparison.rows.size(), std::size(rows));
  EXPECT_EQ(ratio(comparison.bytes, comparison.bytes_before), 0.5);
  EXPECT_THAT(comparison_table(comparison), HasSubstr("compared with old.json"));
  const JsonObject json = comparison_json(comparison);
  EXPECT_DOUBLE_EQ(json.at("rows").at(1).at("seconds_ratio").as_double(), 0.5);
  EXPECT_TRUE(json.at("rows").at(1).at("op").is_null());
  EXPECT_DOUBLE_EQ(json.at("measured_peak_bytes_ratio").as_double(), 0.5);
}

TEST(Comparison, images_of_other_steps_are_compared_by_their_medians) {
  JsonObject before = result(1, {});
  before["steps"] = 20;
  const Comparison comparison = compare(result(1, {}), before, "old.json");
  EXPECT_EQ(find(comparison, "end_to_end", "")->seconds, 300);
}

TEST(Comparison, says_in_what_else_the_two_differ) {
  JsonObject before = result(1, {});
  before["precision"] = "fp32";
  before["machine"] = JsonObject{{"description", "Xeon"}, {"threads", 8}};
  const Comparison comparison = compare(result(1, {}), before, "old.json");
  EXPECT_THAT(comparison.notes, testing::ElementsAre("precision: bf16 now, fp32 before",
                                                     "device: EPYC now, Xeon before", "threads: 2 now, 8 before"));
}

TEST(Comparison, reads_results_of_the_first_version_which_said_less) {
  JsonObject before = result(1, {op("conv2d", 2, 0.9)});
  for (const char* key : {"steps", "end_to_end", "first_step"}) before.erase(key);
  const Comparison comparison = compare(result(1, {op("conv2d", 1, 0.9)}), before, "old.json");
  EXPECT_EQ(ratio(find(comparison, "guided_step", "conv2d")->seconds,
                  find(comparison, "guided_step", "conv2d")->seconds_before),
            0.5);
  EXPECT_FALSE(find(comparison, "end_to_end", "")->seconds_before);
}

TEST(Comparison, refuses_other_work) {
  const JsonObject now = result(1, {});
  expect_same_work(result(1, {}), "old.json", now);
  JsonObject model = result(1, {}), size = result(1, {});
  model["model"] = JsonObject{{"name", "demo"}, {"parameters", 19}};
  size["height"] = 768;
  EXPECT_THROW(expect_same_work(model, "old.json", now), UsageError);
  try {
    expect_same_work(size, "old.json", now);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--compare old.json: it measured 512x768"));
  }
}

}  // namespace
}  // namespace inkstone
