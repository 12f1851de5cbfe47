// inkstone upscale: images become larger, by a network or by resampling.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <span>

#include "app/byte_size.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/image_output.h"
#include "app/loading.h"
#include "app/output_path.h"
#include "app/progress.h"
#include "app/report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/picture.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "base/version.h"
#include "diffusion/process.h"
#include "upscale/upscaler.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr size_t kMaxFile = size_t{1} << 30;
constexpr int64_t kMaxPixels = int64_t{1} << 30;  // of a result
constexpr double kPlainScale = 2;
constexpr const char* kPostprocessing = "postprocessing";  // the PNG text that AUTOMATIC1111 writes of it

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

struct NamedResampling {
  const char* name;
  Resampling how;
};
constexpr NamedResampling kResamplings[] = {{"lanczos", Resampling::kLanczos},
                                            {"bicubic", Resampling::kBicubic},
                                            {"bilinear", Resampling::kBilinear},
                                            {"box", Resampling::kBox}};

// On a terminal a bar for an image, elsewhere a line for each tenth of one.
class PartsView {
 public:
  PartsView(ProgressView::Kind kind, Console console) : kind_(kind), console_(console) {}
  ~PartsView() { clear(); }
  PartsView(const PartsView&) = delete;
  PartsView& operator=(const PartsView&) = delete;

  void begin(std::string name) {
    name_ = std::move(name);
    begun_ = Clock::now();
  }
  void ran(int done, int total) {
    if (kind_ == ProgressView::Kind::kNothing || (done > 0 && !is_reported(done, total))) return;
    std::string line = fmt::format("{}: {} %", name_, 100 * done / total);
    const double seconds = seconds_since(begun_);
    if (done > 0 && done < total)
      line += fmt::format(", {}, {} left", duration_text(seconds), duration_text(seconds / done * (total - done)));
    if (kind_ == ProgressView::Kind::kLines) return done > 0 ? console_.say(line) : static_cast<void>(0);
    redraw_line(line);
    drawn_ = true;
  }
  void clear() {
    if (drawn_) clear_line();
    drawn_ = false;
  }

 private:
  ProgressView::Kind kind_;
  Console console_;
  std::string name_;
  bool drawn_ = false;
  Clock::time_point begun_{};
};

struct Work {  // of one command
  Options options;
  Console console;
  std::optional<Upscaler> network;  // else by resampling
  NamedResampling resampling = kResamplings[0];
  std::unique_ptr<Backend> backend;
  EngineOptions engine;
  size_t program_bytes = 0;
  double scale = 1;

  std::string upscaler_name() const { return network ? network->name() : resampling.name; }
};

struct Made {
  fs::path in, out;
  int width = 0, height = 0;  // of the result
  double seconds = 0;
  size_t planned_bytes = 0;
};

void choose_upscaler(Work& work) {
  const std::string asked = work.options.upscaler.value_or(kResamplings[0].name);
  const auto* found = std::ranges::find(kResamplings, asked, &NamedResampling::name);
  if (found != std::end(kResamplings)) {
    work.resampling = *found;
  } else {
    std::error_code ignored;
    std::vector<std::string> names;
    for (const NamedResampling& one : kResamplings) names.emplace_back(one.name);
    INKSTONE_CHECK_USAGE(fs::exists(asked, ignored), "--upscaler ", asked,
                         ": there is no such file; without a network it is one of ", listed(names));
    work.network = Upscaler::open(asked);
    work.backend = open_backend(work.engine.device, {work.engine.compiled});
  }
  work.scale = work.options.scale.value_or(work.network ? work.network->factor() : kPlainScale);
}

std::string format_extension(ImageFormat format) {
  return format == ImageFormat::kJpeg ? ".jpg" : "." + std::string(format_name(format));
}

// IN-x4.png in the folder of --out or here, or the file that --out names.
fs::path output_of(const Work& work, const fs::path& in) {
  const std::string out = work.options.out.value_or("");
  std::error_code ignored;
  const bool folder = out.empty() || out.back() == '/' || fs::is_directory(out, ignored);
  if (!folder) return link_target(out);
  return fs::path(out) / fmt::format("{}-x{:g}{}", in.stem().string(), work.scale, format_extension(image_format(out)));
}

// Before the work: where all results go.
std::vector<Made> order_of(const Work& work) {
  const std::vector<std::string> images = work.options.images.value_or(std::vector<std::string>{});
  INKSTONE_CHECK_USAGE(!images.empty(),
                       "upscale what? inkstone upscale IMAGE --upscaler RealESRGAN_x4plus.safetensors --out BIG.png");
  const std::string out = work.options.out.value_or("");
  std::error_code ignored;
  if (out.ends_with('/') && !fs::exists(out, ignored)) fs::create_directory(fs::path(out).parent_path(), ignored);
  const bool one_file = !out.empty() && out.back() != '/' && !fs::is_directory(out, ignored);
  INKSTONE_CHECK_USAGE(images.size() == 1 || !one_file, "--out ", out, " and ", images.size(),
                       " images: name a folder, such as --out ", fs::path(out).stem().string(), "/");
  std::vector<Made> order;
  std::set<fs::path> taken;
  for (const std::string& image : images) {
    Made& made = order.emplace_back();
    made.in = image, made.out = output_of(work, image);
    INKSTONE_CHECK(fs::exists(made.in, ignored), "cannot read ", image, ": no such file");
    check_writable(made.out, 0);
    INKSTONE_CHECK(!work.options.no_clobber.value_or(false) || !fs::exists(made.out, ignored), made.out.string(),
                   " is there, and --no-clobber keeps it: give --out another name");
    INKSTONE_CHECK_USAGE(taken.insert(made.out).second, "two images would be written as ", made.out.string(),
                         ": upscale them one by one");
  }
  return order;
}

int scaled_side(const Work& work, int side) { return std::max(1, static_cast<int>(std::lround(side * work.scale))); }

Image enlarged(Work& work, const Image& image, Made& made, PartsView& view) {
  if (!work.network) return resize(image, made.width, made.height, work.resampling.how);
  const UpscalePlan plan = work.network->plan(*work.backend, image.width, image.height,
                                              {work.engine.precision, work.engine.memory_budget, work.program_bytes});
  made.planned_bytes = plan.peak_bytes;
  work.console.detail(fmt::format("memory     {} planned: {} program, {} maps, {} work, {} weights{}; {:.0f} GFLOP",
                                  byte_text(plan.peak_bytes), byte_text(plan.program_bytes), byte_text(plan.maps_bytes),
                                  byte_text(plan.work_bytes), byte_text(plan.weights_bytes),
                                  plan.band_rows ? fmt::format("; in bands of {} rows", plan.band_rows) : "",
                                  plan.flops / 1e9));
  if (plan.band_rows)
    work.console.say(fmt::format("given up: the blocks work in bands of {} rows (same image, slower)", plan.band_rows));
  Image result = work.network->upscale(*work.backend, image, plan, [&](int done, int total) { view.ran(done, total); });
  view.clear();
  if (result.width != made.width || result.height != made.height) result = resize(result, made.width, made.height);
  return result;
}

// What a PNG says of itself; nothing of other files.
TextChunks texts_of(const std::string& file) {
  try {
    return file.starts_with("\x89PNG") ? decode_png(std::as_bytes(std::span(file))).texts : TextChunks{};
  } catch (const Error&) {  // a text too long, or broken
    return {};
  }
}

std::string file_of(const Work& work, const Image& image, const std::vector<uint8_t>& alpha, TextChunks texts,
                    ImageFormat format) {
  std::string parameters;
  for (const auto& [keyword, text] : texts)
    if (keyword == kParametersKeyword) parameters = text;
  if (format != ImageFormat::kPng) return image_file(image, format, kImageQuality, parameters, alpha);
  std::erase_if(texts, [](const auto& chunk) { return chunk.first == kPostprocessing; });
  texts.emplace_back(kPostprocessing, fmt::format("Postprocess upscale by: {:g}, Postprocess upscaler: {}", work.scale,
                                                  clean_utf8(work.upscaler_name())));
  const std::vector<std::byte> png = encode_png(image, texts, alpha);
  return {reinterpret_cast<const char*>(png.data()), png.size()};
}

void make(Work& work, Made& made, PartsView& view) {
  const auto begin = Clock::now();
  const std::string file = read_file(made.in, kMaxFile);
  Picture picture = read_picture(std::as_bytes(std::span(file)), made.in.string());
  const ImageFormat format = image_format(made.out.string());
  if (format == ImageFormat::kJpeg && !picture.alpha.empty()) {
    work.console.say("inkstone: warning: a .jpg has no transparency: " + made.in.filename().string() +
                     " is put on white");
    picture = {flatten(picture), {}};
  }
  const int width = picture.image.width, height = picture.image.height;
  made.width = scaled_side(work, width), made.height = scaled_side(work, height);
  INKSTONE_CHECK_USAGE(int64_t{made.width} * made.height <= kMaxPixels, made.in.string(), " would become ", made.width,
                       "x", made.height, " pixels, at most ", kMaxPixels, ": a smaller --scale");
  const std::string name =
      fmt::format("{} {}x{} -> {}x{}", made.in.filename().string(), width, height, made.width, made.height);
  view.begin(name);
  const Image image = enlarged(work, picture.image, made, view);
  std::vector<uint8_t> alpha;
  if (!picture.alpha.empty()) alpha = resize(Greys{width, height, picture.alpha}, made.width, made.height).values;
  const std::string written = file_of(work, image, alpha, texts_of(file), format);
  check_writable(made.out, written.size());
  write_file(made.out, std::as_bytes(std::span(written)));
  made.seconds = seconds_since(begin);
  work.console.say(fmt::format("{}: {}, {}, peak memory {} -> {}", name, work.upscaler_name(),
                               duration_text(made.seconds), byte_text(peak_resident_bytes()), made.out.string()));
}

JsonObject result_json(const Work& work, const std::vector<Made>& results) {
  JsonArray images;
  size_t planned = 0;
  for (const Made& made : results) {
    images.push_back(JsonObject{{"in", clean_utf8(made.in.string())},
                                {"path", clean_utf8(made.out.string())},
                                {"width", made.width},
                                {"height", made.height},
                                {"seconds", made.seconds}});
    planned = std::max(planned, made.planned_bytes);
  }
  JsonObject result{{"version", kVersion},
                    {"images", std::move(images)},
                    {"upscaler", clean_utf8(work.upscaler_name())},
                    {"factor", work.network ? Json(work.network->factor()) : Json()},
                    {"scale", work.scale},
                    {"memory", JsonObject{{"planned_peak_bytes", planned ? Json(planned) : Json()},
                                          {"measured_peak_bytes", peak_resident_bytes()}}}};
  if (work.backend) result["device"] = device_json(work.backend->info());
  return result;
}

}  // namespace

int run_upscale(const Options& options) {
  Work work;
  work.options = options;
  work.console = {options.quiet.value_or(false), options.verbose.value_or(false)};
  work.engine = engine_options(options);
  set_threads(thread_count(options, work.console));
  choose_upscaler(work);
  std::vector<Made> results = order_of(work);
  if (work.network) {
    work.console.detail(
        fmt::format("upscaler   {}\ndevice     {}", upscaler_text(*work.network), device_text(work.backend->info())));
  }
  work.program_bytes = resident_bytes();
  PartsView view(progress_kind(work.console.quiet), work.console);
  for (Made& made : results) make(work, made, view);
  if (options.json.value_or(false)) print_json(result_json(work, results));
  return 0;
}

}  // namespace inkstone
