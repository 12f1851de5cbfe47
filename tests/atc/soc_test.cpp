// Chips' names: what is meant, and what is refused with the way out.
#include "atc/soc.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace inkstone {
namespace {

TEST(Soc, each_is_found_under_its_own_name_but_the_one_that_few_mean) {
  for (const Soc& soc : known_socs()) {
    if (std::string(soc.name) == "Ascend910B") continue;
    EXPECT_EQ(&choose_soc(soc.name, ""), &soc);
  }
}

TEST(Soc, auto_is_what_the_machine_says) {
  EXPECT_STREQ(choose_soc("auto", "Ascend310P3").name, "Ascend310P3");
  EXPECT_STREQ(choose_soc("auto", "910B4").name, "Ascend910B4");                   // npu-smi
  EXPECT_STREQ(choose_soc("auto", "Ascend910B4(simulated)").name, "Ascend910B4");  // the simulator
  EXPECT_STREQ(choose_soc("auto", "Ascend910B").name, "Ascend910B");               // it is there indeed
  EXPECT_STREQ(choose_soc("auto", "Ascend910_9391").name, "Ascend910_9391");       // DCMI
  EXPECT_THROW(choose_soc("auto", "Ascend910"), UsageError);                       // npu-smi, of the same chip
  EXPECT_THROW(choose_soc("auto", ""), UsageError);
}

TEST(Soc, mistakes_are_answered_with_what_was_meant) {
  const std::pair<const char*, const char*> rows[] = {{"Ascend910B", "Ascend910B1, Ascend910B2"},
                                                      {"910B", "first generation"},
                                                      {"ascend910b", "first generation"},
                                                      {"910B4", "did you mean Ascend910B4?"},
                                                      {"ascend310p3", "did you mean Ascend310P3?"},
                                                      {"Ascend-910B4", "did you mean Ascend910B4?"},
                                                      {"Ascend910B5", "Ascend910B4"},
                                                      {"Ascend910", "one of Ascend910_9391, Ascend910_9392"},
                                                      {"910", "NPU Name"},
                                                      {"Ascend910C", "Atlas A3"},
                                                      {"310P", "Ascend310P3"},
                                                      {"Ascend310PP3", "did you mean Ascend310P3"},
                                                      {"H100", "known are Ascend310P1"},
                                                      {"auto ", "npu-smi info"},
                                                      {"", "npu-smi info"}};
  for (const auto& [asked, answer] : rows) {
    try {
      choose_soc(asked, "Ascend910B4");
      ADD_FAILURE() << asked;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(answer), std::string::npos) << error.what();
    }
  }
}

TEST(Soc, only_some_know_bf16) {
  EXPECT_FALSE(soc_named("Ascend310P3")->bf16);
  EXPECT_FALSE(soc_named("Ascend910A")->bf16);
  EXPECT_TRUE(soc_named("Ascend910B4")->bf16);
  EXPECT_EQ(soc_named("Ascend910C"), nullptr);
}

}  // namespace
}  // namespace inkstone
