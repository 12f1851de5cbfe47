// Each way in which a card can fail ends in the right error or in less at a time; nothing is left
// on the card, and the next request is served: by the same engine where the card lives, by a new
// one where it was lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ascend/simulated_card.h"
#include "base/error.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct Row {
  const char* name;
  const char* fault;  // set after the first image
  // what the error says; empty: there is none
  std::vector<const char*> message;
  bool lost = false;  // the card
};

std::optional<Error::Kind> fate(Engine& engine, const ImageRequest& request) {
  try {
    draw(engine, request);
  } catch (const Error& error) {
    return error.kind();
  }
  return std::nullopt;
}

class Faults : public testing::TestWithParam<Row> {};

TEST_P(Faults, end_in_the_right_error_and_the_next_image_is_drawn) {
  const Row& row = GetParam();
  SimulatedCard card;
  auto host = host_engine();
  const ImageRequest request = demo_request(*host, "a fox", 1);
  const Image right = draw(*host, request);
  {
    auto npu = npu_engine();
    EXPECT_GE(psnr(draw(*npu, request), right), 45);
    card.set(row.fault);
    ImageRequest other = request;
    other.width = 96;  // programs that are not loaded yet
    std::string said;
    bool lost = false;
    try {
      draw(*npu, other);
    } catch (const Error& error) {
      said = error.what();
      lost = error.kind() == Error::Kind::kDeviceLost;
    }
    card.set("clear=1");
    EXPECT_EQ(lost, row.lost) << said;
    EXPECT_EQ(said.empty(), row.message.empty()) << said;
    for (const char* part : row.message) EXPECT_THAT(said, HasSubstr(part));
    if (row.lost)
      EXPECT_EQ(fate(*npu, request), Error::Kind::kDeviceLost);
    else
      EXPECT_GE(psnr(draw(*npu, request), right), 45);
  }
  EXPECT_EQ(card.left_behind(), "");
  auto npu = npu_engine();
  EXPECT_GE(psnr(draw(*npu, request), right), 45);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Faults,
    testing::Values(
        Row{"a_model_that_does_not_load", "fault=aclmdlLoadFromFileWithMem:1:545001", {"545001", "simulated", ".om"}},
        Row{"memory_refused_once", "fault=aclmdlLoadFromFileWithMem:2:245000", {}},
        Row{"memory_refused_for_good", "fault=aclmdlLoadFromFileWithMem:0:245000", {"245000", "memory"}},
        Row{"a_kernel_that_crashes", "fault=aclmdlExecuteAsync:2:507015", {"507015", "simulated"}, true},
        Row{"a_kernel_that_hangs", "fault=aclmdlExecuteAsync:2:507014", {"507014"}, true},
        Row{"an_ai_cpu_that_crashes", "fault=aclmdlExecuteAsync:1:507018", {"507018"}, true},
        Row{"a_card_that_is_lost", "lost=1", {"507010"}, true},
        Row{"a_copy_that_fails", "fault=aclrtMemcpyAsync:1:507899", {"507899"}, true},
        Row{"a_copy_that_is_refused", "fault=aclrtMemcpyAsync:1:107000", {"107000"}}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(Faults, a_step_that_never_ends_is_an_error_in_time) {
  setenv("INKSTONE_STEP_TIMEOUT", "1", 1);
  SimulatedCard card;
  {
    auto npu = npu_engine();
    card.set("hang=aclmdlExecuteAsync:2");
    EXPECT_EQ(fate(*npu, demo_request(*npu, "a fox", 1)), Error::Kind::kDeviceLost);
  }
  unsetenv("INKSTONE_STEP_TIMEOUT");
  EXPECT_EQ(card.left_behind(), "");
}

TEST(Faults, files_for_another_chip_are_refused_before_any_is_loaded) {
  SimulatedCard card("soc=Ascend310P3");
  try {
    auto npu = npu_engine();
    draw(*npu, demo_request(*npu, "a fox", 1));
    ADD_FAILURE() << "drawn";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("Ascend910B4"), HasSubstr("Ascend310P3"), HasSubstr("inkstone export")));
  }
  EXPECT_FALSE(card.report().at("calls").as_object().contains("aclmdlLoadFromFileWithMem"));
  EXPECT_EQ(card.left_behind(), "");
}

TEST(Faults, where_the_card_is_too_small_for_four_it_takes_fewer_and_the_images_stay) {
  auto host = host_engine();
  // the U-Net's weights, and work for two
  SimulatedCard card("memory=" + std::to_string(86 << 20));
  {
    auto npu = npu_engine();
    std::vector<Job> jobs;
    std::vector<Job*> all;
    for (uint64_t seed = 1; seed <= 4; ++seed)
      jobs.push_back(npu->start(npu->resolve(demo_request(*npu, "a fox", seed))));
    for (Job& job : jobs) all.push_back(&job);
    const int64_t before = card.report().at("executions").as_int64();
    while (!all[0]->done()) npu->step(all);
    EXPECT_GT(card.report().at("executions").as_int64() - before, all[0]->calls()) << "four went at once";
    for (Job& job : jobs)
      EXPECT_GE(psnr(npu->finish(job), draw(*host, demo_request(*host, "a fox", job.request.seed))), 45);
  }
  EXPECT_EQ(card.left_behind(), "");
}

TEST(Faults, without_a_compiled_file_of_the_size_the_command_is_named) {
  const SimulatedCard card;
  auto npu = npu_engine();
  ImageRequest request = demo_request(*npu, "a fox", 1);
  request.width = 80;
  try {
    draw(*npu, request);
    ADD_FAILURE() << "drawn";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("80x64"), HasSubstr("inkstone export")));
  }
}

}  // namespace
}  // namespace inkstone
