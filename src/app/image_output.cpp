#include "app/image_output.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <span>
#include <string_view>

#include "app/machine.h"
#include "app/output_path.h"
#include "base/error.h"
#include "base/file.h"
#include "base/spelling.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

ImageFormat image_format(const std::string& out) {
  std::error_code ignored;
  if (fs::is_directory(out, ignored)) return ImageFormat::kPng;
  constexpr std::array<std::string_view, 8> kOthers{".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".jxl", ".jp2"};
  const std::string extension = lower(fs::path(out).extension().string());
  for (std::string_view other : kOthers)
    INKSTONE_CHECK_USAGE(extension != other, "--out ", out, ": only .png, .jpg and .webp are written: try ",
                         fs::path(out).replace_extension(".png").string());
  if (extension == ".jpg" || extension == ".jpeg") return ImageFormat::kJpeg;
  return extension == ".webp" ? ImageFormat::kWebp : ImageFormat::kPng;
}

bool is_standard_output(const Options& options, int images) {
  if (options.out != "-" && options.out != "/dev/stdout") return false;
  INKSTONE_CHECK_USAGE(!options.json.value_or(false),
                       "--out - and --json would both write to standard output: give --out a file");
  INKSTONE_CHECK_USAGE(images == 1, "--out - and ", images, " images: standard output takes one; give --out a folder");
  INKSTONE_CHECK_USAGE(!is_terminal(STDOUT_FILENO),
                       "--out -: standard output is a terminal; send it on, such as: --out - > fox.png");
  return true;
}

ImageOutput::ImageOutput(const Options& options, int images)
    : out_(options.out),
      format_(image_format(options.out.value_or(""))),
      to_standard_output_(is_standard_output(options, images)),
      several_(images > 1),
      no_clobber_(options.no_clobber.value_or(false)) {}

void ImageOutput::check(const std::string& prompt, uint64_t seed, const PictureSize& size) const {
  check_sides(format_, size.width, size.height);
  if (!to_standard_output_) checked_path(prompt, seed, static_cast<uint64_t>(3 * size.width * size.height));
}

std::filesystem::path ImageOutput::checked_path(const std::string& prompt, uint64_t seed, uint64_t bytes) const {
  if (out_) make_last_folder(*out_);
  const fs::path path = image_path(out_, prompt, seed, several_);
  check_output_file(path, bytes, no_clobber_);
  return path;
}

WrittenImage ImageOutput::write(const Image& image, const std::string& parameters, const std::string& prompt,
                                uint64_t seed) const {
  const std::string file = image_file(image, format_, kImageQuality, parameters);
  if (to_standard_output_) {
    write_output(file);
    return {"standard output", false};
  }
  const fs::path path = checked_path(prompt, seed, file.size());
  const bool replaced = is_there(path);
  write_file(path, std::as_bytes(std::span(file)));
  return {path.string(), replaced};
}

}  // namespace inkstone
