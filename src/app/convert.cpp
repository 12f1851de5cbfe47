// inkstone convert: a single file becomes a folder, a folder a single file, a pickle safetensors.
#include "convert/convert.h"

#include <fmt/format.h>

#include <chrono>

#include "app/byte_size.h"
#include "app/commands.h"
#include "app/console.h"
#include "app/loading.h"
#include "app/output_path.h"
#include "app/progress.h"
#include "app/report.h"
#include "app/signals.h"
#include "base/error.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/spelling.h"
#include "base/utf8.h"
#include "hub/find_model.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// On a terminal a line that changes, elsewhere a line for each tenth; nothing of what takes less than a second.
class WriteView {
 public:
  WriteView(ProgressView::Kind kind, Console console, std::string name)
      : kind_(kind), console_(console), name_(std::move(name)) {}
  ~WriteView() { clear(); }
  WriteView(const WriteView&) = delete;
  WriteView& operator=(const WriteView&) = delete;

  void planned(size_t bytes) { total_ = bytes; }
  void written(size_t bytes) {
    const auto now = std::chrono::steady_clock::now();
    const bool bar = kind_ == ProgressView::Kind::kBar;
    if (now - said_ < (drawn_ && bar ? kBetweenDraws : kBetweenLines)) return;
    const size_t tenth = total_ ? bytes * 10 / total_ : 0;
    if (!bar && tenth == tenth_) return;
    const std::string line = fmt::format("{}: {} of {} written", name_, byte_text(bytes), byte_text(total_));
    if (bar)
      redraw_line(line);
    else
      console_.say(line);
    drawn_ = bar;
    tenth_ = tenth;
    said_ = now;
  }
  void clear() {
    if (drawn_) clear_line();
    drawn_ = false;
  }

 private:
  static constexpr std::chrono::milliseconds kBetweenDraws{100}, kBetweenLines{1000};

  ProgressView::Kind kind_;
  Console console_;
  std::string name_;
  size_t total_ = 0, tenth_ = 0;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point said_ = std::chrono::steady_clock::now();
};

std::optional<DType> type_of(const Options& options) {
  if (!options.dtype) return {};
  if (*options.dtype == "f16" || *options.dtype == "fp16") return DType::kF16;
  return *options.dtype == "bf16" ? DType::kBF16 : DType::kF32;
}

ConvertOrder order_of(const Options& options) {
  INKSTONE_CHECK_USAGE(options.model.has_value(), "convert what? inkstone convert FILE|DIR --out FILE.safetensors|DIR");
  INKSTONE_CHECK_USAGE(options.out.has_value(),
                       "--out is missing: a file that ends with .safetensors, or a folder to be made");
  ConvertOrder order;
  std::error_code ignored;
  order.in = fs::exists(*options.model, ignored) ? fs::path(*options.model) : find_model(*options.model);
  order.out = *options.out;
  order.type = type_of(options);
  if (options.variant && *options.variant != "auto") order.variant = *options.variant == "none" ? "" : *options.variant;
  for (const auto& [component, file] : replaced_components(options))
    if (*file) order.replaced[component] = **file;
  order.said = settings_of(options);
  INKSTONE_CHECK(!options.no_clobber.value_or(false) || !fs::exists(order.out, ignored), order.out.string(),
                 " is there, and --no-clobber keeps it: give --out another name");
  check_writable(order.out.filename().empty() ? order.out.parent_path() : order.out, 0);
  return order;
}

void report(const Converted& result, const ConvertOrder& order, const Console& console) {
  constexpr size_t kShown = 5;
  for (const std::string& note : result.notes) console.say("inkstone: warning: " + one_line(note));
  if (!result.left_out.empty())
    console.say(fmt::format("left out, because no network of the model has it: {}",
                            listed(result.left_out, console.verbose ? SIZE_MAX : kShown)));
  console.say(fmt::format("{} -> {}: {}, {} tensors, {}", order.in.string(), order.out.string(), result.what,
                          result.tensors, byte_text(result.bytes)));
}

}  // namespace

int run_convert(const Options& options) {
  const Console console{options.quiet.value_or(false), options.verbose.value_or(false)};
  set_threads(thread_count(options, console));
  const ConvertOrder order = order_of(options);
  say_when_stopped("inkstone: interrupted; of a folder that was being written a folder NAME.tmpNUMBER is left\n");
  WriteView view(progress_kind(console.quiet), console, order.out.string());
  const Converted result =
      convert(order, {[&](size_t bytes) { view.planned(bytes); }, [&](size_t bytes) { view.written(bytes); }});
  view.clear();
  report(result, order, console);
  if (options.json.value_or(false))
    print_json({{"in", clean_utf8(order.in.string())},
                {"out", clean_utf8(order.out.string())},
                {"what", clean_utf8(result.what)},
                {"tensors", result.tensors},
                {"bytes", result.bytes},
                {"left_out", JsonArray(result.left_out.begin(), result.left_out.end())},
                {"warnings", JsonArray(result.notes.begin(), result.notes.end())}});
  return 0;
}

}  // namespace inkstone
