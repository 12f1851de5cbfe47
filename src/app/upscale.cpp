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
#include "app/machine.h"
#include "app/output_path.h"
#include "app/progress.h"
#include "app/report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/given_file.h"
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
  size_t program_bytes = 0;  // resident before the first image
  size_t limit_bytes = 0;    // that this process may use; 0: none is known
  double scale = 1;
  bool to_standard_output = false;

  std::string upscaler_name() const { return network ? network->name() : resampling.name; }
};

struct Made {
  fs::path in, out;           // out: of a file
  int width = 0, height = 0;  // of the result
  double seconds = 0;
  size_t planned_bytes = 0;  // the most that is resident at once
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
  if (!names_folder(out)) return link_target(out);
  return fs::path(out) / fmt::format("{}-x{:g}{}", in.stem().string(), work.scale, format_extension(image_format(out)));
}

// Before the work: where all results go.
std::vector<Made> order_of(const Work& work) {
  const std::vector<std::string> images = work.options.images.value_or(std::vector<std::string>{});
  const std::string out = work.options.out.value_or("");
  make_last_folder(out);
  INKSTONE_CHECK_USAGE(images.size() == 1 || names_folder(out), "--out ", out, " and ", images.size(),
                       " images: name a folder, such as --out ", fs::path(out).stem().string(), "/");
  std::vector<Made> order;
  std::set<fs::path> taken;
  for (const std::string& image : images) {
    Made& made = order.emplace_back();
    made.in = image;
    std::error_code ignored;
    INKSTONE_CHECK(fs::exists(made.in, ignored), "cannot read ", image, ": no such file");
    if (work.to_standard_output) continue;
    made.out = output_of(work, image);
    check_output_file(made.out, 0, work.options.no_clobber.value_or(false));
    INKSTONE_CHECK_USAGE(taken.insert(made.out).second, "two images would be written as ", made.out.string(),
                         ": upscale them one by one");
  }
  return order;
}

int scaled_side(const Work& work, int64_t side) {
  return std::max(1, static_cast<int>(std::lround(static_cast<double>(side) * work.scale)));
}

// A budget is the device's where that has memory of its own.
size_t limit_of(const Work& work) {
  if (work.engine.memory_budget && !(work.backend && work.backend->info().own_memory)) return work.engine.memory_budget;
  const size_t free = open_backend("cpu")->info().memory_free;
  return free ? work.program_bytes + free : 0;
}

// Plans for what holds so many bytes besides the program and a network's weights.
void take_memory(const Work& work, Made& made, size_t bytes, const std::string& purpose) {
  const auto mebibytes = [](size_t amount) { return (amount + (size_t{1} << 20) - 1) >> 20; };
  const size_t peak = work.program_bytes + (work.network ? work.network->weights().owned_bytes() : 0) + bytes;
  INKSTONE_CHECK_USAGE(!work.limit_bytes || peak <= work.limit_bytes,
                       work.limit_bytes == work.engine.memory_budget ? "a memory budget of " : "the free memory of ",
                       mebibytes(work.limit_bytes), " MiB is too small to ", purpose, ": that takes ", mebibytes(peak),
                       " MiB");
  made.planned_bytes = std::max(made.planned_bytes, peak);
}

PictureSize size_of(const Image& image) { return {image.width, image.height}; }
size_t area(const PictureSize& size) { return static_cast<size_t>(size.width) * static_cast<size_t>(size.height); }

// What make() holds at most, once the picture is read and but for a network's run.
size_t finishing_bytes(const Work& work, const Made& made, const Picture& picture, ImageFormat format) {
  const int factor = work.network ? work.network->factor() : 1;
  const PictureSize from = size_of(picture.image), to{made.width, made.height};
  const PictureSize source{from.width * factor, from.height * factor};
  const bool is_made = work.network && source.width == to.width && source.height == to.height;
  const size_t alpha = picture.alpha.size(), image = 3 * area(to);
  const size_t resampling = alpha + 3 * area(source) + (is_made ? 0 : resizing_bytes(source, to, 3));
  const size_t resampling_alpha = alpha ? image + alpha + resizing_bytes(from, to, 1) : 0;
  const size_t writing = image + (alpha ? area(to) : 0) + encoding_bytes(format, made.width, made.height, alpha > 0);
  return std::max({resampling, resampling_alpha, writing});
}

UpscalePlan plan_network(const Work& work, Made& made, const Picture& picture) {
  const Image& image = picture.image;
  const UpscalePlan plan =
      work.network->plan(*work.backend, image.width, image.height,
                         {work.engine.precision, work.engine.memory_budget, work.program_bytes + picture.alpha.size()});
  made.planned_bytes = std::max(made.planned_bytes, plan.peak_bytes);
  work.console.detail(fmt::format("network    {} planned: {} program, {} maps, {} work, {} weights{}; {:.0f} GFLOP",
                                  byte_text(plan.peak_bytes), byte_text(plan.program_bytes), byte_text(plan.maps_bytes),
                                  byte_text(plan.work_bytes), byte_text(plan.weights_bytes),
                                  plan.band_rows ? fmt::format("; in bands of {} rows", plan.band_rows) : "",
                                  plan.flops / 1e9));
  if (plan.band_rows)
    work.console.say(fmt::format("given up: the blocks work in bands of {} rows (same image, slower)", plan.band_rows));
  return plan;
}

Image enlarged(const Work& work, Image image, const Made& made, const std::optional<UpscalePlan>& plan,
               PartsView& view) {
  if (!plan) return resize(image, made.width, made.height, work.resampling.how);
  image = work.network->upscale(*work.backend, image, *plan, [&](int done, int total) { view.ran(done, total); });
  view.clear();
  if (image.width != made.width || image.height != made.height) image = resize(image, made.width, made.height);
  return image;
}

// What a PNG says of itself; nothing of other files.
TextChunks texts_of(const GivenFile& file) {
  try {
    return decode_png(file.bytes).texts;
  } catch (const Error&) {  // another format, or a text that is too long or broken
    return {};
  }
}

void store(const Work& work, const Made& made, std::span<const std::byte> file) {
  if (work.to_standard_output) return write_output({reinterpret_cast<const char*>(file.data()), file.size()});
  check_writable(made.out, file.size());
  write_file(made.out, file);
}

void write_picture(const Work& work, const Made& made, const Picture& picture, TextChunks texts, ImageFormat format) {
  std::string parameters;
  for (const auto& [keyword, text] : texts)
    if (keyword == kParametersKeyword) parameters = text;
  if (format != ImageFormat::kPng) {
    const std::string file = image_file(picture.image, format, kImageQuality, parameters, picture.alpha);
    return store(work, made, std::as_bytes(std::span(file)));
  }
  std::erase_if(texts, [](const auto& chunk) { return chunk.first == kPostprocessing; });
  texts.emplace_back(kPostprocessing, fmt::format("Postprocess upscale by: {:g}, Postprocess upscaler: {}", work.scale,
                                                  clean_utf8(work.upscaler_name())));
  store(work, made, encode_png(picture.image, texts, picture.alpha));
}

struct Input {
  Picture picture;
  TextChunks texts;
};

Input read_input(const Work& work, Made& made, ImageFormat format) {
  const GivenFile file = read_given_picture(made.in.string());
  const PictureSize size = picture_size(file.bytes, file.source);
  made.width = scaled_side(work, size.width), made.height = scaled_side(work, size.height);
  INKSTONE_CHECK_USAGE(int64_t{made.width} * made.height <= kMaxPixels, made.in.string(), " would become ", made.width,
                       "x", made.height, " pixels, at most ", kMaxPixels, ": a smaller --scale");
  check_sides(format, made.width, made.height);
  take_memory(work, made, file.bytes.size() + decoding_bytes(size),
              fmt::format("read {}, {}x{} pixels", file.source, size.width, size.height));
  TextChunks texts = texts_of(file);  // before the picture, because it decodes the file, too
  return {read_picture(file.bytes, file.source), std::move(texts)};
}

void make(const Work& work, Made& made, PartsView& view) {
  const auto begin = Clock::now();
  const ImageFormat format = image_format(made.out.string());
  auto [picture, texts] = read_input(work, made, format);
  if (format == ImageFormat::kJpeg && !picture.alpha.empty()) {
    work.console.say("inkstone: warning: a .jpg has no transparency: " + made.in.filename().string() +
                     " is put on white");
    picture = {flatten(picture), {}};
  }
  const int width = picture.image.width, height = picture.image.height;
  take_memory(
      work, made, finishing_bytes(work, made, picture, format),
      fmt::format("make {} {}x{} pixels large as .{} (a smaller --scale{} needs less)", made.in.string(), made.width,
                  made.height, format_name(format), format == ImageFormat::kWebp ? ", or .png," : ""));
  std::optional<UpscalePlan> plan;
  if (work.network) plan = plan_network(work, made, picture);
  work.console.detail(fmt::format("memory     {} planned", byte_text(made.planned_bytes)));
  const std::string name =
      fmt::format("{} {}x{} -> {}x{}", made.in.filename().string(), width, height, made.width, made.height);
  view.begin(name);
  picture.image = enlarged(work, std::move(picture.image), made, plan, view);
  if (!picture.alpha.empty())
    picture.alpha = resize(Greys{width, height, std::move(picture.alpha)}, made.width, made.height).values;
  write_picture(work, made, picture, std::move(texts), format);
  made.seconds = seconds_since(begin);
  work.console.say(fmt::format("{}: {}, {}, peak memory {} -> {}", name, work.upscaler_name(),
                               duration_text(made.seconds), byte_text(peak_resident_bytes()),
                               work.to_standard_output ? "standard output" : made.out.string()));
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
  JsonObject result{
      {"version", kVersion},
      {"images", std::move(images)},
      {"upscaler", clean_utf8(work.upscaler_name())},
      {"factor", work.network ? Json(work.network->factor()) : Json()},
      {"scale", work.scale},
      {"memory", JsonObject{{"planned_peak_bytes", planned}, {"measured_peak_bytes", peak_resident_bytes()}}}};
  if (work.backend) result["device"] = device_json(work.backend->info());
  return result;
}

}  // namespace

int run_upscale(const Options& options) {
  return_freed_memory();  // so that what is resident is what is planned
  Work work;
  work.options = options;
  work.console = {options.quiet.value_or(false), options.verbose.value_or(false)};
  work.engine = engine_options(options);
  const size_t images = options.images ? options.images->size() : 0;
  INKSTONE_CHECK_USAGE(images > 0,
                       "upscale what? inkstone upscale IMAGE --upscaler RealESRGAN_x4plus.safetensors --out BIG.png");
  work.to_standard_output = is_standard_output(options, static_cast<int>(images));
  set_threads(thread_count(options, work.console));
  choose_upscaler(work);
  std::vector<Made> results = order_of(work);
  if (work.network) {
    work.console.detail(
        fmt::format("upscaler   {}\ndevice     {}", upscaler_text(*work.network), device_text(work.backend->info())));
  }
  constexpr size_t kTouchedLater = 4 << 20;  // of the program and its libraries
  work.program_bytes = resident_bytes() + kTouchedLater;
  work.limit_bytes = limit_of(work);
  PartsView view(progress_kind(work.console.quiet), work.console);
  for (Made& made : results) make(work, made, view);
  if (options.json.value_or(false)) print_json(result_json(work, results));
  return 0;
}

}  // namespace inkstone
