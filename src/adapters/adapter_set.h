// Which adapters a model is to be run with, and how strongly: LoRA and its kin, small files that
// change some weights of a model.
#pragma once

#include <string>
#include <vector>

namespace inkstone {

struct AdapterUse {
  std::string path;          // of the file
  float text = 1, unet = 1;  // strengths in the text encoders and in the U-Net; 0: none
  bool operator==(const AdapterUse&) const = default;
};

// In the order in which they are applied. Two equal sets give the same weights.
using AdapterSet = std::vector<AdapterUse>;

struct MergedAdapter {
  AdapterUse use;
  std::string name;   // the file's, without its extension
  std::string hash;   // AdapterFile::hash()
  std::string kinds;  // "192 LoRA, 12 difference": changes of weights
  std::vector<std::string> warnings;
};

}  // namespace inkstone
