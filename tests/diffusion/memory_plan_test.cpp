// Which stages are resident together, in numbers small enough to add up by hand.
#include "diffusion/memory_plan.h"

#include <gtest/gtest.h>

namespace inkstone {
namespace {

PlannedStage stage(const char* component, const char* name, StagePosition position, MemoryUse use) {
  return {component, name, position, false, use};
}

EnginePlan plan() {
  EnginePlan result;
  result.stages = {
      stage("text_encoder", "text_encoder", StagePosition::kBeforeSteps,
            {.weights = 3, .mapped = 100, .arena = 20, .scratch = 1}),
      stage("unet", "unet_prompt", StagePosition::kBeforeSteps, {.weights = 5, .mapped = 50, .arena = 4, .scratch = 2}),
      stage("unet", "unet", StagePosition::kEachStep, {.weights = 7, .mapped = 800, .arena = 60, .scratch = 4}),
      stage("vae", "vae", StagePosition::kAfterSteps, {.weights = 11, .mapped = 30, .arena = 90, .scratch = 5})};
  result.program_bytes = 1000;
  result.carried_bytes = 200;
  return result;
}

TEST(MemoryPlan, together_all_weights_stay_and_the_work_is_shared) {
  // program and carried, packed, the step's pages, then the VAE's pages with the largest work; the text encoder's 121
  // are fewer.
  EXPECT_EQ(peak_of(plan()), 1200u + (3 + 5 + 7 + 11) + 800 + (30 + 95));
}

TEST(MemoryPlan, a_large_text_encoder_counts_while_the_vae_is_away) {
  EnginePlan large = plan();
  large.stages[0].use.mapped = 500;
  EXPECT_EQ(peak_of(large), 1200u + (3 + 5 + 7 + 11) + 800 + (500 + 21));
}

TEST(MemoryPlan, in_turn_the_largest_component_counts) {
  EnginePlan turns = plan();
  turns.components_in_turn = true;
  EXPECT_EQ(peak_of(turns), 1200u + (5 + 7) + (800 + 64));
}

TEST(MemoryPlan, a_stage_that_shares_packs_nothing_and_maps_only_what_passes) {
  EnginePlan cached = plan();
  PlannedStage shallow =
      stage("unet", "unet_shallow", StagePosition::kEachStep, {.weights = 6, .mapped = 40, .arena = 70, .scratch = 0});
  shallow.shares_packed = true;
  cached.stages.insert(cached.stages.begin() + 2, shallow);
  cached.components_in_turn = true;
  EXPECT_EQ(peak_of(cached), 1200u + (5 + 7) + (800 + 70));
  cached.weight_streaming = true;
  EXPECT_EQ(peak_of(cached), 1200u + (5 + 7) + (800 + 40 + 70));
}

TEST(MemoryPlan, what_decodes_previews_has_the_unets_turn) {
  EnginePlan watched = plan();
  const PlannedStage preview = stage("preview_vae", "preview_vae", StagePosition::kEachStep,
                                     {.weights = 2, .mapped = 10, .arena = 70, .scratch = 3});
  watched.stages.insert(watched.stages.begin() + 3, preview);
  EXPECT_EQ(peak_of(watched), 1200u + (3 + 5 + 7 + 2 + 11) + (800 + 10) + (30 + 95));
  watched.components_in_turn = true;
  EXPECT_EQ(peak_of(watched), 1200u + (5 + 7 + 2) + (800 + 10) + 73);
}

TEST(MemoryPlan, owned_weights_are_always_there) {
  EnginePlan merged = plan();
  merged.owned_bytes = 77;
  EXPECT_EQ(peak_of(merged), peak_of(plan()) + 77);
  EXPECT_EQ(merged.use("unet").mapped, 800u);
  EXPECT_EQ(merged.use("no such stage").total(), 0u);
}

}  // namespace
}  // namespace inkstone
