// The graphs that draw an image, to be compiled ahead of time (ONNX files for Ascend). Each names
// the engine's own graph that it stands for, so that the engine finds the compiled file.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "diffusion/conditioning.h"
#include "diffusion/pipeline.h"
#include "models/unet.h"

namespace inkstone {

struct ImageSize {
  int width = 512, height = 512;  // pixels
  bool operator==(const ImageSize&) const = default;
};

struct ComponentGraph {
  std::string name;       // "unet_step_512x512_b2_guided"
  std::string component;  // "text_encoder", "text_encoder_2", "unet", "vae_decoder", "vae_encoder", "control_NAME"
  // "prompt", "time", "added", "step" or "controlled_step" (with what controls give) of the U-Net; "control_prompt",
  // "control_time", "control_added", "control_step" or "hint" of a control; "text_encoder_of_vectors" (kOfVectors); else as
  // the component
  std::string part;
  ImageSize size{0, 0};  // 0x0: for all sizes
  // texts for each latent: 2 with guidance
  int cfg_copies = 1;
  // chunks of text that a step takes
  int prompt_chunks = 1;
  // latent rows in a band; 0: whole
  int vae_tile = 0;
  // images at once: one, or several where the rows are left open
  std::vector<int> batches;
  // for each batch, the graph that the engine compiles
  std::vector<Graph> engine;
  // The graph to write: of the first batch. With open rows, `other` is the graph of another batch;
  // sizes that differ between the two are open.
  Graph graph;
  std::optional<Graph> other;
  // Short names. The steps' inputs have the same names as the outputs of `prompt` and `time`.
  std::vector<std::string> inputs, outputs;
};

// What is behind a text encoder's name where its graph reads vectors in place of ids, for textual inversions.
inline constexpr const char* kOfVectors = "_of_vectors";

// The name of a part's output, and of the step's input that takes it: "text_0", "time_21", "added_3".
std::string port_name(DependsOn depends, size_t index);

struct GraphChoice {
  std::vector<ImageSize> sizes{{}};
  std::vector<int> batches{1};
  // Steps for texts of 1 to so many chunks.
  int prompt_chunks = 1;
  // one step for all batches of a size
  bool open_rows = false;
  // Also writes a VAE decoder in bands of so many latent rows; 0: none.
  int vae_tile = 0;
  bool encoder = false;  // the VAE's encoder too
};

// The graphs by component: text encoders (with embeddings also their form for vectors), the U-Net's three parts (with a step for each size and
// batch, with guidance and without), VAE. All but the steps have batch 1, because the engine runs
// them one at a time. Throws UsageError if a size is no multiple of what the model needs.
std::vector<ComponentGraph> component_graphs(const Pipeline& model, const GraphChoice& choice);

}  // namespace inkstone
