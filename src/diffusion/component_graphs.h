// The graphs that images are made with, for whoever compiles them ahead of time: ONNX files for Ascend. Each says which of the
// engine's own graphs it stands for, so that the engine finds what was made of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/pipeline.h"
#include "models/unet.h"

namespace inkstone {

struct ImageSize {
  int width = 512, height = 512;  // pixels
  bool operator==(const ImageSize&) const = default;
};

struct ComponentGraph {
  std::string name;           // "unet_step_512x512_b2_guided"
  std::string component;      // "text_encoder", "unet", "vae_decoder", "vae_encoder"
  std::string part;           // "prompt", "time" or "step" of the U-Net; else as the component
  ImageSize size{0, 0};       // 0x0: of all sizes
  int cfg_copies = 1;         // texts for each latent: 2 with guidance
  int vae_tile = 0;           // latent rows in a band; 0: whole
  std::vector<int> batches;   // images at once: one, or several where the rows are left open
  std::vector<Graph> engine;  // for each of them, the graph that the engine compiles
  Graph graph;                // to be written: of the first batch, or of open rows with `other` telling what is open
  std::optional<Graph> other;
  std::vector<std::string> inputs,
      outputs;  // short names; what `prompt` and `time` give, the steps take by the same name
};

struct GraphChoice {
  std::vector<ImageSize> sizes{{}};
  std::vector<int> batches{1};
  bool open_rows = false;  // one step for all batches of a size
  int vae_tile = 0;        // besides the whole VAE decoder, one in bands of so many latent rows; 0: none
  bool encoder = false;    // the VAE's encoder too
};

// Text encoder, the U-Net's three parts (a step for each size, batch, and with guidance and without), VAE; by component. All but
// the steps are of batch 1: the engine runs them one at a time. UsageError where a size is no multiple of what the model needs.
std::vector<ComponentGraph> component_graphs(const Pipeline& model, const GraphChoice& choice);

}  // namespace inkstone
