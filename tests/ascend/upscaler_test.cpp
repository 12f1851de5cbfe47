// An upscaler on the simulated card: the images of the reference.
#include "upscale/upscaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ascend/simulated_card.h"
#include "base/error.h"
#include "upscale/tiny_upscaler.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Image upscaled(const std::string& device, const std::string& compiled, int width, int height) {
  const Upscaler upscaler = Upscaler::open(INKSTONE_SOURCE_DIR "/tests/fixtures/upscalers/plain.pth");
  const auto backend = open_backend(device, {compiled});
  return upscaler.upscale(*backend, formula_image(width, height), upscaler.plan(*backend, width, height));
}

TEST(Families, an_upscaler_runs_part_by_part_on_a_card) {
  const SimulatedCard card;
  for (const auto& [width, height] : {std::pair(24, 20), std::pair(9, 9)}) {
    const Image right = upscaled("reference", "", width, height);
    EXPECT_GE(psnr(upscaled("npu:0", compiled_demo("upscaler"), width, height), right), 60);
    if (width == 24) {
      EXPECT_GE(psnr(upscaled("npu:0", compiled_demo("upscaler-fp16"), width, height), right), 40);
    }
  }
  try {
    upscaled("npu:0", compiled_demo("upscaler"), 24, 24);
    ADD_FAILURE();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no compiled file for 24x24"), HasSubstr("--sizes 24x20,24x24,9x9")));
  }
  EXPECT_EQ(card.left_behind(), "");
}

}  // namespace
}  // namespace inkstone
