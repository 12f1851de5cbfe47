// A model in one file is the model of the folder with the same weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/file.h"
#include "diffusion/checkpoint_files.h"
#include "diffusion/pipeline.h"
#include "diffusion/resolved_request.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// A tiny model of SD 1.x with random weights: U-Net of two levels, VAE of factor 8, CLIP's vocabulary.
class Checkpoints : public testing::Test {
 protected:
  Checkpoints() {
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
    text_ = random_weights({clip_graph(clip_, 1)}, 1);
    denoiser_ = random_weights({unet_graph(unet_, {1, 2, 2})}, 2);
    autoencoder_ = random_weights({vae_decoder_graph(vae_, 1, 1, 1), vae_encoder_graph(vae_, 1, 8, 8)}, 3);
  }

  // Text encoder and transformers as in Stable Diffusion 2. The U-Net's last bias decides what it seems to predict.
  void be_sd2(float last_bias) {
    unet_.heads = {1, 1};
    unet_.channels = {64, 64};
    unet_.linear_projection = true;
    clip_.activation = Activation::kGelu;
    text_ = random_weights({clip_graph(clip_, 1)}, 4);
    denoiser_ = random_weights({unet_graph(unet_, {1, 2, 2})}, 5);
    for (FileTensor& tensor : denoiser_)
      if (tensor.name == "conv_out.bias") std::ranges::fill(tensor.values, last_bias);
  }

  // As galleries have it, with leftovers of the training.
  FileTensors single() const {
    FileTensors all = ldm_unet(denoiser_, unet_);
    std::ranges::move(ldm_vae(autoencoder_, vae_), std::back_inserter(all));
    if (unet_.linear_projection) {  // a layer more than is used
      std::ranges::move(open_clip(text_, "cond_stage_model.model."), std::back_inserter(all));
      all.push_back({"cond_stage_model.model.transformer.resblocks.2.mlp.c_fc.weight", {2}, {1, 2}});
    } else {
      std::ranges::move(prefixed(text_, "cond_stage_model.transformer."), std::back_inserter(all));
    }
    all.push_back({"model_ema.diffusion_modelout2weight", {2}, {1, 2}});
    all.push_back({"alphas_cumprod", {1}, {0.5f}});
    return all;
  }

  fs::path write_single(const FileTensors& tensors) const {
    const fs::path file = folder_ / "fox v1.safetensors";
    write_tensors(file, tensors);
    return file;
  }

  fs::path write_folder(const std::string& scheduler = "PNDMScheduler", const std::string& predicts = "epsilon") const {
    const fs::path model = folder_ / "fox";
    const bool sd2 = unet_.linear_projection;
    write_text(model / "model_index.json", R"({"_class_name": "StableDiffusionPipeline"})");
    write_text(model / "scheduler/scheduler_config.json", R"({"_class_name": ")" + scheduler +
                                                              R"(", "beta_start": 0.00085,
      "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "set_alpha_to_one": false,
      "clip_sample": false, "skip_prk_steps": true, "steps_offset": 1, "prediction_type": ")" +
                                                              predicts + R"("})");
    write_text(model / "unet/config.json",
               R"({"layers_per_block": [1, 2], "cross_attention_dim": 64, "sample_size": 64,
      "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
      )" + std::string(
                   sd2 ? R"("block_out_channels": [64, 64], "attention_head_dim": 1, "use_linear_projection": true})"
                       : R"("block_out_channels": [32, 64], "attention_head_dim": 8})"));
    write_text(model / "vae/config.json", R"({"block_out_channels": [32, 32, 64, 64], "layers_per_block": 1,
      "latent_channels": 4,
      "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
      "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]})");
    write_text(model / "text_encoder/config.json",
               R"({"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
      "num_attention_heads": 1, "vocab_size": 49408, "hidden_act": ")" +
                   std::string(sd2 ? "gelu" : "quick_gelu") + R"("})");
    write_tokenizer(model / "tokenizer", sd2 ? "!" : "");
    write_tensors(model / "unet/diffusion_pytorch_model.safetensors", denoiser_);
    write_tensors(model / "vae/diffusion_pytorch_model.safetensors", autoencoder_);
    write_tensors(model / "text_encoder/model.safetensors", text_);
    return model;
  }

  std::string error(const FileTensors& tensors) const { return opening_error(write_single(tensors)); }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
  UnetConfig unet_;
  VaeConfig vae_;
  ClipConfig clip_;
  FileTensors text_, denoiser_, autoencoder_;
};

// Files have its embedding under the training code's name, or under diffusers'.
TEST_F(Checkpoints, of_distilled_guidance_draw_what_the_folder_draws) {
  unet_.guidance_channels = 32;
  denoiser_ = random_weights({unet_graph(unet_, {1, 2, 2})}, 2);
  const fs::path folder = write_folder("LCMScheduler");
  std::string config = read_file(folder / "unet/config.json", size_t{1} << 20);
  write_text(folder / "unet/config.json", config.insert(1, R"("time_cond_proj_dim": 32, )"));
  const Image right = drawn(folder);
  const std::string ldm = "model.diffusion_model.time_embed.cond_proj.weight";
  FileTensors tensors = single();
  EXPECT_EQ(drawn(write_single(tensors)).rgb, right.rgb);
  const auto found = std::ranges::find(tensors, ldm, &FileTensor::name);
  ASSERT_NE(found, tensors.end());
  found->name = "model.diffusion_model.time_embedding.cond_proj.weight";
  const fs::path file = write_single(tensors);
  EXPECT_EQ(drawn(file).rgb, right.rgb);
  const ModelTraits traits = Pipeline::open(file).traits;
  EXPECT_TRUE(traits.distilled);
  EXPECT_EQ(traits.steps, 4);
  EXPECT_EQ(traits.guidance_scale, 8.5f);
  EXPECT_EQ(scheduler_config(traits).kind, SchedulerKind::kLcm);
}

TEST_F(Checkpoints, draw_what_the_folder_of_the_same_weights_draws) {
  const Image one = drawn(write_single(single())), other = drawn(write_folder());
  EXPECT_EQ(one.rgb, other.rgb);
  EXPECT_NE(std::ranges::max(one.rgb), std::ranges::min(one.rgb));
}

// The training code's own form: a state_dict in a pickle.
TEST_F(Checkpoints, of_torch_draw_what_safetensors_of_the_same_weights_draw) {
  const FileTensors tensors = single();
  write_torch_tensors(folder_ / "fox v1.ckpt", tensors, "state_dict");
  EXPECT_EQ(drawn(folder_ / "fox v1.ckpt").rgb, drawn(write_single(tensors)).rgb);
}

TEST_F(Checkpoints, of_stable_diffusion_2_draw_what_their_folder_draws) {
  be_sd2(/*last_bias=*/0.6f);
  const fs::path file = write_single(single());
  EXPECT_EQ(scheduler_config(Pipeline::open(file).traits).kind, SchedulerKind::kPndm);
  EXPECT_EQ(Pipeline::open(file).traits.width, 512);
  EXPECT_EQ(drawn(file).rgb, drawn(write_folder()).rgb);
}

TEST_F(Checkpoints, of_stable_diffusion_2_are_asked_what_they_predict) {
  be_sd2(/*last_bias=*/-5);
  const fs::path file = write_single(single());
  const SchedulerConfig scheduler = scheduler_config(Pipeline::open(file).traits);
  EXPECT_EQ(scheduler.kind, SchedulerKind::kDdim);
  EXPECT_EQ(scheduler.prediction, PredictionType::kVPrediction);
  EXPECT_EQ(Pipeline::open(file).traits.width, 768);
  EXPECT_EQ(drawn(file).rgb, drawn(write_folder("DDIMScheduler", "v_prediction")).rgb);
}

TEST_F(Checkpoints, are_known_by_their_file_and_shapes) {
  const Pipeline model = Pipeline::open(write_single(single()));
  EXPECT_EQ(model.name(), "fox v1");
  EXPECT_EQ(model.traits.width, 512);
  EXPECT_EQ(model.traits.size_multiple, 8);
  EXPECT_EQ(scheduler_config(model.traits).kind, SchedulerKind::kPndm);
}

TEST_F(Checkpoints, may_name_the_text_encoder_without_text_model) {
  FileTensors tensors = single();
  for (FileTensor& tensor : tensors)
    if (const size_t at = tensor.name.find("text_model."); at != std::string::npos) tensor.name.erase(at, 11);
  const Pipeline model = Pipeline::open(write_single(tensors));
  EXPECT_EQ(model.text_encoders[0].config.layers, 2);
}

TEST_F(Checkpoints, that_lack_a_tensor_or_a_part_say_which) {
  const auto without = [&](const std::string& prefix) {
    FileTensors tensors = single();
    std::erase_if(tensors, [&](const FileTensor& tensor) { return tensor.name.starts_with(prefix); });
    return tensors;
  };
  EXPECT_THAT(error(without("first_stage_model.")), HasSubstr("has no VAE (tensors first_stage_model.*)"));
  EXPECT_THAT(error(without("cond_stage_model.")), HasSubstr("has no text encoder"));
  EXPECT_THAT(error(without("model.diffusion_model.")), HasSubstr("has no U-Net"));
  EXPECT_THAT(error(without("model.diffusion_model.out.0.bias")),
              AllOf(HasSubstr("1 missing (conv_norm_out.bias)"), HasSubstr("fox v1.safetensors")));
  EXPECT_THAT(error({{"lora_unet_mid_block_attentions_0.alpha", {1}, {1}}}), HasSubstr("is a LoRA"));
  EXPECT_THAT(error({{"down_blocks.0.resnets.0.conv1.bias", {1}, {1}}}), HasSubstr("this file with --unet"));
}

TEST_F(Checkpoints, components_of_other_files_stand_in) {
  const fs::path model = write_single(single());
  const Image own = drawn(model);
  // The same weights from elsewhere draw the same, under any of the names in use.
  write_tensors(folder_ / "vae ldm.safetensors", ldm_vae(autoencoder_, vae_));
  write_tensors(folder_ / "vae.safetensors", autoencoder_);
  write_tensors(folder_ / "unet.safetensors", denoiser_);
  write_tensors(folder_ / "text.safetensors", text_);
  const fs::path folder = write_folder();
  EXPECT_EQ(drawn(model, "", {{"vae", folder_ / "vae ldm.safetensors"}}).rgb, own.rgb);
  EXPECT_EQ(drawn(model, "",
                  {{"vae", folder_ / "vae.safetensors"},
                   {"unet", folder_ / "unet.safetensors"},
                   {"text_encoder", folder_ / "text.safetensors"}})
                .rgb,
            own.rgb);
  EXPECT_EQ(drawn(model, "", {{"vae", folder}, {"unet", folder / "unet"}}).rgb, own.rgb);
  EXPECT_EQ(drawn(folder, "", {{"vae", model}}).rgb, own.rgb);
  // Others draw something else.
  write_tensors(folder_ / "other.safetensors",
                random_weights({vae_decoder_graph(vae_, 1, 1, 1), vae_encoder_graph(vae_, 1, 8, 8)}, 9));
  EXPECT_NE(drawn(model, "", {{"vae", folder_ / "other.safetensors"}}).rgb, own.rgb);
}

TEST_F(Checkpoints, a_missing_vae_may_come_from_elsewhere) {
  const Image own = drawn(write_single(single()));
  FileTensors tensors = single();
  std::erase_if(tensors, [](const FileTensor& tensor) { return tensor.name.starts_with("first_stage_model."); });
  const fs::path model = write_single(tensors);
  write_tensors(folder_ / "vae.safetensors", autoencoder_);
  EXPECT_EQ(drawn(model, "", {{"vae", folder_ / "vae.safetensors"}}).rgb, own.rgb);
  EXPECT_THAT(opening_error(model), HasSubstr("has no VAE (tensors first_stage_model.*): name one with --vae"));
}

TEST_F(Checkpoints, components_that_do_not_fit_are_refused_by_their_own_file) {
  const fs::path model = write_single(single()), other = folder_ / "other.safetensors";
  UnetConfig wide = unet_;
  wide.context = 96;
  write_tensors(other, random_weights({unet_graph(wide, {1, 2, 2})}, 8));
  EXPECT_THAT(opening_error(model, {{"unet", other}}), AllOf(HasSubstr("the U-Net takes 96"), HasSubstr("other.saf")));
  UnetConfig xl = unet_;
  xl.added_time = 256;
  xl.added = 48 + 6 * xl.added_time;
  write_tensors(other, random_weights({unet_graph(xl, {1, 2, 2})}, 8));
  EXPECT_THAT(opening_error(model, {{"unet", other}}), HasSubstr("the U-Net is SDXL's"));
  VaeConfig deep = vae_;
  deep.latent = 16;
  write_tensors(other, random_weights({vae_decoder_graph(deep, 1, 1, 1), vae_encoder_graph(deep, 1, 8, 8)}, 8));
  EXPECT_THAT(opening_error(model, {{"vae", other}}), HasSubstr("other.safetensors: the VAE has 16 latent channels"));
  EXPECT_THAT(opening_error(model, {{"unet", other}}), HasSubstr("other.safetensors holds no unet"));
  EXPECT_THAT(opening_error(model, {{"text_encoder_2", other}}),
              HasSubstr("has no component \"text_encoder_2\" to replace"));
  EXPECT_THAT(opening_error(model, {{"vae", folder_ / "none"}}), HasSubstr("none: no such file or folder"));
}

TEST_F(Checkpoints, whose_parts_do_not_fit_are_refused_with_the_numbers) {
  unet_.context = 32;
  denoiser_ = random_weights({unet_graph(unet_, {1, 2, 2})}, 6);
  EXPECT_THAT(error(single()), AllOf(HasSubstr("fox v1.safetensors"), HasSubstr("the text encoder is 64 wide"),
                                     HasSubstr("the U-Net takes 32")));
  unet_.context = 64;
  unet_.in_channels = 8;
  denoiser_ = random_weights({unet_graph(unet_, {1, 2, 2})}, 7);
  EXPECT_THAT(error(single()), AllOf(HasSubstr("takes 8 channels"), HasSubstr("instructions")));
  unet_.in_channels = 9;  // an inpainting model
  denoiser_ = random_weights({unet_graph(unet_, {1, 2, 2})}, 7);
  EXPECT_EQ(error(single()), "opened");
}

}  // namespace
}  // namespace inkstone
