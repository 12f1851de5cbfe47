// make_random_model OUT [--from MODEL | --preset NAME]: a model in diffusers' layout with seeded
// random weights, of any size. Names and shapes come from the graphs; the values keep activations
// of order one, so that it runs like a trained model and draws noise. The same seed gives the same
// bytes on every machine, whatever the number of threads.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "diffusion/clip_files.h"
#include "diffusion/tokenizer_files.h"
#include "models/clip.h"
#include "models/config.h"
#include "models/controlnet.h"
#include "models/unet.h"
#include "models/vae.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int kClipVocabulary = 49408;

struct Options {
  std::string out, from, preset = "sd15", dtype = "fp16";
  uint64_t seed = 0;
};

// ---- what the presets differ in ----

struct Preset {
  const char *unet, *text_encoder, *text_encoder_2, *vae, *scheduler;  // JSON; nullptr: the model has none
  const char* kind = "StableDiffusionPipeline";
  int sample_size = 0;  // of the U-Net, where it differs from its JSON
  const char* controlnet = nullptr;
};

constexpr const char* kClipL =
    R"({"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 768,
  "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 49408, "max_position_embeddings": 77,
  "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05, "projection_dim": 768, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407})";

constexpr const char* kOpenClipH =
    R"({"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 1024,
  "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16, "vocab_size": 49408, "max_position_embeddings": 77,
  "hidden_act": "gelu", "layer_norm_eps": 1e-05, "projection_dim": 512, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 49407})";

constexpr const char* kOpenClipG =
    R"({"architectures": ["CLIPTextModelWithProjection"], "model_type": "clip_text_model", "hidden_size": 1280,
  "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20, "vocab_size": 49408, "max_position_embeddings": 77,
  "hidden_act": "gelu", "layer_norm_eps": 1e-05, "projection_dim": 1280, "bos_token_id": 49406, "eos_token_id": 49407, "pad_token_id": 1})";

constexpr const char* kTinyClip =
    R"({"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 64,
  "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 1084, "max_position_embeddings": 77,
  "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05, "projection_dim": 64, "bos_token_id": 1082, "eos_token_id": 1083, "pad_token_id": 1083})";

constexpr const char* kSd15Unet = R"({"_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": 8,
  "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  "in_channels": 4, "out_channels": 4, "layers_per_block": 2, "norm_eps": 1e-05, "norm_num_groups": 32, "sample_size": 64})";

constexpr const char* kSd15Control = R"({"_class_name": "ControlNetModel", "act_fn": "silu", "attention_head_dim": 8,
  "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 768,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "in_channels": 4, "layers_per_block": 2, "norm_eps": 1e-05, "norm_num_groups": 32,
  "conditioning_embedding_out_channels": [16, 32, 96, 256], "controlnet_conditioning_channel_order": "rgb"})";

constexpr const char* kSdxlControl =
    R"({"_class_name": "ControlNetModel", "act_fn": "silu", "attention_head_dim": [5, 10, 20],
  "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048,
  "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"], "transformer_layers_per_block": [1, 2, 10],
  "in_channels": 4, "layers_per_block": 2, "norm_eps": 1e-05, "norm_num_groups": 32, "use_linear_projection": true,
  "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
  "conditioning_embedding_out_channels": [16, 32, 96, 256], "controlnet_conditioning_channel_order": "rgb"})";

constexpr const char* kSd21Unet =
    R"({"_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": [5, 10, 20, 20],
  "block_out_channels": [320, 640, 1280, 1280], "cross_attention_dim": 1024, "use_linear_projection": true,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  "in_channels": 4, "out_channels": 4, "layers_per_block": 2, "norm_eps": 1e-05, "norm_num_groups": 32, "sample_size": 96})";

constexpr const char* kSdxlUnet =
    R"({"_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": [5, 10, 20],
  "block_out_channels": [320, 640, 1280], "cross_attention_dim": 2048, "use_linear_projection": true,
  "addition_embed_type": "text_time", "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816,
  "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"], "transformer_layers_per_block": [1, 2, 10],
  "in_channels": 4, "out_channels": 4, "layers_per_block": 2, "norm_eps": 1e-05, "norm_num_groups": 32, "sample_size": 128})";

constexpr const char* kTinyUnet = R"({"_class_name": "UNet2DConditionModel", "act_fn": "silu", "attention_head_dim": 4,
  "block_out_channels": [32, 64], "cross_attention_dim": 64, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "in_channels": 4, "out_channels": 4, "layers_per_block": 1,
  "norm_eps": 1e-05, "norm_num_groups": 8, "sample_size": 8})";

constexpr const char* kVae =
    R"({"_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [128, 256, 512, 512],
  "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
  "in_channels": 3, "out_channels": 3, "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "sample_size": 512,
  "scaling_factor": 0.18215})";

constexpr const char* kXlVae =
    R"({"_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [128, 256, 512, 512],
  "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
  "in_channels": 3, "out_channels": 3, "latent_channels": 4, "layers_per_block": 2, "norm_num_groups": 32, "sample_size": 1024,
  "scaling_factor": 0.13025, "force_upcast": true})";

constexpr const char* kTaesd = R"({"_class_name": "AutoencoderTiny", "act_fn": "relu",
  "encoder_block_out_channels": [64, 64, 64, 64], "decoder_block_out_channels": [64, 64, 64, 64],
  "num_encoder_blocks": [1, 3, 3, 3], "num_decoder_blocks": [3, 3, 3, 1], "in_channels": 3, "out_channels": 3,
  "latent_channels": 4, "upsample_fn": "nearest", "upsampling_scaling_factor": 2, "scaling_factor": 1.0})";

constexpr const char* kTinyVae = R"({"_class_name": "AutoencoderKL", "act_fn": "silu", "block_out_channels": [16, 32],
  "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D"],
  "in_channels": 3, "out_channels": 3, "latent_channels": 4, "layers_per_block": 1, "norm_num_groups": 8, "sample_size": 16,
  "scaling_factor": 0.18215})";

constexpr const char* kEpsilon = R"({"_class_name": "PNDMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "epsilon", "set_alpha_to_one": false,
  "skip_prk_steps": true, "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": null})";

constexpr const char* kVelocity = R"({"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "v_prediction", "set_alpha_to_one": false,
  "steps_offset": 1, "timestep_spacing": "leading", "clip_sample": false, "trained_betas": null})";

constexpr const char* kEuler = R"({"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "epsilon", "interpolation_type": "linear",
  "steps_offset": 1, "timestep_spacing": "leading", "trained_betas": null})";

constexpr const char* kTrailing = R"({"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "prediction_type": "epsilon", "interpolation_type": "linear",
  "steps_offset": 1, "timestep_spacing": "trailing", "trained_betas": null})";

const std::map<std::string, Preset> kPresets = {
    {"sd15", {kSd15Unet, kClipL, nullptr, kVae, kEpsilon}},
    {"sd21", {kSd21Unet, kOpenClipH, nullptr, kVae, kVelocity}},
    {"sd-turbo", {kSd21Unet, kOpenClipH, nullptr, kVae, kTrailing, "StableDiffusionPipeline", 64}},
    {"sdxl", {kSdxlUnet, kClipL, kOpenClipG, kXlVae, kEuler, "StableDiffusionXLPipeline"}},
    {"sd15-controlnet", {nullptr, nullptr, nullptr, nullptr, kEpsilon, "StableDiffusionPipeline", 0, kSd15Control}},
    {"sdxl-controlnet", {nullptr, nullptr, nullptr, nullptr, kEuler, "StableDiffusionXLPipeline", 0, kSdxlControl}},
    {"sdxl-unet", {kSdxlUnet, nullptr, nullptr, nullptr, kEpsilon}},
    {"taesd", {nullptr, nullptr, nullptr, kTaesd, kEpsilon}},
    {"vae", {nullptr, nullptr, nullptr, kVae, kEpsilon}},
    {"tiny", {kTinyUnet, kTinyClip, nullptr, kTinyVae, kEpsilon}}};

const std::map<std::string, DType> kTypes = {{"fp16", DType::kF16}, {"bf16", DType::kBF16}, {"fp32", DType::kF32}};

// ---- values ----

// The finaliser of splitmix64: every bit of the input turns about half of the output's.
inline uint64_t scramble(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

uint64_t key_of(uint64_t seed, const std::string& name) {
  uint64_t key = scramble(seed + 0x9e3779b97f4a7c15);
  for (const char c : name) key = scramble(key ^ static_cast<unsigned char>(c));
  return key;
}

// Nearly normal, of mean 0 and deviation 1: four uniform numbers of 16 bits, added.
inline float normal(uint64_t key, uint64_t index) {
  const uint64_t bits = scramble(key + index * 0x9e3779b97f4a7c15);
  const auto sum = static_cast<int32_t>((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48));
  constexpr float kDeviation = 37837.2f;  // sqrt(4 / 12) * 65536
  return static_cast<float>(sum - 2 * 65535) / kDeviation;
}

struct Law {
  float mean, deviation;
};

// Matrices keep the size of what they multiply, a residual branch adds a quarter of it, norms and
// biases start as they do in training.
Law law_of(const NamedShape& weight) {
  const std::string& name = weight.name;
  if (name.ends_with(".bias")) return {0, 0};
  if (weight.shape.size() == 1) return {1, 0};  // the scale of a norm
  if (name.ends_with("token_embedding.weight") || name.ends_with("position_embedding.weight")) return {0, 0.7f};
  const auto fan_in = static_cast<float>(count(weight.shape) / weight.shape[0]);
  for (const char* end :
       {".conv2.weight", ".to_out.0.weight", ".proj_out.weight", ".net.2.weight", ".out_proj.weight", ".fc2.weight"})
    if (name.ends_with(end)) return {0, 0.5f / std::sqrt(fan_in)};
  return {0, 1 / std::sqrt(fan_in)};
}

void store(DType type, float value, std::byte* to) {
  const uint16_t half = type == DType::kF16 ? to_f16(value) : to_bf16(value);
  if (type == DType::kF32)
    std::memcpy(to, &value, sizeof value);
  else
    std::memcpy(to, &half, sizeof half);
}

// ---- files ----

// Written under another name until it is whole.
class Output {
 public:
  explicit Output(const fs::path& path) : path_(path), part_(path.string() + ".part"), file_(part_, std::ios::binary) {
    check();
  }
  ~Output() {
    std::error_code ignored;
    fs::remove(part_, ignored);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  void write(const void* data, size_t size) {
    file_.write(static_cast<const char*>(data), static_cast<std::streamsize>(size));
    check();
  }
  void finish() {
    file_.close();
    check();
    fs::rename(part_, path_);
  }

 private:
  void check() const { INKSTONE_CHECK(file_, "cannot write ", path_.string(), ": ", std::strerror(errno)); }

  fs::path path_, part_;
  std::ofstream file_;
};

void write_text(const fs::path& path, const std::string& text) { write_file(path, std::as_bytes(std::span(text))); }

void write_json(const fs::path& path, const Json& json) { write_text(path, boost::json::serialize(json) + "\n"); }

// ---- components ----

struct Component {
  std::string name;
  std::vector<NamedShape> weights;
  size_t bytes = 0;
};

void append_weights(std::vector<NamedShape>& all, const Graph& graph) {
  for (const NamedShape& weight : weights_of(graph))
    if (std::ranges::find(all, weight.name, &NamedShape::name) == all.end()) all.push_back(weight);
}

Component component_of(const std::string& name, const fs::path& config_file, DType type) {
  const Json json = read_json(config_file);
  const std::string source = config_file.string();
  Component component{name, {}, 0};
  if (name == "unet") {
    const UnetConfig config = unet_config(json, source);
    const int64_t side = int64_t{1} << config.channels.size();
    append_weights(component.weights, unet_graph(config, {1, side, side}));
  } else if (name == "controlnet") {
    const ControlnetConfig config = controlnet_config(json, source);
    const int64_t side = int64_t{1} << config.net.channels.size();
    append_weights(component.weights, hint_graph(config, hint_scale(config), hint_scale(config)));
    append_weights(component.weights, controlnet_graph(config, {1, side, side}, false));
  } else if (name == "vae") {
    for (const Graph& graph : vae_graphs(vae_config(json, source))) append_weights(component.weights, graph);
  } else {
    ClipConfig config = clip_config(json, source);
    if (name == "text_encoder") config.projection = 0;
    append_weights(component.weights, clip_graph(config, 1));
  }
  for (const NamedShape& weight : component.weights) component.bytes += bytes(weight.shape, type);
  return component;
}

void write_weights(const Component& component, const fs::path& folder, DType type, uint64_t seed) {
  constexpr int64_t kChunk = int64_t{1} << 22;  // elements held at once
  std::vector<StoredTensor> stored;
  for (const NamedShape& weight : component.weights) stored.push_back({weight.name, weight.shape, type});
  Output file(folder / (component.name.starts_with("text_encoder") ? "model.safetensors"
                                                                   : "diffusion_pytorch_model.safetensors"));
  const std::string header = safetensors_header(stored);
  file.write(header.data(), header.size());
  const size_t size = size_of(type);
  std::vector<std::byte> chunk(static_cast<size_t>(kChunk) * size);
  for (const NamedShape& weight : component.weights) {
    const Law law = law_of(weight);
    const uint64_t key = key_of(seed, component.name + "." + weight.name);
    const int64_t elements = count(weight.shape);
    for (int64_t at = 0; at < elements; at += kChunk) {
      const int64_t here = std::min(kChunk, elements - at);
      parallel_for(here, 1 << 14, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const float value = law.mean + law.deviation * normal(key, static_cast<uint64_t>(at + i));
          store(type, value, chunk.data() + static_cast<size_t>(i) * size);
        }
      });
      file.write(chunk.data(), static_cast<size_t>(here) * size);
    }
  }
  file.finish();
}

// ---- the folder around them ----

// CLIP's own, in place of the demo model's.
void write_clip_tokenizer(const fs::path& folder) {
  const std::string merges(clip_files().front().bytes);
  JsonObject ids;
  for (const auto& [token, id] : tokenizer_of_merges(merges).vocabulary) ids[token] = id;
  write_json(folder / "vocab.json", ids);
  write_text(folder / "merges.txt", merges);
}

void write_preset(const Preset& preset, const Options& options) {
  const fs::path out = options.out, demo = INKSTONE_SOURCE_DIR "/demo/model/tokenizer";
  JsonObject index = {
      {"_class_name", preset.kind}, {"_diffusers_version", "0.42.1"}, {"requires_safety_checker", false}};
  for (const char* absent : {"feature_extractor", "image_encoder", "safety_checker"})
    index[absent] = JsonArray{nullptr, nullptr};
  const auto add = [&](const char* name, const char* library, const char* config, const char* file = "config.json") {
    if (!config) return Json();
    Json json = parse_json(config, name);
    if (preset.sample_size && json.as_object().contains("sample_size") && name == std::string_view("unet"))
      json.as_object()["sample_size"] = preset.sample_size;
    const Json kind =
        json.as_object().contains("_class_name") ? json.at("_class_name") : json.at("architectures").at(0);
    index[name] = JsonArray{library, kind};
    fs::create_directories(out / name);
    write_json(out / name / file, json);
    return json;
  };
  add("scheduler", "diffusers", preset.scheduler, "scheduler_config.json");
  add("unet", "diffusers", preset.unet);
  add("vae", "diffusers", preset.vae);
  add("controlnet", "diffusers", preset.controlnet);
  const auto add_text = [&](const std::string& number, const char* config) {
    const Json clip = add(("text_encoder" + number).c_str(), "transformers", config);
    if (!clip.is_object()) return;
    const std::string tokenizer = "tokenizer" + number;
    index[tokenizer] = JsonArray{"transformers", "CLIPTokenizer"};
    fs::copy(demo, out / tokenizer);
    if (clip.at("vocab_size").as_int64() == kClipVocabulary) write_clip_tokenizer(out / tokenizer);
    if (!number.empty()) write_json(out / tokenizer / "special_tokens_map.json", {{"pad_token", "!"}});
  };
  add_text("", preset.text_encoder);
  add_text("_2", preset.text_encoder_2);
  write_json(out / "model_index.json", index);
}

// Everything but weights.
void copy_model(const fs::path& from, const fs::path& to) {
  INKSTONE_CHECK(fs::exists(from / "model_index.json"), from.string(),
                 " has no model_index.json: not a model in diffusers' layout");
  static const std::set<std::string> kCopied = {".json", ".txt"};
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(from)) {
    if (!entry.is_regular_file() || !kCopied.contains(entry.path().extension().string())) continue;
    if (entry.path().filename().string().find(".safetensors.index") != std::string::npos) continue;
    const fs::path target = to / fs::relative(entry.path(), from);
    fs::create_directories(target.parent_path());
    fs::copy_file(entry.path(), target);
  }
}

void check_space(const fs::path& out, const std::vector<Component>& components) {
  size_t wanted = size_t{16} << 20;
  for (const Component& component : components) wanted += component.bytes;
  const auto free = fs::space(out).available;
  INKSTONE_CHECK(free >= wanted, out.string(), " has ", free >> 20, " MiB free on its disk, ", wanted >> 20,
                 " MiB are needed");
}

void make(const Options& options) {
  const fs::path out = options.out;
  INKSTONE_CHECK_USAGE(!fs::exists(out) || (fs::is_directory(out) && fs::is_empty(out)), options.out,
                       " is there already: name a new folder");
  fs::create_directories(out);
  if (options.from.empty())
    write_preset(kPresets.at(options.preset), options);
  else
    copy_model(options.from, out);
  const DType type = kTypes.at(options.dtype);
  std::vector<Component> components;
  for (const char* name : {"text_encoder", "text_encoder_2", "unet", "vae", "controlnet"})
    if (fs::exists(out / name / "config.json"))
      components.push_back(component_of(name, out / name / "config.json", type));
  check_space(out, components);
  for (const Component& component : components) {
    int64_t parameters = 0;
    for (const NamedShape& weight : component.weights) parameters += count(weight.shape);
    std::cerr << component.name << ": " << parameters << " parameters, " << (component.bytes >> 20) << " MiB"
              << std::endl;
    write_weights(component, out / component.name, type, options.seed);
  }
}

}  // namespace
}  // namespace inkstone

int main(int argc, char** argv) {
  inkstone::Options options;
  CLI::App app("Writes a model in diffusers' layout with seeded random weights.");
  app.add_option("out", options.out, "the new folder")->required();
  auto* from = app.add_option("--from", options.from, "a model whose configs, tokenizer and scheduler are taken");
  app.add_option("--preset", options.preset,
                 "sd15, sd21, sd-turbo, sdxl, tiny; sdxl-unet (no more than the U-Net), taesd or vae (no more than the "
                 "VAE), sd15-controlnet, sdxl-controlnet (no more than a ControlNet)")
      ->check(CLI::IsMember(inkstone::kPresets))
      ->capture_default_str()
      ->excludes(from);
  app.add_option("--dtype", options.dtype, "fp16, bf16 or fp32")
      ->check(CLI::IsMember(inkstone::kTypes))
      ->capture_default_str();
  app.add_option("--seed", options.seed)->capture_default_str();
  try {
    app.parse(argc, argv);
    inkstone::set_threads(inkstone::usable_cores());
    inkstone::make(options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) ? 2 : 0;
  } catch (const inkstone::UsageError& error) {
    std::cerr << "make_random_model: " << error.what() << std::endl;
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "make_random_model: " << error.what() << std::endl;
    return 1;
  }
}
