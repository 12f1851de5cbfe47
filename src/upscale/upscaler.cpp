#include "upscale/upscaler.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "models/work.h"
#include "upscale/pixels.h"

namespace inkstone {
namespace {

// Bands of a map that is narrower are not equal to the whole bit by bit (compile/passes.h).
constexpr int64_t kLeastBandWidth = 16;
// Of the blocks' bands. A block is 15 convolutions deep, and each is ahead of the next
// one by about a band, so that low bands take less memory. High ones are faster.
constexpr int kBandRows[] = {32, 16, Upscaler::kLowestBands};

size_t mebibytes(size_t bytes) { return (bytes + (size_t{1} << 20) - 1) >> 20; }

ShapeOf shapes_of(const Checkpoint& file) {
  return [&file](const std::string& name) { return file.shape_of(name); };
}

std::vector<WeightSpec> specs_of(const EsrganConfig& config) {
  std::vector<WeightSpec> specs;
  for (const NamedShape& weight : weights_of(esrgan_graph(config, 1, 1))) specs.push_back({weight.name, weight.shape});
  return specs;
}

// The maps between the parts.
DType map_type(Precision precision) { return precision == Precision::kBf16 ? DType::kBF16 : DType::kF32; }

struct Parts {  // of the network for one size of an image
  const EsrganConfig& config;
  int64_t height, width;  // of the unshuffled image
  DType type;

  int number() const { return config.blocks + 2; }
  bool is_last(int part) const { return part == number() - 1; }
  Graph graph(int part) const {
    if (part == 0) return esrgan_first_graph(config, height, width, type);
    if (is_last(part)) return esrgan_last_graph(config, height, width, type);
    return esrgan_block_graph(config, part - 1, height, width, type);
  }
  Shape result(int part) const {
    if (is_last(part)) return {1, 3, height << config.doublings, width << config.doublings};
    return {1, config.channels, height, width};
  }
};

Parts parts_of(const EsrganConfig& config, int width, int height, Precision precision) {
  const int k = config.unshuffle;
  return {config, (height + k - 1) / k, (width + k - 1) / k, map_type(precision)};
}

CompileOptions options_of(const Parts& parts, int part, const UpscalePlan& plan, Backend& backend, const Graph& graph) {
  CompileOptions options{plan.precision};
  if (parts.width < kLeastBandWidth || !(plan.band_rows || parts.is_last(part))) return options;
  options.vae_tiling = true;
  if (!parts.is_last(part)) options.band_rows = plan.band_rows;
  // Where programs are compiled ahead, there may be one for whole maps alone.
  if (!backend.has(graph, options)) options.vae_tiling = false;
  return options;
}

struct PartUse {
  MemoryUse program;
  size_t maps = 0;  // what it reads and writes
};

void take_peak(UpscalePlan& plan, const PartUse& use, size_t always) {
  const size_t peak = always + use.maps + use.program.total();
  if (peak <= plan.peak_bytes) return;
  plan.peak_bytes = peak;
  plan.maps_bytes = use.maps;
  plan.work_bytes = use.program.work();
  plan.weights_bytes = use.program.weights + use.program.mapped;
}

}  // namespace

Upscaler Upscaler::open(const std::filesystem::path& file) {
  const Checkpoint checkpoint(file);
  const ShapeOf shape_of = shapes_of(checkpoint);
  const std::optional<EsrganNaming> naming = find_esrgan(shape_of);
  INKSTONE_CHECK(naming || !shape_of("body.0.weight"), file.string(),
                 " is an upscaler of another kind (SRVGG, as realesr-general and animevideov3), which is not run: ",
                 "an ESRGAN is, such as RealESRGAN_x4plus");
  INKSTONE_CHECK(naming, file.string(), " is no upscaler that Inkstone runs: an ESRGAN (RRDBNet) is, such as ",
                 "RealESRGAN_x4plus; inkstone info FILE says what a file is");
  Upscaler result;
  result.file_ = file;
  result.name_ = file.stem().string();
  result.config_ = esrgan_config_of(shape_of, *naming, file.string());
  const std::map<std::string, std::string> layers = esrgan_layers(result.config_, *naming);
  const auto names = [&](const std::string& spec) {
    const size_t dot = spec.rfind('.');
    return std::vector<StoredName>{{layers.at(spec.substr(0, dot)) + spec.substr(dot)}};
  };
  result.weights_ = checkpoint.take(specs_of(result.config_), names);
  return result;
}

UpscalePlan Upscaler::measure(Backend& backend, int width, int height, const UpscaleOptions& options,
                              int band_rows) const {
  const DeviceInfo device = backend.info();
  UpscalePlan plan;
  plan.width = width, plan.height = height;
  plan.band_rows = band_rows;
  plan.precision = options.precision.value_or(device.precision.value_or(Precision::kFp32));
  plan.program_bytes = device.own_memory ? 0 : options.program_bytes;
  if (options.memory_budget)
    plan.limit_bytes = options.memory_budget;
  else if (device.memory_free)
    plan.limit_bytes = plan.program_bytes + device.memory_free;
  const Parts parts = parts_of(config_, width, height, plan.precision);
  // All blocks are of one size.
  const int last = parts.number() - 1;
  const int different[] = {0, 1, last};
  const size_t image = static_cast<size_t>(3) * static_cast<size_t>(width) * static_cast<size_t>(height);
  const size_t scaled = image * static_cast<size_t>(factor()) * static_cast<size_t>(factor());
  const size_t input = bytes({1, config_.in_channels(), parts.height, parts.width}, DType::kF32);
  const size_t map = bytes(parts.result(0), parts.type);
  const size_t always = plan.program_bytes + (device.own_memory ? 0 : weights_.owned_bytes()) + image + input;
  for (const int part : different) {
    const Graph graph = parts.graph(part);
    PartUse use{backend.plan(graph, weights_, options_of(parts, part, plan, backend, graph))};
    const size_t pixels = bytes(parts.result(part), DType::kF32);
    use.maps = map + (parts.is_last(part) ? pixels : map);
    take_peak(plan, use, always);
    if (parts.is_last(part)) take_peak(plan, {{}, pixels + scaled}, always);
    plan.flops += flops(graph) * (part == 0 || part == last ? 1 : config_.blocks);
  }
  return plan;
}

UpscalePlan Upscaler::plan(Backend& backend, int width, int height, const UpscaleOptions& options) const {
  INKSTONE_CHECK_USAGE(width > 0 && height > 0, "an image of ", width, "x", height);
  UpscalePlan plan = measure(backend, width, height, options, 0);
  for (const int band_rows : kBandRows) {
    if (!plan.limit_bytes || plan.peak_bytes <= plan.limit_bytes) break;
    const UpscalePlan other = measure(backend, width, height, options, band_rows);
    if (other.peak_bytes < plan.peak_bytes) plan = other;
  }
  INKSTONE_CHECK_USAGE(!plan.limit_bytes || plan.peak_bytes <= plan.limit_bytes,
                       options.memory_budget ? "a memory budget of " : "the free memory of ",
                       mebibytes(plan.limit_bytes), " MiB is too small to upscale ", width, "x", height, " by ", name_,
                       ": the least that works is ", mebibytes(plan.peak_bytes), " MiB",
                       plan.precision == Precision::kFp32 && backend.info().bf16 ? "; --precision bf16 needs less" : "",
                       "; a smaller image needs less");
  return plan;
}

bool Upscaler::runs_on(Backend& backend, int width, int height) const {
  const Precision precision = backend.info().precision.value_or(Precision::kFp32);
  return backend.has(parts_of(config_, width, height, precision).graph(0), {precision});
}

std::vector<UpscalerPart> Upscaler::parts(int width, int height) const {
  const Parts parts = parts_of(config_, width, height, Precision::kFp32);
  std::vector<UpscalerPart> all;
  for (int part = 0; part < parts.number(); ++part)
    all.push_back({part == 0             ? "first"
                   : parts.is_last(part) ? "last"
                                         : "block_" + std::to_string(part - 1),
                   parts.is_last(part) ? "pixels" : "result", parts.graph(part)});
  return all;
}

Image Upscaler::upscale(Backend& backend, const Image& image, const UpscalePlan& plan, const Progress& progress) const {
  INKSTONE_CHECK(image.width == plan.width && image.height == plan.height, "an image of ", image.width, "x",
                 image.height, ", and a plan for ", plan.width, "x", plan.height);
  const Parts parts = parts_of(config_, plan.width, plan.height, plan.precision);
  const Tensor input = unshuffled(image, config_.unshuffle);
  Tensor map, next, pixels;
  for (int part = 0; part < parts.number(); ++part) {
    if (progress) progress(part, parts.number());
    const bool last = parts.is_last(part);
    const Graph graph = parts.graph(part);
    if (last) {
      next = {};
      backend.trim();
      pixels = Tensor(parts.result(part));
    } else if (!next.size()) {
      next = backend.tensor(parts.result(part), parts.type);
    }
    const std::unique_ptr<Program> program =
        backend.compile(graph, weights_, options_of(parts, part, plan, backend, graph));
    std::vector<const Tensor*> in;
    for (const NamedShape& port : inputs_of(graph)) in.push_back(port.name == "map" ? &map : &input);
    std::vector<Tensor*> out{last ? &pixels : &next};
    program->run(in, out);
    program->release_pages();
    if (last) backend.trim();
    std::swap(map, next);
  }
  map = Tensor();
  if (progress) progress(parts.number(), parts.number());
  return image_of(pixels, plan.width * factor(), plan.height * factor(), file_.string());
}

}  // namespace inkstone
