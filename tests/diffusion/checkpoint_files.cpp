#include "diffusion/checkpoint_files.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/generate.h"
#include "diffusion/noise.h"
#include "diffusion/tokenizer_files.h"
#include "models/ldm_names.h"
#include "weights/built_torch_file.h"
#include "weights/safetensors.h"

namespace inkstone {

namespace fs = std::filesystem;

FileTensors random_weights(std::initializer_list<Graph> graphs, uint64_t seed) {
  FileTensors out;
  for (const Graph& graph : graphs)
    for (const NamedShape& weight : weights_of(graph)) {
      FileTensor tensor{weight.name, weight.shape, {}};
      tensor.values.resize(static_cast<size_t>(count(weight.shape)));
      NoiseGenerator(seed * 1000 + out.size()).fill(tensor.values);
      const float scale = weight.shape.size() > 1
                              ? 1 / std::sqrt(static_cast<float>(count(weight.shape) / weight.shape.front()))
                              : 0.1f;
      const float centre = weight.shape.size() > 1 || !weight.name.ends_with("weight") ? 0.0f : 1.0f;
      for (float& value : tensor.values) value = centre + scale * value;
      out.push_back(std::move(tensor));
    }
  return out;
}

FileTensors prefixed(FileTensors weights, const std::string& prefix) {
  for (FileTensor& tensor : weights) tensor.name.insert(0, prefix);
  return weights;
}

FileTensors ldm_unet(FileTensors weights, const UnetConfig& config) {
  for (FileTensor& tensor : weights) tensor.name = ldm_unet_name(tensor.name, config);
  return prefixed(std::move(weights), "model.diffusion_model.");
}

FileTensors ldm_vae(FileTensors weights, const VaeConfig& config) {
  for (FileTensor& tensor : weights) {
    tensor.name = ldm_vae_name(tensor.name, config);
    if (tensor.name.find("attn_1") != std::string::npos && tensor.shape.size() == 2)
      tensor.shape.insert(tensor.shape.end(), {1, 1});
  }
  return prefixed(std::move(weights), "first_stage_model.");
}

// Queries, keys and values are one matrix.
FileTensors open_clip(const FileTensors& weights, const std::string& prefix) {
  std::map<std::string, FileTensor> stored;
  for (const FileTensor& tensor : weights) {
    const OpenClipName name = open_clip_name(tensor.name);
    FileTensor& to = stored[name.name];
    if (to.values.empty()) to = {prefix + name.name, tensor.shape, {}};
    if (name.third < 0) {
      to.values = tensor.values;
      if (!name.transposed) continue;
      std::swap(to.shape[0], to.shape[1]);
      for (int64_t i = 0; i < to.shape[0]; ++i)
        for (int64_t k = 0; k < to.shape[1]; ++k) to.values[i * to.shape[1] + k] = tensor.values[k * to.shape[0] + i];
      continue;
    }
    to.shape[0] = 3 * tensor.shape[0];
    to.values.resize(static_cast<size_t>(count(to.shape)));
    std::ranges::copy(tensor.values, to.values.begin() + name.third * static_cast<int64_t>(tensor.values.size()));
  }
  FileTensors all;
  for (auto& [name, tensor] : stored) all.push_back(std::move(tensor));
  return all;
}

void write_text(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  write_file(file, std::as_bytes(std::span(text)));
}

void write_tensors(const fs::path& file, const FileTensors& tensors) {
  std::vector<StoredTensor> stored;
  for (const FileTensor& tensor : tensors) stored.push_back({tensor.name, tensor.shape, DType::kF32});
  std::string text = safetensors_header(stored);
  for (const FileTensor& tensor : tensors)
    text.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
  write_text(file, text);
}

void write_torch_tensors(const fs::path& file, const FileTensors& tensors, const std::string& under) {
  std::vector<BuiltEntry> entries = {{"fox/data.pkl", ""}};
  std::vector<std::pair<std::string, std::string>> items;
  for (const FileTensor& tensor : tensors) {
    const std::string key = std::to_string(entries.size());
    const auto* values = reinterpret_cast<const char*>(tensor.values.data());
    entries.push_back({"fox/data/" + key, {values, tensor.values.size() * sizeof(float)}});
    std::vector<int64_t> strides(tensor.shape.size(), 1);
    for (size_t axis = strides.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * tensor.shape[axis];
    const auto elements = static_cast<int64_t>(tensor.values.size());
    items.emplace_back(tensor.name,
                       pickled_tensor(pickled_storage("FloatStorage", key, elements), 0, tensor.shape, strides));
  }
  const std::string all = pickled_dict(items);
  entries[0].bytes = whole_pickle(under.empty() ? all : pickled_dict({{under, all}}));
  write_text(file, built_zip(entries).text);
}

void write_tokenizer(const fs::path& folder, const std::string& padding) {
  const std::string_view merges = clip_files().front().bytes;
  JsonObject vocabulary;
  for (const auto& [token, id] : tokenizer_of_merges(merges).vocabulary) vocabulary[token] = id;
  write_text(folder / "vocab.json", json_text(vocabulary));
  write_text(folder / "merges.txt", std::string(merges));
  JsonObject special;
  if (!padding.empty()) special["pad_token"] = padding;
  write_text(folder / "special_tokens_map.json", json_text(special));
}

Image drawn(const fs::path& model, const std::string& negative_prompt, const Replaced& replaced) {
  EngineOptions options;
  options.precision = Precision::kFp32;
  Engine engine(Pipeline::open(model, replaced), options);
  ImageRequest request;
  request.prompt = "a fox, très mignon!";
  request.negative_prompt = negative_prompt;
  request.seed = 7;
  request.steps = 3;
  request.width = 64;
  request.height = 32;
  return generate(engine, engine.resolve(request)).image;
}

std::string opening_error(const fs::path& model, const Replaced& replaced) {
  try {
    Pipeline::open(model, replaced);
  } catch (const Error& error) {
    return error.what();
  }
  return "opened";
}

}  // namespace inkstone
