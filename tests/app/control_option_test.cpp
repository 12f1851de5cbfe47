// How --control is read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "app/loading.h"
#include "base/error.h"
#include "base/file.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void expect_option(const std::string& text, const ControlOption& right) {
  const ControlOption found = parse_control(text);
  EXPECT_EQ(found.path, right.path) << text;
  EXPECT_EQ(found.hint, right.hint) << text;
  EXPECT_EQ(found.scale, right.scale) << text;
  EXPECT_EQ(found.start, right.start) << text;
  EXPECT_EQ(found.end, right.end) << text;
}

TEST(ControlOption, is_a_file_a_hint_and_numbers) {
  expect_option("canny.safetensors", {"canny.safetensors", ""});
  expect_option("canny.safetensors:edges.png", {"canny.safetensors", "edges.png"});
  expect_option("canny.safetensors:edges.png:0.8", {"canny.safetensors", "edges.png", 0.8f});
  expect_option("a/b:c d.png:1:0.25:0.5", {"a/b", "c d.png", 1, 0.25f, 0.5f});
  expect_option("canny:7", {"canny", "", 7});
}

TEST(ControlOption, of_two_numbers_is_refused) {
  EXPECT_THAT([] { parse_control("canny:edges.png:0.8:0.5"); },
              testing::Throws<UsageError>(testing::Property(&Error::what, HasSubstr("SCALE:START:END"))));
}

TEST(ControlOption, may_have_paths_with_colons_where_one_reading_names_files) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path();
  for (const char* file : {"a:b", "c:d.png", "e:1"}) write_file(folder / file, {});
  const std::string at = folder.string() + "/";
  expect_option(at + "a:b:" + at + "c:d.png:0.5", {at + "a:b", at + "c:d.png", 0.5f});
  expect_option(at + "e:1", {at + "e:1", ""});
  EXPECT_THAT([&] { parse_control(at + "a:b:" + at + "x:y.png"); },
              testing::Throws<UsageError>(testing::Property(&Error::what, HasSubstr("None names two that are there"))));
}

TEST(ControlOption, names_the_file_alone_where_nothing_is_drawn) {
  Options options;
  options.controls = {"canny.safetensors"};
  check_controls_alone(options);
  for (const char* more : {"canny.safetensors:edges.png", "canny.safetensors:edges.png:0.8", "canny.safetensors:0.5"}) {
    options.controls = {more};
    EXPECT_THAT([&] { check_controls_alone(options); },
                testing::Throws<UsageError>(testing::Property(
                    &Error::what, HasSubstr(std::string("--control ") + more +
                                            ": here it names the file alone, --control canny.safetensors;"))));
  }
}

TEST(ControlOption, without_a_hint_draws_nothing) {
  Options options;
  options.controls = {"canny.safetensors"};
  EXPECT_THAT([&] { control_uses(options); },
              testing::Throws<UsageError>(testing::Property(&Error::what, HasSubstr("which picture is the hint?"))));
  EXPECT_EQ(control_uses(options, /*plans=*/true)->front().model, "canny");
}

}  // namespace
}  // namespace inkstone
