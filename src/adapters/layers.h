// The layers of a model by every name that an adapter may call them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weights/weights.h"

namespace inkstone {

// A component whose weights adapters may change.
struct AdapterTarget {
  std::string name;  // "text_encoder", "text_encoder_2", "unet"
  Weights* weights = nullptr;
  // Weights that such a component has and this model's graphs do not read, such as the last layer of SDXL's first text
  // encoder. Adapters for them change nothing.
  std::vector<std::string> unread{};
  // What the original training code ("LDM") calls a weight; unset: it has no such name.
  std::function<std::string(const std::string& weight)> ldm_name{};

  bool is_text() const { return name.starts_with("text_encoder"); }
};

struct Layer {
  size_t target = 0;  // the component
  std::string path;   // of its weights, without ".weight" and ".bias"
  bool ldm = false;   // called by its LDM name
  bool unread = false;
};

// Nothing in a name is read from its underscores, which stand for dots and for themselves: every name of
// every layer is made from the model's own, and looked up.
class LayerNames {
 public:
  explicit LayerNames(const std::vector<AdapterTarget>& targets);
  const Layer* find(std::string_view stem) const;  // nullptr: no layer is called so

 private:
  void add_target(size_t number, const AdapterTarget& target);
  void add_weight(const AdapterTarget& target, const std::string& weight, Layer layer);
  void add(const AdapterTarget& target, const std::string& name, const Layer& layer);

  std::map<std::string, Layer, std::less<>> layers_;  // dots are underscores
};

// A stem with underscores for dots.
std::string flat(std::string_view stem);
// Whether a stem begins as those of a text encoder do, whichever model it is of.
bool names_text_encoder(std::string_view stem);

}  // namespace inkstone
