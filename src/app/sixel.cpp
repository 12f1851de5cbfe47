// Sixels: six rows of pixels are a band, and for each colour of a band a letter says which of a column's six pixels have
// it. A run of equal letters is a number and one letter.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

#include "app/terminal_image.h"

namespace inkstone {
namespace {

constexpr int kBand = 6, kLevels[3] = {6, 7, 6};  // of red, green and blue: 252 colours
constexpr int kColours = kLevels[0] * kLevels[1] * kLevels[2];
// Bayer's 4x4 matrix: thresholds of 16.
constexpr int kThresholds[4][4] = {{0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};

int level(int value, int levels, int x, int y) {
  const int scaled = value * (levels - 1) * 16 + 255 * kThresholds[y % 4][x % 4];
  return std::min(scaled / (255 * 16), levels - 1);
}

std::vector<int> colours_of(const Image& image) {
  std::vector<int> colours;
  colours.reserve(image.rgb.size() / 3);
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x) {
      const uint8_t* rgb = image.rgb.data() + 3 * (static_cast<size_t>(y) * image.width + x);
      int colour = 0;
      for (int c = 0; c < 3; ++c) colour = colour * kLevels[c] + level(rgb[c], kLevels[c], x, y);
      colours.push_back(colour);
    }
  return colours;
}

// In percent, as the registers of colours take it.
std::string palette() {
  std::string text;
  for (int colour = 0; colour < kColours; ++colour) {
    const int levels[] = {colour / kLevels[2] / kLevels[1], colour / kLevels[2] % kLevels[1], colour % kLevels[2]};
    const auto percent = [&](int c) { return (200 * levels[c] / (kLevels[c] - 1) + 1) / 2; };
    text += fmt::format("#{};2;{};{};{}", colour, percent(0), percent(1), percent(2));
  }
  return text;
}

void append_run(std::string& text, char letter, int count) {
  if (count > 3)
    text += fmt::format("!{}{}", count, letter);
  else
    text.append(static_cast<size_t>(count), letter);
}

// Rows of one colour as letters from '?' on, the uppermost row in the lowest bit.
void append_colour(std::string& text, std::span<const int> rows, int width, int colour) {
  text += fmt::format("#{}", colour);
  char before = 0;
  int count = 0;
  for (int x = 0; x < width; ++x) {
    int bits = 0;
    for (size_t at = static_cast<size_t>(x), row = 0; at < rows.size(); at += static_cast<size_t>(width), ++row)
      bits |= (rows[at] == colour) << row;
    const char letter = static_cast<char>('?' + bits);
    if (letter != before) append_run(text, before, count), count = 0;
    before = letter;
    ++count;
  }
  if (before != '?') append_run(text, before, count);  // what is left of the line needs no saying
}

}  // namespace

std::string sixel_text(const Image& image) {
  const std::vector<int> colours = colours_of(image);
  std::string text = fmt::format("\x1bP0;1q\"1;1;{};{}{}", image.width, image.height, palette());
  for (int y = 0; y < image.height; y += kBand) {
    const size_t begin = static_cast<size_t>(y) * image.width,
                 end = static_cast<size_t>(std::min(y + kBand, image.height)) * image.width;
    const std::span rows(colours.data() + begin, end - begin);
    std::array<bool, kColours> used{};
    for (const int colour : rows) used[static_cast<size_t>(colour)] = true;
    for (int colour = 0; colour < kColours; ++colour) {
      if (!used[static_cast<size_t>(colour)]) continue;
      append_colour(text, rows, image.width, colour);
      text += '$';  // back to the band's left end
    }
    text += '-';
  }
  return text + "\x1b\\";
}

}  // namespace inkstone
