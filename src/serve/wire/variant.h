// What weights an image is drawn with: a model and the adapters that are merged into it, by their
// files. The gateway chooses them from what lies in the operator's folders.
#pragma once

#include <string>
#include <vector>

namespace inkstone::serve {

// A model's file or folder. An empty path: the model that the worker was started with, and what its
// flags change of it.
struct ModelFile {
  std::string path;
  std::string state;  // files_state(): another one is another model
  bool operator==(const ModelFile&) const = default;
};

struct VariantAdapter {  // merged after those of the worker's flags, in their order
  std::string path, state;
  float text = 1, unet = 1;  // strengths
  bool operator==(const VariantAdapter&) const = default;
};

struct Variant {
  // By which gateway and batcher know it: its model's name and adapters for people, a line break,
  // and a digest of the rest.
  std::string key;
  ModelFile model;
  std::vector<VariantAdapter> adapters;
  bool same_weights(const Variant& other) const { return model == other.model && adapters == other.adapters; }
};

// "style-model <lora:style:0.8>": of a key what people are shown.
inline std::string shown_variant(const std::string& key) { return key.substr(0, key.find('\n')); }

// The variants that a worker has in memory, told when they have changed.
struct LoadedVariants {
  double seconds = 0;             // that bringing in the one that was asked for took
  std::vector<std::string> keys;  // all that are there now
};

}  // namespace inkstone::serve
