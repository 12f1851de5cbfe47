// Where the images of inkstone generate go: files, or standard output.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "app/options.h"
#include "base/image_file.h"
#include "base/picture.h"

namespace inkstone {

// By the extension; PNG where it says nothing. UsageError where it asks for a format that is not written.
ImageFormat image_format(const std::string& out);

// Whether --out names standard output. UsageError where that cannot be: with --json, several images, or a terminal there.
bool is_standard_output(const Options& options, int images);

struct WrittenImage {
  std::string place;      // its path, or "standard output"
  bool replaced = false;  // a file that was there
};

class ImageOutput {
 public:
  // Throws UsageError for flags that --out cannot stand together with.
  ImageOutput(const Options& options, int images);

  // To be called before the work: for the first image, or with --no-clobber for each. Makes FOLDER of --out FOLDER/.
  // Throws Error where an image of that size cannot be written, or a file is there and shall stay.
  void check(const std::string& prompt, uint64_t seed, const PictureSize& size) const;

  // As check(), and with `parameters` in the file.
  WrittenImage write(const Image& image, const std::string& parameters, const std::string& prompt, uint64_t seed) const;

 private:
  std::filesystem::path checked_path(const std::string& prompt, uint64_t seed, uint64_t bytes) const;

  std::optional<std::string> out_;
  ImageFormat format_ = ImageFormat::kPng;
  bool to_standard_output_ = false, several_ = false, no_clobber_ = false;
};

}  // namespace inkstone
