// What each part of a U-Net reads says how long its results hold: a prompt's, a timestep's, a request's.
#include "diffusion/unet_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace inkstone {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> inputs(const Graph& graph) {
  std::vector<std::string> names;
  for (const NamedShape& input : inputs_of(graph)) names.push_back(input.name);
  return names;
}

UnetConfig small() {
  UnetConfig config;
  config.channels = {32, 64};
  config.blocks = {1, 1};
  config.depth = {1, 1};
  config.up_depth = {1, 1};
  config.heads = {2, 2};
  config.context = 24;
  return config;
}

TEST(UnetParts, a_timestep_s_embedding_does_not_read_what_a_request_brings) {
  UnetConfig config = small();
  config.added = 10;
  const UnetParts parts = unet_parts(config, {2, 8, 8, 5, 2}, DType::kBF16);
  EXPECT_THAT(inputs(parts.part(DependsOn::kPrompt).graph), ElementsAre("text"));
  EXPECT_THAT(inputs(parts.part(DependsOn::kTimestep).graph), ElementsAre("timestep"));
  EXPECT_THAT(inputs(parts.part(DependsOn::kRequest).graph), ElementsAre("added"));
  const ConditioningPart& added = parts.part(DependsOn::kRequest);
  EXPECT_EQ(added.values.size(), 1u);
  EXPECT_EQ(added.graph.node(added.graph.outputs()[0]).type, DType::kBF16);  // as the whole graph stores it
  std::vector<std::string> expected{"latent"};
  for (const ConditioningPart& part : parts.before)
    expected.insert(expected.end(), part.values.begin(), part.values.end());
  EXPECT_THAT(inputs(parts.step), testing::ElementsAreArray(expected));
}

TEST(UnetParts, without_added_conditioning_nothing_is_carried_for_it) {
  const UnetParts parts = unet_parts(small(), {1, 8, 8, 5}, DType::kF32);
  EXPECT_THAT(parts.part(DependsOn::kRequest).values, IsEmpty());
  EXPECT_THAT(parts.part(DependsOn::kRequest).graph.outputs(), IsEmpty());
}

}  // namespace
}  // namespace inkstone
