// Tiny upscalers and images, by the formula of tools/fixtures/upscalers.py.
#pragma once

#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/image.h"
#include "models/esrgan.h"
#include "weights/safetensors.h"

namespace inkstone {

// -0.5 to 0.5, of a name's hash (FNV-1a) and a number.
inline double fraction(const std::string& name, uint32_t index) {
  uint32_t hash = 2166136261;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619;
  uint32_t mixed = hash + index * 2654435761;
  for (int i = 0; i < 2; ++i) mixed = (mixed ^ (mixed >> 16)) * 0x45D9F3B;
  return (mixed ^ (mixed >> 16)) / 4294967296.0 - 0.5;
}

inline std::vector<float> upscaler_values(const std::string& name, const Shape& shape) {
  const int64_t size = count(shape);
  const double scale = shape.size() > 1 ? 4 / std::sqrt(static_cast<double>(size / shape[0])) : 0.2;
  const double centre = name == "conv_last.bias" ? 0.5 : 0;
  std::vector<float> values;
  for (int64_t i = 0; i < size; ++i)
    values.push_back(static_cast<float>(fraction(name, static_cast<uint32_t>(i)) * scale + centre));
  return values;
}

inline Image formula_image(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) {
        const double noise = fraction("image", static_cast<uint32_t>((y * width + x) * 3 + c)) + 0.5;
        image.rgb.push_back(static_cast<uint8_t>(noise * 128 + 127.0 * (x + y + c) / (width + height)));
      }
  return image;
}

// Changes, renames or (with an empty name) leaves out a tensor.
using TensorChange = std::function<void(StoredTensor&)>;

// The upscaler's file; its values are the formula's, or zeros.
inline std::string upscaler_file(const EsrganConfig& config, const EsrganNaming& naming,
                                 const TensorChange& change = {}, bool zeros = false) {
  const std::map<std::string, std::string> layers = esrgan_layers(config, naming);
  std::vector<StoredTensor> tensors;
  std::string data;
  for (const NamedShape& weight : weights_of(esrgan_graph(config, 1, 1))) {
    const size_t dot = weight.name.rfind('.');
    StoredTensor tensor{layers.at(weight.name.substr(0, dot)) + weight.name.substr(dot), weight.shape};
    if (change) change(tensor);
    if (tensor.name.empty()) continue;
    std::vector<float> values = zeros ? std::vector<float>{} : upscaler_values(weight.name, weight.shape);
    values.resize(static_cast<size_t>(count(tensor.shape)));
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    tensors.push_back(std::move(tensor));
  }
  return safetensors_header(tensors) + data;
}

inline void write_upscaler(const std::filesystem::path& file, const EsrganConfig& config, const EsrganNaming& naming,
                           const TensorChange& change = {}) {
  const std::string text = upscaler_file(config, naming, change);
  write_file(file, std::as_bytes(std::span(text)));
}

}  // namespace inkstone
