// Adapters become part of a model's weights: W' = W + the changes, each from the adapter's numbers in fp32,
// in the order of the set, starting at the weight that the model's file holds, and rounded once into the
// type in which it is stored there.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/adapter_set.h"
#include "adapters/change.h"
#include "adapters/layers.h"

namespace inkstone {

class MergePlan {
 public:
  // Opens the files and finds what they change. Everything but the numbers is checked here. Throws Error
  // naming the file, and the tensor that fits nothing.
  MergePlan(std::vector<AdapterTarget> targets, const AdapterSet& set);

  size_t owned_bytes() const;  // of the weights that run() will make
  const std::vector<MergedAdapter>& adapters() const { return adapters_; }
  // Replaces the weights; earlier replacements are undone first. If it throws, the weights are those of the files.
  void run();

 private:
  struct Step {
    size_t adapter;
    Change change;
  };
  using Target = std::pair<size_t, std::string>;  // component, weight

  void add_file(size_t number, const AdapterFile& file, const LayerNames& names);
  void add_layer(size_t number, const AdapterFile& file, const Layer& layer, const LayerParts& parts);
  void add_step(const Target& target, Step step);
  const Shape& shape_of(const AdapterFile& file, const Target& target, const LayerParts& parts) const;
  float strength(const Target& target, const Step& step) const;
  void restore();
  void merge(const Target& target, const std::vector<Step>& steps, std::vector<float>& buffer);

  std::vector<AdapterTarget> targets_;
  std::vector<std::map<std::string, Shape>> shapes_;  // of each component's weights
  std::vector<std::unique_ptr<AdapterFile>> files_;   // the changes view them
  std::vector<MergedAdapter> adapters_;
  std::vector<std::map<ChangeKind, int>> counts_;
  std::map<Target, std::vector<Step>> steps_;
};

}  // namespace inkstone
