// Previews of an image that is being made, in the terminal, above the line of progress.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "app/console.h"
#include "app/options.h"
#include "app/terminal_image.h"
#include "diffusion/engine.h"
#include "diffusion/latent_colours.h"

namespace inkstone {

// How --preview's images are shown; nothing without it, and where there is no terminal for them, which is said.
std::optional<TerminalImages> previews_of(const Options& options, const Console& console);

class PreviewView {
 public:
  // Of nothing it shows nothing.
  explicit PreviewView(std::optional<TerminalImages> how) : how_(how) {}

  // After an evaluation. Draws the estimate of the image: by the engine's decoder of previews, else in the latent's
  // linear colours (grey until a first image was finished). Previews take a tenth of the time at most.
  void stepped(Engine& engine, const Job& job);
  void finished(const Image& image);  // takes the place of its previews

 private:
  std::string place(const Image& image);
  void draw(const Image& image);

  std::optional<TerminalImages> how_;
  LatentColours colours_;
  Tensor latent_;       // of an image whose last evaluation was made
  double shape_ = 1;    // of the place: width by height, in pixels
  Cells cells_{};       // of the image's place; none: it has none yet
  int number_ = 0;      // of images before
  double seconds_ = 0;  // that the last preview took
  std::chrono::steady_clock::time_point ended_{};
};

}  // namespace inkstone
