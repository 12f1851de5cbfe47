// The graphs that pictures are made with, folded, for whoever compiles them ahead of time: ONNX files for Ascend.
#pragma once

#include <string>
#include <vector>

#include "diffusion/model.h"
#include "ir/graph.h"

namespace inkstone {

struct PictureSize {
  int width = 512, height = 512;  // pixels
};

struct ComponentGraph {
  std::string name;  // "unet_step_512x512_b2_guided"
  std::string part;  // "text_encoder", "prompt", "time", "step", "vae_decoder"
  PictureSize size;  // 0x0: of all sizes
  int batch = 1;     // pictures at once
  int copies = 1;    // texts for each latent: 2 with guidance
  Graph graph;
  std::vector<std::string> inputs,
      outputs;  // short names; what `prompt` and `time` give, the steps take by the same name
};

// For every batch. UsageError where a size is no multiple of what the model needs.
std::vector<ComponentGraph> text_encoder_graphs(const Model& model, const std::vector<int>& batches);
// `prompt` and `time` for one text and one timestep, then a step for each size, batch, and with guidance and without.
std::vector<ComponentGraph> unet_graphs(const Model& model, const std::vector<PictureSize>& sizes,
                                        const std::vector<int>& batches);
std::vector<ComponentGraph> vae_decoder_graphs(const Model& model, const std::vector<PictureSize>& sizes,
                                               const std::vector<int>& batches);

}  // namespace inkstone
