#include "app/image_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const Image kImage{2, 1, {1, 2, 3, 4, 5, 6}};

std::string refusal(const Options& options, int images, const PictureSize& size = {20, 10}) {
  try {
    const ImageOutput output(options, images);
    output.check("a fox", 7, size);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Options with_out(const std::string& out) {
  Options options;
  options.out = out;
  return options;
}

TEST(ImageOutput, the_format_is_the_extension_s) {
  EXPECT_EQ(image_format("a.png"), ImageFormat::kPng);
  EXPECT_EQ(image_format("a"), ImageFormat::kPng);
  EXPECT_EQ(image_format(""), ImageFormat::kPng);
  EXPECT_EQ(image_format("in/a.JPG"), ImageFormat::kJpeg);
  EXPECT_EQ(image_format("a.jpeg"), ImageFormat::kJpeg);
  EXPECT_EQ(image_format("a.webp"), ImageFormat::kWebp);
  EXPECT_EQ(image_format("folder.jpg/"), ImageFormat::kPng);
  EXPECT_THAT(refusal(with_out("in/a.TIFF"), 1), HasSubstr("only .png, .jpg and .webp are written: try in/a.png"));
}

TEST(ImageOutput, sides_that_the_format_does_not_have_are_refused_before_the_work) {
  const ScratchFolder folder;
  const auto of = [&](const std::string& name, const PictureSize& size) {
    return refusal(with_out((folder.path() / name).string()), 1, size);
  };
  EXPECT_EQ(of("a.webp", {16383, 8}), "");
  EXPECT_THAT(of("a.webp", {16384, 8}), HasSubstr("webp: 16384x8 pixels; at most 16383 a side: ask for png"));
  EXPECT_EQ(of("a.jpg", {8, 65500}), "");
  EXPECT_THAT(of("a.jpg", {8, 65501}), HasSubstr("jpeg: 8x65501 pixels; at most 65500 a side"));
  EXPECT_EQ(of("a.png", {70000, 8}), "");
}

TEST(ImageOutput, files_have_the_format_and_the_parameters) {
  const ScratchFolder folder;
  const auto file_of = [&](const std::string& name) {
    const std::string out = (folder.path() / name).string();
    EXPECT_EQ(ImageOutput(with_out(out), 1).write(kImage, "a fox\nSteps: 1", "a fox", 7).place, out);
    return text_of(out);
  };
  EXPECT_EQ(file_of("a.png"), image_file(kImage, ImageFormat::kPng, kImageQuality, "a fox\nSteps: 1"));
  EXPECT_EQ(file_of("a.jpg"), image_file(kImage, ImageFormat::kJpeg, kImageQuality, "a fox\nSteps: 1"));
  EXPECT_EQ(file_of("a.webp"), image_file(kImage, ImageFormat::kWebp, kImageQuality, "a fox\nSteps: 1"));
}

TEST(ImageOutput, a_replaced_file_is_told_and_with_no_clobber_kept) {
  const ScratchFolder folder;
  Options options = with_out((folder.path() / "a.png").string());
  EXPECT_FALSE(ImageOutput(options, 1).write(kImage, "", "a fox", 7).replaced);
  EXPECT_TRUE(ImageOutput(options, 1).write(kImage, "", "a fox", 7).replaced);
  options.no_clobber = true;
  EXPECT_THAT(refusal(options, 1), HasSubstr("a.png is there, and --no-clobber keeps it"));
  EXPECT_EQ(refusal(options, 2), "") << "a-7.png is not there";
}

TEST(ImageOutput, the_last_folder_is_made_and_no_more) {
  const ScratchFolder folder;
  const std::string out = folder.path().string() + "/sub/";
  EXPECT_EQ(refusal(with_out(out), 1), "");
  EXPECT_EQ(ImageOutput(with_out(out), 1).write(kImage, "", "a fox", 7).place, out + "a-fox-7.png");
  EXPECT_THAT(refusal(with_out(folder.path().string() + "/no/sub/"), 1), HasSubstr("does not exist"));
  EXPECT_THAT(folder.names(), ElementsAre("sub"));
}

TEST(ImageOutput, standard_output_takes_one_image_alone) {
  Options options = with_out("-");
  EXPECT_THAT(refusal(options, 2), StartsWith("--out - and 2 images: standard output takes one"));
  options.json = true;
  EXPECT_THAT(refusal(options, 1), HasSubstr("give --out a file"));
}

}  // namespace
}  // namespace inkstone
