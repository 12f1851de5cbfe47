// What the files of a component's weights are called in its folder.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace inkstone {

struct WeightForm {
  std::string file;     // "diffusion_pytorch_model.fp16.safetensors", or an index
  bool index;           // the file names shards
  std::string variant;  // "": the full one; "fp16", "bf16": of half the size; "non_ema": not averaged over the training
};
// safetensors, in the order in which Weights::open() looks for them: the first that is there is read.
std::vector<WeightForm> weight_forms();

// Whether a file may hold weights, by its name: .safetensors, .ckpt, .pt, .pth or .bin. What it really is, its reader
// sees.
bool is_weights_name(const std::filesystem::path& file);

// The shards that an index names: plain names of .safetensors files beside it, at most 1000. Throws
// Error naming the index.
std::set<std::string> shard_names(const std::filesystem::path& index);

}  // namespace inkstone
