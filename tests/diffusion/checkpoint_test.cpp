// A model in one file is the model of the folder with the same weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "diffusion/clip_files.h"
#include "diffusion/generate.h"
#include "diffusion/noise.h"
#include "diffusion/tokenizer_files.h"
#include "models/clip.h"
#include "models/ldm_names.h"
#include "models/unet.h"
#include "models/vae.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

void write(const fs::path& file, const std::string& text) {
  fs::create_directories(file.parent_path());
  write_file(file, std::as_bytes(std::span(text)));
}

struct NamedTensor {
  std::string name;
  Shape shape;
  std::vector<float> values;
};

void write_tensors(const fs::path& file, const std::vector<NamedTensor>& tensors) {
  std::vector<StoredTensor> stored;
  for (const NamedTensor& tensor : tensors) stored.push_back({tensor.name, tensor.shape, DType::kF32});
  std::string text = safetensors_header(stored);
  for (const NamedTensor& tensor : tensors)
    text.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
  write(file, text);
}

// A tiny model of SD 1.x with random weights: U-Net of two levels, VAE of factor 8, CLIP's vocabulary.
class Checkpoints : public testing::Test {
 protected:
  Checkpoints() {
    std::string name = (fs::temp_directory_path() / "inkstone_checkpoint_XXXXXX").string();
    folder_ = mkdtemp(name.data());
    unet_.channels = {32, 64};
    unet_.blocks = {1, 2};
    unet_.depth = {1, 0};
    unet_.up_depth = {0, 1};
    unet_.heads = {8, 8};
    unet_.context = 64;
    vae_.channels = {32, 32, 64, 64};
    vae_.blocks = 1;
    clip_.width = 64;
    clip_.inner = 128;
    clip_.layers = 2;
    clip_.heads = 1;
    text_ = tensors({clip_graph(clip_, 1)}, 1);
    denoiser_ = tensors({unet_graph(unet_, {1, 2, 2})}, 2);
    autoencoder_ = tensors({vae_decoder_graph(vae_, 1, 1, 1), vae_encoder_graph(vae_, 1, 8, 8)}, 3);
  }
  ~Checkpoints() override { fs::remove_all(folder_); }

  static std::vector<NamedTensor> tensors(std::initializer_list<Graph> graphs, uint64_t seed) {
    std::vector<NamedTensor> out;
    for (const Graph& graph : graphs)
      for (const NamedShape& weight : weights_of(graph)) {
        NamedTensor tensor{weight.name, weight.shape, {}};
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

  // As galleries have it, with leftovers of the training.
  std::vector<NamedTensor> single() const {
    std::vector<NamedTensor> all;
    for (NamedTensor tensor : denoiser_) {
      tensor.name = "model.diffusion_model." + ldm_unet_name(tensor.name, unet_);
      all.push_back(std::move(tensor));
    }
    for (NamedTensor tensor : autoencoder_) {
      tensor.name = "first_stage_model." + ldm_vae_name(tensor.name, vae_);
      if (tensor.name.find("attn_1") != std::string::npos && tensor.shape.size() == 2)
        tensor.shape.insert(tensor.shape.end(), {1, 1});
      all.push_back(std::move(tensor));
    }
    for (NamedTensor tensor : text_) {
      tensor.name = "cond_stage_model.transformer." + tensor.name;
      all.push_back(std::move(tensor));
    }
    all.push_back({"model_ema.diffusion_modelout2weight", {2}, {1, 2}});
    all.push_back({"alphas_cumprod", {1}, {0.5f}});
    return all;
  }

  fs::path write_single(const std::vector<NamedTensor>& tensors) const {
    const fs::path file = folder_ / "fox v1.safetensors";
    write_tensors(file, tensors);
    return file;
  }

  fs::path write_folder() const {
    const fs::path model = folder_ / "fox";
    write(model / "model_index.json",
          R"({"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "PNDMScheduler"]})");
    write(model / "scheduler/scheduler_config.json", R"({"_class_name": "PNDMScheduler", "beta_start": 0.00085,
      "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "set_alpha_to_one": false,
      "skip_prk_steps": true, "steps_offset": 1})");
    write(model / "unet/config.json", R"({"block_out_channels": [32, 64], "layers_per_block": [1, 2],
      "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
      "cross_attention_dim": 64, "attention_head_dim": 8, "sample_size": 64})");
    write(model / "vae/config.json", R"({"block_out_channels": [32, 32, 64, 64], "layers_per_block": 1,
      "latent_channels": 4,
      "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
      "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]})");
    write(model / "text_encoder/config.json", R"({"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
      "num_attention_heads": 1, "vocab_size": 49408, "hidden_act": "quick_gelu"})");
    const std::string_view merges = clip_files().front().bytes;
    JsonObject vocabulary;
    for (const auto& [token, id] : tokenizer_of_merges(merges).vocabulary) vocabulary[token] = id;
    write(model / "tokenizer/vocab.json", json_text(vocabulary));
    write(model / "tokenizer/merges.txt", std::string(merges));
    write_tensors(model / "unet/diffusion_pytorch_model.safetensors", denoiser_);
    write_tensors(model / "vae/diffusion_pytorch_model.safetensors", autoencoder_);
    write_tensors(model / "text_encoder/model.safetensors", text_);
    return model;
  }

  std::string error(const std::vector<NamedTensor>& tensors) const {
    try {
      Pipeline::open(write_single(tensors));
    } catch (const Error& error) {
      return error.what();
    }
    return "opened";
  }

  fs::path folder_;
  UnetConfig unet_;
  VaeConfig vae_;
  ClipConfig clip_;
  std::vector<NamedTensor> text_, denoiser_, autoencoder_;
};

Image drawn(const fs::path& model) {
  EngineOptions options;
  options.precision = Precision::kFp32;
  Engine engine(Pipeline::open(model), options);
  ImageRequest request;
  request.prompt = "a fox, très mignon";
  request.seed = 7;
  request.steps = 3;
  request.width = 64;
  request.height = 32;
  return generate(engine, engine.resolve(request)).image;
}

TEST_F(Checkpoints, draw_what_the_folder_of_the_same_weights_draws) {
  const Image one = drawn(write_single(single())), other = drawn(write_folder());
  EXPECT_EQ(one.rgb, other.rgb);
  EXPECT_NE(std::ranges::max(one.rgb), std::ranges::min(one.rgb));
}

TEST_F(Checkpoints, are_known_by_their_file_and_shapes) {
  const Pipeline model = Pipeline::open(write_single(single()));
  EXPECT_EQ(model.name(), "fox v1");
  EXPECT_EQ(model.traits.width, 512);
  EXPECT_EQ(model.traits.size_multiple, 16);
  EXPECT_EQ(scheduler_config(model.traits).kind, SchedulerKind::kPndm);
}

TEST_F(Checkpoints, may_name_the_text_encoder_without_text_model) {
  std::vector<NamedTensor> tensors = single();
  for (NamedTensor& tensor : tensors)
    if (const size_t at = tensor.name.find("text_model."); at != std::string::npos) tensor.name.erase(at, 11);
  const Pipeline model = Pipeline::open(write_single(tensors));
  EXPECT_EQ(model.clip_config.layers, 2);
}

TEST_F(Checkpoints, that_lack_a_tensor_or_a_part_say_which) {
  const auto without = [&](const std::string& prefix) {
    std::vector<NamedTensor> tensors = single();
    std::erase_if(tensors, [&](const NamedTensor& tensor) { return tensor.name.starts_with(prefix); });
    return tensors;
  };
  EXPECT_THAT(error(without("first_stage_model.")), HasSubstr("has no VAE (tensors first_stage_model.*)"));
  EXPECT_THAT(error(without("cond_stage_model.")), HasSubstr("has no text encoder"));
  EXPECT_THAT(error(without("model.diffusion_model.")), HasSubstr("has no U-Net"));
  EXPECT_THAT(error(without("model.diffusion_model.out.0.bias")),
              AllOf(HasSubstr("1 missing (conv_norm_out.bias)"), HasSubstr("fox v1.safetensors")));
  EXPECT_THAT(error({{"lora_unet_mid_block_attentions_0.alpha", {1}, {1}}}), HasSubstr("is a LoRA"));
  EXPECT_THAT(error({{"conditioner.embedders.0.transformer.text_model.x", {1}, {1}}}), HasSubstr("is an SDXL model"));
}

}  // namespace
}  // namespace inkstone
