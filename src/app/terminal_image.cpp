#include "app/terminal_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/base64.h"
#include "base/error.h"
#include "base/picture.h"

namespace inkstone {
namespace {

constexpr std::string_view kEscape = "\x1b", kEnd = "\x1b\\";
constexpr size_t kKittyPiece = 4096;

std::string png_base64(const Image& image) {
  const std::vector<std::byte> png = encode_png(image);
  return base64({reinterpret_cast<const char*>(png.data()), png.size()});
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

std::string blocks_text(const Image& image, Cells cells) {
  const Image small = resize(image, cells.columns, 2 * cells.rows, Resampling::kBox);
  const auto colour = [&](int x, int y) { return small.rgb.data() + 3 * (static_cast<size_t>(y) * small.width + x); };
  std::string text;
  for (int row = 0; row < cells.rows; ++row) {
    for (int x = 0; x < cells.columns; ++x) {
      const uint8_t *upper = colour(x, 2 * row), *lower = colour(x, 2 * row + 1);
      text += fmt::format("{0}[38;2;{1};{2};{3};48;2;{4};{5};{6}m\u2580", kEscape, upper[0], upper[1], upper[2],
                          lower[0], lower[1], lower[2]);
    }
    text += fmt::format("{}[0m\r\n", kEscape);
  }
  return text;
}

std::string kitty_text(const Image& image, Cells cells, int number) {
  const std::string data = png_base64(image);
  std::string text;
  for (size_t from = 0; from < data.size(); from += kKittyPiece) {
    const std::string piece = data.substr(from, kKittyPiece);
    const int more = from + piece.size() < data.size();
    // a=T: show it; f=100: a PNG; q=2: say nothing; C=1: the cursor stays
    const std::string keys =
        from > 0 ? fmt::format("m={}", more)
                 : fmt::format("a=T,f=100,q=2,C=1,i={},p=1,c={},r={},m={}", number, cells.columns, cells.rows, more);
    text += fmt::format("{}_G{};{}{}", kEscape, keys, piece, kEnd);
  }
  return text;
}

std::string iterm2_text(const Image& image, Cells cells) {
  const std::string data = png_base64(image);
  return fmt::format("{}]1337;File=inline=1;width={};height={};preserveAspectRatio=0:{}\a", kEscape, cells.columns,
                     cells.rows, data);
}

TerminalImages images_of(const TerminalNames& names) {
  const std::string& term = names.term;
  if (!names.tmux.empty() || term.starts_with("tmux") || term.starts_with("screen")) return TerminalImages::kBlocks;
  if (!names.kitty_window.empty() || contains(term, "kitty") || contains(term, "ghostty") || names.program == "ghostty")
    return TerminalImages::kKitty;
  if (names.program == "iTerm.app" || names.lc_terminal == "iTerm2" || names.program == "WezTerm" ||
      names.program == "mintty")
    return TerminalImages::kIterm2;
  if (term.starts_with("foot") || term.starts_with("mlterm") || term.starts_with("yaft") || contains(term, "sixel"))
    return TerminalImages::kSixel;
  return TerminalImages::kBlocks;
}

Cells cells_of(int width, int height, Cells most, double cell_aspect) {
  const double rows_of_column = static_cast<double>(height) / width * cell_aspect;
  const double columns = std::min<double>(most.columns, most.rows / rows_of_column);
  const auto whole = [](double value, int limit) { return std::clamp(static_cast<int>(std::lround(value)), 1, limit); };
  return {whole(columns, std::max(most.columns, 1)), whole(columns * rows_of_column, std::max(most.rows, 1))};
}

}  // namespace inkstone
