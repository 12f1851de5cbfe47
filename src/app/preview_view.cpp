#include "app/preview_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "app/machine.h"
#include "base/environment.h"
#include "base/picture.h"

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostColumns = 64, kMostRows = 24;
constexpr int kFirstNumber = 6401;                  // of kitty's images
constexpr int kMostPixels = 384;                    // of a side: more is not seen in so many cells
constexpr double kOtherShape = 0.02;                // sizes are whole pixels
constexpr double kShare = 10, kLeastBetween = 0.1;  // previews take one of so many seconds

std::string name(Variable variable) { return environment(variable).value_or(""); }

TerminalNames terminal_names() {
  return {name(Variable::kTerm), name(Variable::kTermProgram), name(Variable::kLcTerminal),
          name(Variable::kKittyWindowId), name(Variable::kTmux)};
}

// Without more pixels than are seen. Latents are small: kitty and iTerm2 enlarge them.
Image fitted(const Image& image) {
  const int side = std::max(image.width, image.height);
  if (side <= kMostPixels) return image;
  const auto less = [&](int size) { return std::max(1, size * kMostPixels / side); };
  return resize(image, less(image.width), less(image.height), Resampling::kBox);
}

double cell_aspect() {
  const TerminalSize terminal = terminal_size();
  return static_cast<double>(terminal.cell_width) / terminal.cell_height;
}

double shape_of(const Image& image) { return static_cast<double>(image.width) / image.height; }

std::string image_text(TerminalImages how, const Image& image, Cells cells, int number) {
  const TerminalSize terminal = terminal_size();
  switch (how) {
    case TerminalImages::kBlocks: return blocks_text(image, cells);
    case TerminalImages::kKitty: return kitty_text(fitted(image), cells, number);
    case TerminalImages::kIterm2: return iterm2_text(fitted(image), cells);
    case TerminalImages::kSixel:
      return sixel_text(
          resize(image, cells.columns * terminal.cell_width, cells.rows * terminal.cell_height, Resampling::kBilinear));
  }
  return "";
}

}  // namespace

std::optional<TerminalImages> previews_of(const Options& options, const Console& console) {
  if (!options.preview || console.quiet) return std::nullopt;
  if (!is_terminal(2)) {
    console.say("inkstone: --preview: standard error is no terminal, so no previews are shown");
    return std::nullopt;
  }
  if (name(Variable::kTerm).empty() || name(Variable::kTerm) == "dumb") {
    console.say("inkstone: --preview: TERM says that the terminal is a dumb one, so no previews are shown");
    return std::nullopt;
  }
  constexpr std::pair<const char*, TerminalImages> kNames[] = {{"kitty", TerminalImages::kKitty},
                                                               {"iterm2", TerminalImages::kIterm2},
                                                               {"sixel", TerminalImages::kSixel},
                                                               {"blocks", TerminalImages::kBlocks}};
  for (const auto& [text, how] : kNames)
    if (*options.preview == text) return how;
  return images_of(terminal_names());
}

// Makes the image's place, where it has none yet: lines below which the cursor stays.
std::string PreviewView::place(const Image& image) {
  if (cells_.rows > 0) return "";
  const TerminalSize terminal = terminal_size();
  const Cells most{std::min(kMostColumns, terminal.columns - 1), std::clamp(terminal.rows - 3, 1, kMostRows)};
  cells_ = cells_of(image.width, image.height, most, cell_aspect());
  shape_ = shape_of(image);
  return "\r\x1b[K" + std::string(static_cast<size_t>(cells_.rows), '\n');
}

void PreviewView::draw(const Image& image) {
  const std::string before = place(image);
  Cells cells = cells_;
  std::string clear;
  // An image of which a part alone was drawn anew is put together at the end.
  if (std::abs(shape_of(image) / shape_ - 1) > kOtherShape)
    cells = cells_of(image.width, image.height, cells_, cell_aspect()), clear = "\x1b[J";
  // Up to the place, then back to where the cursor was (7 keeps it, 8 takes it there).
  write_error(fmt::format("{}\x1b{}\r\x1b[{}A{}{}\x1b{}", before, 7, cells_.rows, clear,
                          image_text(*how_, image, cells, kFirstNumber + number_), 8));
}

void PreviewView::stepped(Engine& engine, const Job& job) {
  if (!how_) return;
  if (job.done() && !job.put_back) latent_ = job.latent.clone();
  const std::chrono::duration<double> since = Clock::now() - ended_;
  if (cells_.rows > 0 && since.count() < std::max(kLeastBetween, (kShare - 1) * seconds_)) return;
  const Clock::time_point begun = Clock::now();
  const std::optional<Image> decoded = engine.preview(job);
  draw(decoded ? *decoded : colours_.draw(job.estimate));
  ended_ = Clock::now();
  seconds_ = std::chrono::duration<double>(ended_ - begun).count();
}

void PreviewView::finished(const Image& image) {
  if (!how_) return;
  draw(image);
  if (latent_.size() > 0) colours_.learn(latent_, image);
  latent_ = Tensor();
  cells_ = {};
  ++number_;
}

}  // namespace inkstone
