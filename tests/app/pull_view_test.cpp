// What is shown of a download.
#include "app/pull_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/command_line.h"
#include "base/error.h"

namespace inkstone {
namespace {

constexpr uint64_t kMib = 1 << 20;

TEST(DownloadLine, says_how_far_how_fast_and_how_long) {
  EXPECT_EQ(download_line({"unet/model.safetensors", 50 * kMib, 200 * kMib, 10.0 * kMib}, 80),
            "unet/model.safetensors  25 %, 10.0 MiB/s, 15.0 s left");
  EXPECT_EQ(download_line({"a.json", 0, 10, 0}, 80), "a.json  0 %");
  EXPECT_EQ(download_line({"empty", 0, 0, 0}, 80), "empty  100 %");
}

TEST(DownloadLine, fits_the_terminal) {
  const DownloadState state{"unet/diffusion_pytorch_model.fp16.safetensors", 50 * kMib, 200 * kMib, 10.0 * kMib};
  EXPECT_EQ(download_line(state, 50), "...fp16.safetensors  25 %, 10.0 MiB/s, 15.0 s left");
  for (int columns = 0; columns < 90; ++columns)
    EXPECT_LE(download_line(state, columns).size(), static_cast<size_t>(columns));
}

TEST(PullCommand, takes_a_model_by_its_place_and_a_variant_of_those_there_are) {
  const CommandLine line = parse_command_line({"pull", "org/name@v1", "--variant", "none"});
  EXPECT_EQ(line.command, Command::kPull);
  EXPECT_EQ(line.options.model, "org/name@v1");
  EXPECT_EQ(line.options.variant, "none");
  EXPECT_THROW(parse_command_line({"pull", "org/name", "--variant", "fp8"}), UsageError);
  EXPECT_THROW(parse_command_line({"pull", "org/name", "other/name"}), UsageError);
}

}  // namespace
}  // namespace inkstone
