// Makes an image larger with a network (ESRGAN). The parts of the network run one after the other,
// as programs of any backend.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/image.h"
#include "models/esrgan.h"
#include "weights/checkpoint.h"

namespace inkstone {

struct UpscaleOptions {
  // Unset: the device's own if it has one, else fp32. bf16 takes half the memory for the maps, and
  // changes pixels by rounding.
  std::optional<Precision> precision;
  // Bytes that this process may use; 0: what the device has free besides what it uses now.
  size_t memory_budget = 0;
  size_t program_bytes = 0;  // what the process has besides upscaling
};

// How an image of one size will be made larger, decided before anything runs. The bands change
// memory and time, never a pixel.
struct UpscalePlan {
  int width = 0, height = 0;  // of the given image
  Precision precision = Precision::kFp32;
  // Of the bands in which the blocks work, too; 0: on whole maps. The doublings always work in bands.
  int band_rows = 0;
  size_t peak_bytes = 0;   // the most that is resident at once, with program_bytes
  size_t limit_bytes = 0;  // 0: none is known
  // Of the peak: weights, the maps between the parts with both images, and inside the programs.
  size_t weights_bytes = 0, maps_bytes = 0, work_bytes = 0, program_bytes = 0;
  double flops = 0;
};

// A part of the network, to be compiled ahead of time.
struct UpscalerPart {
  std::string name, output;  // "block_3", "result"
  Graph graph;
};

class Upscaler {
 public:
  // A safetensors file or one of torch.save, with an ESRGAN in any of its namings. Throws Error
  // naming the file and what is wrong with it; reads no numbers.
  static Upscaler open(const std::filesystem::path& file);

  const std::string& name() const { return name_; }  // the file's, without folder and ending
  const std::filesystem::path& file() const { return file_; }
  int factor() const { return config_.factor(); }  // 1, 2, 4 or 8
  const EsrganConfig& config() const { return config_; }
  const Weights& weights() const { return weights_; }

  // Of the bands that take least memory.
  static constexpr int kLowestBands = 8;
  // What bands of so many rows take, whether or not that fits; 0: whole maps.
  UpscalePlan measure(Backend& backend, int width, int height, const UpscaleOptions& options, int band_rows) const;
  // Throws UsageError naming the smallest budget that works, if memory does not suffice.
  UpscalePlan plan(Backend& backend, int width, int height, const UpscaleOptions& options = {}) const;

  // Whether the device has programs for that size: not, where they are compiled ahead and were not exported.
  bool runs_on(Backend& backend, int width, int height) const;
  // The graphs that upscale() compiles for a device that has its own precision.
  std::vector<UpscalerPart> parts(int width, int height) const;

  // `done` of `total` parts have run. It may throw, to stop.
  using Progress = std::function<void(int done, int total)>;
  // An image of factor() times the size. The same pixels for every plan with one precision, and for
  // any number of threads. Compiles as it goes, and keeps nothing in the backend. Throws Error where
  // the network gives NaN.
  Image upscale(Backend& backend, const Image& image, const UpscalePlan& plan, const Progress& progress = {}) const;

 private:
  Upscaler() = default;

  std::filesystem::path file_;
  std::string name_;
  EsrganConfig config_;
  Weights weights_;
};

}  // namespace inkstone
