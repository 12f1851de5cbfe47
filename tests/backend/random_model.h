// Tiny models with seeded random weights and inputs, for tests that run graphs on backends.
#pragma once

#include <cmath>
#include <random>

#include "backend/backend.h"
#include "models/config.h"

namespace inkstone {

inline UnetConfig tiny_unet() {
  UnetConfig c;
  c.channels = {8, 16};
  c.blocks = {1, 2};
  c.depth = {1, 1};
  c.up_depth = {1, 1};
  c.heads = {2, 4};
  c.context = 12;
  c.groups = 4;
  return c;
}

inline UnetConfig tiny_linear_unet() {
  UnetConfig c = tiny_unet();
  c.depth = {0, 2};
  c.up_depth = {2, 0};
  c.mid_depth = 2;
  c.linear_projection = true;
  return c;
}

inline ClipConfig tiny_clip() {
  ClipConfig c;
  c.width = 12;
  c.inner = 20;
  c.layers = 2;
  c.heads = 3;
  c.vocabulary = 30;
  c.tokens = 9;
  return c;
}

inline VaeConfig tiny_vae() {
  VaeConfig c;
  c.channels = {8, 16};
  c.blocks = 1;
  c.groups = 4;
  return c;
}

inline Tensor random_tensor(const Shape& shape, uint32_t seed, float scale = 1, float centre = 0) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(centre, scale);
  Tensor tensor(shape);
  for (float& value : tensor.floats()) value = normal(generator);
  return tensor;
}

// Matrices scaled by their inputs, norms' scales (rank 1, "weight") about one: activations stay of
// order one.
inline Weights random_weights(const Graph& graph, uint32_t seed = 1) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const NamedShape& weight : weights_of(graph)) {
    const bool scale = weight.shape.size() == 1 && weight.name.ends_with("weight");
    int64_t fan_in = 1;
    for (size_t i = 1; i < weight.shape.size(); ++i) fan_in *= weight.shape[i];
    const float spread = weight.shape.size() == 1 ? 0.1f : 1 / std::sqrt(static_cast<float>(fan_in));
    tensors.emplace_back(weight.name, random_tensor(weight.shape, seed++, spread, scale ? 1.0f : 0.0f));
  }
  Weights weights = Weights::of(std::move(tensors));
  std::vector<WeightSpec> specs;
  for (const NamedShape& weight : weights_of(graph)) specs.push_back({weight.name, weight.shape});
  weights.bind(specs);
  return weights;
}

inline std::vector<Tensor> random_inputs(const Graph& graph, uint32_t seed = 1000) {
  std::vector<Tensor> tensors;
  for (const NamedShape& input : inputs_of(graph)) {
    if (input.type == DType::kI32) {
      tensors.emplace_back(input.shape, DType::kI32);
      for (int32_t& id : tensors.back().ints()) id = static_cast<int32_t>(seed++ * 7 % 30);
    } else {
      tensors.push_back(random_tensor(input.shape, seed++, input.name == "timestep" ? 300.0f : 1.0f));
    }
  }
  return tensors;
}

inline Tensor run_once(Backend& backend, const Graph& graph, const Weights& weights, const std::vector<Tensor>& inputs,
                       const CompileOptions& options = {}) {
  const auto program = backend.compile(graph, weights, options);
  std::vector<const Tensor*> in;
  for (const Tensor& tensor : inputs) in.push_back(&tensor);
  Tensor out(graph.node(graph.outputs()[0]).shape);
  Tensor* const outs[] = {&out};
  program->run(in, outs);
  return out;
}

}  // namespace inkstone
