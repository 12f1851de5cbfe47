// Images as the escape sequences by which terminals show them. Pure functions: where the cursor is before and after, and
// what stood there, is the caller's.
#pragma once

#include <string>

#include "base/image.h"

namespace inkstone {

enum class TerminalImages { kBlocks, kKitty, kIterm2, kSixel };

struct Cells {  // of a terminal
  int columns = 0, rows = 0;
};

// Any terminal with 24-bit colours: each cell is the upper half block, in the colour of its upper half on the
// colour of its lower one. The cursor ends on the line below the image.
std::string blocks_text(const Image& image, Cells cells);
// kitty's protocol, a PNG file in pieces of 4096 letters. A later image of that number takes this one's place. The
// cursor stays.
std::string kitty_text(const Image& image, Cells cells, int number);
// iTerm2's "inline images": a PNG file in one sequence.
std::string iterm2_text(const Image& image, Cells cells);
// DEC's sixels, in 252 colours with ordered dithering; at the image's own size in pixels.
std::string sixel_text(const Image& image);

// What tells a terminal: TERM, TERM_PROGRAM, LC_TERMINAL, KITTY_WINDOW_ID, TMUX. "": not set.
struct TerminalNames {
  std::string term, program, lc_terminal, kitty_window, tmux;
};
// The best that such a terminal is known to show. What is inside tmux or screen is not seen through them, so there
// blocks are.
TerminalImages images_of(const TerminalNames& names);

// The largest rectangle of cells with the image's proportions that is within `most`. `cell_aspect`: a cell's width by its
// height.
Cells cells_of(int width, int height, Cells most, double cell_aspect);

}  // namespace inkstone
