// Single-file checkpoints and folders with random weights, for tests.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/image.h"
#include "ir/graph.h"
#include "models/config.h"

namespace inkstone {

struct FileTensor {
  std::string name;
  Shape shape;
  std::vector<float> values;
};
using FileTensors = std::vector<FileTensor>;

// The weights of the graphs, of sizes that keep values near 1.
FileTensors random_weights(std::initializer_list<Graph> graphs, uint64_t seed);

// Under the names of single files.
FileTensors ldm_unet(FileTensors weights, const UnetConfig& config);
FileTensors ldm_vae(FileTensors weights, const VaeConfig& config);
FileTensors open_clip(const FileTensors& weights, const std::string& prefix);
FileTensors prefixed(FileTensors weights, const std::string& prefix);

void write_text(const std::filesystem::path& file, const std::string& text);  // makes its folder
void write_tensors(const std::filesystem::path& file, const FileTensors& tensors);
// A dictionary as torch.save writes it, or one that has it as `under`.
void write_torch_tensors(const std::filesystem::path& file, const FileTensors& tensors, const std::string& under = "");
// CLIP's, as a folder has it; `padding`: "" for the end token
void write_tokenizer(const std::filesystem::path& folder, const std::string& padding);

using Replaced = std::map<std::string, std::filesystem::path>;  // by component

// 64x32 pixels in 3 steps, in fp32.
Image drawn(const std::filesystem::path& model, const std::string& negative_prompt = "", const Replaced& replaced = {});
// What opening the model says; "opened" where it says nothing.
std::string opening_error(const std::filesystem::path& model, const Replaced& replaced = {});

}  // namespace inkstone
