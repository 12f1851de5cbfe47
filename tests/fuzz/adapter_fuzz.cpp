// Adapters of any names and shapes, for a model of a few layers: each is refused with an Error, or merged.
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "adapters/merge.h"
#include "adapters/tags.h"
#include "base/error.h"
#include "weights/safetensors.h"

using namespace inkstone;

namespace {

constexpr const char* kStems[] = {"lora_unet_a_to_q",     "unet.a.to_k", "b.conv",
                                  "lora_te_text_model_c", "lora_te2_x",  "input_blocks_0_0",
                                  "a.processor.to_q_lora"};
constexpr const char* kSuffixes[] = {".lora_down.weight",
                                     ".lora_up.weight",
                                     ".lora_mid.weight",
                                     ".alpha",
                                     ".dora_scale",
                                     ".lora_A.weight",
                                     ".lora_B.weight",
                                     ".hada_w1_a",
                                     ".hada_w1_b",
                                     ".hada_w2_a",
                                     ".hada_w2_b",
                                     ".hada_t1",
                                     ".hada_t2",
                                     ".lokr_w1",
                                     ".lokr_w1_a",
                                     ".lokr_w1_b",
                                     ".lokr_w2",
                                     ".lokr_w2_a",
                                     ".lokr_w2_b",
                                     ".lokr_t2",
                                     ".diff",
                                     ".diff_b",
                                     ".w_norm",
                                     ".on_input",
                                     ".weight",
                                     ".lora_magnitude_vector"};

Weights model(bool text) {
  std::vector<WeightSpec> specs{{"a.to_q.weight", {4, 6}},
                                {"a.to_k.weight", {4, 6}},
                                {"a.to_k.bias", {4}},
                                {"b.conv.weight", {4, 2, 3, 3}},
                                {"b.conv.bias", {4}}};
  if (text) specs = {{"text_model.c.weight", {4, 4}}};
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const WeightSpec& spec : specs) tensors.emplace_back(spec.name, Tensor(spec.shape, DType::kF16));
  Weights weights = Weights::of(std::move(tensors));
  weights.bind(specs);
  return weights;
}

// Of every tensor five bytes say its name, type and two of its sizes.
std::string file_of(const uint8_t* data, size_t size) {
  std::vector<StoredTensor> tensors;
  size_t bytes_needed = 0;
  for (; size >= 5 && tensors.size() < 40; data += 5, size -= 5) {
    StoredTensor tensor;
    tensor.name = std::string(kStems[data[0] % std::size(kStems)]) + kSuffixes[data[1] % std::size(kSuffixes)];
    tensor.type = data[2] & 1 ? DType::kF16 : DType::kF32;
    for (int axis = 0; axis < data[2] % 5; ++axis)
      tensor.shape.push_back(axis < 2 ? data[3 + axis] % 10 : 1 + data[2] / 86);
    bool known = false;
    for (const StoredTensor& other : tensors) known = known || other.name == tensor.name;
    if (known) continue;
    bytes_needed += bytes(tensor.shape, tensor.type);
    tensors.push_back(std::move(tensor));
  }
  return safetensors_header(tensors) + std::string(bytes_needed, size && data[0] == 255 ? '\xff' : '\x11');
}

// Any name is a stem and a part of it, or none; any stem is a layer's, or nobody's.
void look_up(std::string_view name) {
  static Weights unet = model(false), text = model(true);
  const std::vector<AdapterTarget> targets{{"text_encoder", &text, {"text_model.d.weight"}, {}},
                                           {"unet", &unet, {}, {}}};
  static const LayerNames names(targets);
  names.find(name);
  names_text_encoder(name);
  const std::optional<PartName> part = part_name(name);
  if (!part) return;
  if (part->stem.size() >= name.size() || !name.starts_with(part->stem)) std::abort();
  if (const Layer* layer = names.find(part->stem); layer && layer->path.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  look_up({reinterpret_cast<const char*>(data), size});
  try {
    take_tags({reinterpret_cast<const char*>(data), size});
    parse_adapter({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {
  }
  static const std::string path =
      (std::filesystem::temp_directory_path() / ("adapter_fuzz_" + std::to_string(getpid()) + ".safetensors")).string();
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (!file) return 0;
  const std::string content = file_of(data, size);
  std::fwrite(content.data(), 1, content.size(), file);
  std::fclose(file);
  static Weights unet = model(false), text = model(true);
  try {
    MergePlan plan({{"text_encoder", &text, {}}, {"unet", &unet, {}}}, {{path, 0.5f, 0.5f}});
    plan.run();
  } catch (const Error&) {
  }
  std::filesystem::remove(path);
  return 0;
}
