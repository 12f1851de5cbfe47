// Images in a terminal: what the escape sequences hold, read back.
#include "app/terminal_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/base64.h"

namespace inkstone {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

Image gradient(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      image.rgb.push_back(static_cast<uint8_t>(255 * x / std::max(1, width - 1)));
      image.rgb.push_back(static_cast<uint8_t>(255 * y / std::max(1, height - 1)));
      image.rgb.push_back(static_cast<uint8_t>((x * 7 + y * 13) % 256));
    }
  return image;
}

Image decoded(const std::string& base64_text) {
  const std::string png = unbase64(base64_text).value();
  return decode_png(std::as_bytes(std::span(png))).image;
}

TEST(TerminalImage, blocks_have_two_pixels_in_a_cell) {
  const Image image{2, 2, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  EXPECT_EQ(blocks_text(image, {2, 1}),
            "\x1b[38;2;1;2;3;48;2;7;8;9m\u2580\x1b[38;2;4;5;6;48;2;10;11;12m\u2580\x1b[0m\r\n");
  const std::string larger = blocks_text(gradient(64, 64), {40, 20});
  EXPECT_EQ(std::ranges::count(larger, '\n'), 20);
}

TEST(TerminalImage, kitty_has_the_png_in_pieces) {
  Image image = gradient(150, 90);
  uint32_t state = 1;
  for (uint8_t& value : image.rgb) value = static_cast<uint8_t>((state = state * 1664525u + 1013904223u) >> 24);
  const std::string text = kitty_text(image, {30, 9}, 12);
  std::string data;
  size_t pieces = 0;
  for (size_t at = 0; at < text.size(); ++pieces) {
    ASSERT_EQ(text.substr(at, 3), "\x1b_G");
    const size_t keys_end = text.find(';', at), end = text.find("\x1b\\", at);
    ASSERT_LT(keys_end, end);
    const std::string keys = text.substr(at + 3, keys_end - at - 3),
                      piece = text.substr(keys_end + 1, end - keys_end - 1);
    EXPECT_LE(piece.size(), 4096u);
    at = end + 2;
    EXPECT_THAT(keys, EndsWith(at < text.size() ? "m=1" : "m=0"));
    EXPECT_EQ(keys.starts_with("a=T,f=100,q=2,C=1,i=12,p=1,c=30,r=9,"), pieces == 0);
    data += piece;
  }
  EXPECT_GT(pieces, 2u);
  EXPECT_EQ(decoded(data).rgb, image.rgb);
  EXPECT_THAT(kitty_text(gradient(2, 2), {1, 1}, 1), HasSubstr(",m=0;"));
}

TEST(TerminalImage, iterm2_has_the_png_in_one_sequence) {
  const Image image = gradient(20, 10);
  const std::string text = iterm2_text(image, {30, 9}),
                    head = "\x1b]1337;File=inline=1;width=30;height=9;preserveAspectRatio=0:";
  EXPECT_THAT(text, StartsWith(head));
  EXPECT_THAT(text, EndsWith("\a"));
  EXPECT_EQ(decoded(text.substr(head.size(), text.size() - head.size() - 1)).rgb, image.rgb);
}

// What a terminal makes of sixels.
Image drawn_sixels(const std::string& text) {
  Image image;
  std::map<int, std::array<int, 3>> palette;
  size_t at = text.find('q') + 1;
  const auto numbers = [&] {
    std::vector<int> list{0};
    for (; at < text.size() && (std::isdigit(static_cast<unsigned char>(text[at])) || text[at] == ';'); ++at)
      if (text[at] == ';')
        list.push_back(0);
      else
        list.back() = 10 * list.back() + text[at] - '0';
    return list;
  };
  int x = 0, y = 0, colour = 0, count = 1;
  while (at < text.size() && text[at] != '\x1b') {
    const char letter = text[at++];
    if (letter == '"') {
      const std::vector<int> size = numbers();
      image = {size.at(2), size.at(3), std::vector<uint8_t>(static_cast<size_t>(3 * size.at(2) * size.at(3)), 1)};
    } else if (letter == '#') {
      const std::vector<int> list = numbers();
      colour = list.at(0);
      if (list.size() == 5) palette[colour] = {list[2], list[3], list[4]};
    } else if (letter == '!') {
      count = numbers().at(0);
    } else if (letter == '$') {
      x = 0;
    } else if (letter == '-') {
      x = 0, y += 6;
    } else {
      for (; count > 0; --count, ++x)
        for (int bit = 0; bit < 6; ++bit)
          if ((letter - '?') >> bit & 1)
            for (int c = 0; c < 3; ++c)
              image.rgb.at(3 * static_cast<size_t>((y + bit) * image.width + x) + static_cast<size_t>(c)) =
                  static_cast<uint8_t>(palette.at(colour)[static_cast<size_t>(c)] * 255 / 100);
      count = 1;
    }
  }
  return image;
}

TEST(TerminalImage, sixels_are_the_image_in_few_colours) {
  for (const auto& [width, height] : {std::pair(64, 48), {13, 7}, {1, 1}}) {
    const Image image = gradient(width, height), seen = drawn_sixels(sixel_text(image));
    ASSERT_EQ(seen.width, width);
    ASSERT_EQ(seen.height, height);
    // Every pixel within a level of its own; the dithering makes squares of 4x4 right on the whole.
    double sum = 0;
    for (size_t i = 0; i < image.rgb.size(); ++i) {
      const int off = seen.rgb[i] - image.rgb[i];
      EXPECT_LE(std::abs(off), 52);
      sum += off;
    }
    if (width > 13) {
      EXPECT_LE(std::abs(sum / static_cast<double>(image.rgb.size())), 4);
    }
  }
  const Image grey{40, 6, std::vector<uint8_t>(720, 0)};
  EXPECT_THAT(sixel_text(grey), HasSubstr("#0!40~$-\x1b\\"));
}

TEST(TerminalImage, the_terminal_is_told_by_its_names) {
  using T = TerminalImages;
  const std::pair<TerminalNames, T> rows[] = {{{"xterm-256color", "", "", "", ""}, T::kBlocks},
                                              {{"xterm-kitty", "", "", "", ""}, T::kKitty},
                                              {{"xterm-256color", "", "", "1", ""}, T::kKitty},
                                              {{"xterm-ghostty", "ghostty", "", "", ""}, T::kKitty},
                                              {{"xterm-256color", "iTerm.app", "", "", ""}, T::kIterm2},
                                              {{"xterm-256color", "", "iTerm2", "", ""}, T::kIterm2},
                                              {{"xterm-256color", "WezTerm", "", "", ""}, T::kIterm2},
                                              {{"foot", "", "", "", ""}, T::kSixel},
                                              {{"mlterm", "", "", "", ""}, T::kSixel},
                                              {{"xterm-256color", "vscode", "", "", ""}, T::kBlocks},
                                              {{"tmux-256color", "iTerm.app", "", "1", "/tmp/tmux"}, T::kBlocks},
                                              {{"screen", "", "", "1", ""}, T::kBlocks}};
  for (const auto& [names, images] : rows) EXPECT_EQ(images_of(names), images) << names.term << " " << names.program;
}

TEST(TerminalImage, cells_keep_the_proportions) {
  const auto cells = [](int width, int height, Cells most) {
    const Cells found = cells_of(width, height, most, 0.5);
    return std::pair(found.columns, found.rows);
  };
  EXPECT_EQ(cells(512, 512, {64, 24}), std::pair(48, 24));
  EXPECT_EQ(cells(1024, 512, {64, 24}), std::pair(64, 16));
  EXPECT_EQ(cells(512, 1024, {64, 24}), std::pair(24, 24));
  EXPECT_EQ(cells(2048, 8, {64, 24}), std::pair(64, 1));
}

}  // namespace
}  // namespace inkstone
