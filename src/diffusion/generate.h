// From a request to an image: the whole pipeline, with its times.
#pragma once

#include <functional>

#include "diffusion/engine.h"
#include "diffusion/process.h"
#include "diffusion/refine.h"

namespace inkstone {

struct StageTimes {  // seconds
  double prepare = 0, text_encoder = 0, unet = 0, vae = 0, total = 0;
};

struct Progress {
  std::function<void(const std::string& component)> preparing;       // before a component is packed
  std::function<void()> denoising;                                   // before the first U-Net call
  std::function<void(int call, int calls, double seconds)> stepped;  // after each U-Net call
  std::function<void()> decoding;                                    // before the VAE
  std::function<void(Engine& engine, const Job& job)> drawn{};       // after stepped: for previews
};

struct Generated {
  Image image;
  StageTimes times;
  std::vector<std::string> warnings;
  std::string embedding_hashes;  // AdapterTexts'
};

// `refinement`: what finishes it (refine.h); nullptr: nothing else.
Generated generate(Engine& engine, const ResolvedRequest& request, const Progress& progress = {},
                   const Refinement* refinement = nullptr);

}  // namespace inkstone
