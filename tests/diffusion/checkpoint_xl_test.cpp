// SDXL in one file: the model of the folder with the same weights, and what is no such model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "diffusion/checkpoint_files.h"
#include "diffusion/generate.h"
#include "diffusion/pipeline.h"
#include "diffusion/refine.h"
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

constexpr int kPooled = 48;

// Two levels, of which the first has no attention. The encoders have different widths, and the
// projection another.
class XlCheckpoints : public testing::Test {
 protected:
  XlCheckpoints() {
    unet_.channels = {64, 128};
    unet_.blocks = {1, 1};
    unet_.depth = {0, 2};
    unet_.up_depth = {2, 0};
    unet_.mid_depth = 2;
    unet_.heads = {1, 2};
    unet_.context = 64 + 128;
    unet_.linear_projection = true;
    unet_.added_time = 256;
    unet_.added = kPooled + 6 * unet_.added_time;
    vae_.channels = {32, 32, 64, 64};
    vae_.blocks = 1;
    first_ = clip(64, Activation::kQuickGelu, 0);
    second_ = clip(128, Activation::kGelu, kPooled);
    make_weights();
  }

  static ClipConfig clip(int width, Activation activation, int projection) {
    ClipConfig config;
    config.width = width;
    config.inner = 2 * width;
    config.layers = 3;
    config.heads = width / 64;
    config.activation = activation;
    config.projection = projection;
    return config;
  }

  // As they are trained: with the last layer and the final norm.
  void make_weights() {
    text_ = random_weights({clip_graph(first_, 1)}, 1);
    text_2_ = random_weights({clip_graph(second_, 1)}, 2);
    denoiser_ = random_weights({unet_graph(unet_, {1, 2, 2})}, 3);
    autoencoder_ = random_weights({vae_decoder_graph(vae_, 1, 1, 1), vae_encoder_graph(vae_, 1, 8, 8)}, 4);
  }

  FileTensors single() const {
    FileTensors all = ldm_unet(denoiser_, unet_);
    for (FileTensors part : {ldm_vae(autoencoder_, vae_), prefixed(text_, "conditioner.embedders.0.transformer."),
                             open_clip(text_2_, "conditioner.embedders.1.model.")})
      std::ranges::move(part, std::back_inserter(all));
    all.push_back({"conditioner.embedders.1.model.logit_scale", {1}, {4.6f}});
    return all;
  }

  fs::path write_single(const FileTensors& tensors) const {
    write_tensors(folder_ / "fox.safetensors", tensors);
    return folder_ / "fox.safetensors";
  }

  fs::path write_folder(const std::string& more = "") const {
    const fs::path model = folder_ / "fox";
    write_text(model / "model_index.json", R"({"_class_name": "StableDiffusionXLPipeline")" + more + "}");
    write_text(model / "scheduler/scheduler_config.json",
               R"({"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
      "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "steps_offset": 1, "timestep_spacing": "leading"})");
    write_text(model / "unet/config.json", R"({"layers_per_block": 1, "cross_attention_dim": 192, "sample_size": 128,
      "block_out_channels": [64, 128], "attention_head_dim": [1, 2], "use_linear_projection": true,
      "transformer_layers_per_block": [1, 2], "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
      "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "addition_embed_type": "text_time",
      "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 1584})");
    write_text(model / "vae/config.json", R"({"block_out_channels": [32, 32, 64, 64], "layers_per_block": 1,
      "latent_channels": 4, "scaling_factor": 0.13025, "force_upcast": true,
      "down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
      "up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]})");
    write_text(model / "text_encoder/config.json", R"({"hidden_size": 64, "intermediate_size": 128,
      "num_hidden_layers": 3, "num_attention_heads": 1, "vocab_size": 49408, "hidden_act": "quick_gelu",
      "projection_dim": 64})");
    write_text(model / "text_encoder_2/config.json", R"({"hidden_size": 128, "intermediate_size": 256,
      "num_hidden_layers": 3, "num_attention_heads": 2, "vocab_size": 49408, "hidden_act": "gelu",
      "projection_dim": 48})");
    write_tokenizer(model / "tokenizer", "");
    write_tokenizer(model / "tokenizer_2", "!");
    write_tensors(model / "unet/diffusion_pytorch_model.safetensors", denoiser_);
    write_tensors(model / "vae/diffusion_pytorch_model.safetensors", autoencoder_);
    write_tensors(model / "text_encoder/model.safetensors", text_);
    write_tensors(model / "text_encoder_2/model.safetensors", text_2_);
    return model;
  }

  static void replace_in(const fs::path& file, const std::string& from, const std::string& to) {
    std::string text = read_file(file, size_t{1} << 20);
    const size_t at = text.find(from);
    ASSERT_NE(at, text.npos) << from;
    write_text(file, text.replace(at, from.size(), to));
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
  UnetConfig unet_;
  VaeConfig vae_;
  ClipConfig first_, second_;
  FileTensors text_, text_2_, denoiser_, autoencoder_;
};

TEST_F(XlCheckpoints, draw_what_the_folder_of_the_same_weights_draws) {
  const fs::path file = write_single(single()), folder = write_folder();
  const Image one = drawn(file), other = drawn(folder);
  EXPECT_EQ(one.rgb, other.rgb);
  EXPECT_NE(std::ranges::max(one.rgb), std::ranges::min(one.rgb));
  EXPECT_EQ(drawn(file, "ugly").rgb, drawn(folder, "ugly").rgb);
}

TEST_F(XlCheckpoints, have_the_defaults_of_their_family) {
  const Pipeline model = Pipeline::open(write_single(single()));
  EXPECT_EQ(model.traits.width, 1024);
  EXPECT_EQ(model.traits.guidance_scale, 5);
  EXPECT_EQ(model.traits.size_multiple, 8);
  EXPECT_FLOAT_EQ(model.vae_config.scaling_factor, 0.13025f);
  EXPECT_EQ(scheduler_config(model.traits).kind, SchedulerKind::kEuler);
  EXPECT_GT(model.component("text_encoder_2").weights.owned_bytes(), 0u) << "the projection, transposed";
}

// Empty tensors, as ComfyUI writes them.
TEST_F(XlCheckpoints, markers_say_what_it_predicts_and_where_its_noise_ends) {
  const auto opened = [&](const std::vector<const char*>& markers, const ModelSettings& said = {}) {
    FileTensors tensors = single();
    for (const char* name : markers) tensors.push_back({name, {0}, {}});
    return scheduler_config(Pipeline::open(write_single(tensors), {}, said).traits);
  };
  EXPECT_EQ(opened({}).prediction, PredictionType::kEpsilon);
  const SchedulerConfig v = opened({"v_pred"}), zero = opened({"v_pred", "ztsnr"});
  EXPECT_EQ(v.prediction, PredictionType::kVPrediction);
  EXPECT_FALSE(v.rescale_betas_zero_snr);
  EXPECT_EQ(v.spacing, TimestepSpacing::kLeading);
  EXPECT_EQ(zero.prediction, PredictionType::kVPrediction);
  EXPECT_TRUE(zero.rescale_betas_zero_snr);
  EXPECT_EQ(zero.spacing, TimestepSpacing::kTrailing);
  // The caller is nearer.
  EXPECT_EQ(opened({"v_pred"}, {.prediction = PredictionType::kEpsilon}).prediction, PredictionType::kEpsilon);
  EXPECT_FALSE(opened({"v_pred", "ztsnr"}, {.zero_snr = false}).rescale_betas_zero_snr);
  EXPECT_TRUE(opened({}, {PredictionType::kVPrediction, true}).rescale_betas_zero_snr);
  EXPECT_THROW(opened({}, {.zero_snr = true}), UsageError);
}

TEST_F(XlCheckpoints, that_draw_in_few_steps_are_known_by_name_or_metadata_or_by_the_caller) {
  const auto named = [&](const char* name, const ModelSettings& said = {}) {
    const fs::path file = folder_ / (std::string(name) + ".safetensors");
    write_tensors(file, single());
    return Pipeline::open(file, {}, said).traits;
  };
  EXPECT_EQ(named("sdxl_lightning_2step").steps, 2);
  EXPECT_EQ(named("sdxl_lightning_2step").only_steps, 2);
  EXPECT_EQ(scheduler_config(named("sdxl_turbo")).kind, SchedulerKind::kEulerAncestral);
  EXPECT_EQ(named("sdxl_turbo").width, 512);
  EXPECT_EQ(named("sdxl_turbo", {.few_step = "none"}).steps, 20);
  EXPECT_EQ(named("fox", {.few_step = "lightning:8"}).few_step, "Lightning by --few-step");
  EXPECT_EQ(named("fox").few_step, "");
  // A U-Net of such a name in another model, whose own scheduler is not made for it.
  const fs::path unet = folder_ / "sdxl_lightning_4step_unet.safetensors";
  write_tensors(unet, ldm_unet(denoiser_, unet_));
  const ModelTraits traits = Pipeline::open(write_folder(), {{"unet", unet}}).traits;
  EXPECT_EQ(traits.steps, 4);
  EXPECT_EQ(scheduler_config(traits).spacing, TimestepSpacing::kTrailing);
}

TEST_F(XlCheckpoints, a_unet_in_place_of_the_own_brings_its_markers) {
  const fs::path model = write_folder(), unet = folder_ / "v.safetensors";
  FileTensors tensors = ldm_unet(denoiser_, unet_);
  tensors.push_back({"v_pred", {0}, {}});
  write_tensors(unet, tensors);
  EXPECT_EQ(scheduler_config(Pipeline::open(model, {{"unet", unet}}).traits).prediction, PredictionType::kVPrediction);
}

TEST_F(XlCheckpoints, models_of_other_noise_levels_are_refused_by_name) {
  const auto error = [&](const char* marker, const Shape& shape, std::vector<float> values) {
    FileTensors tensors = single();
    tensors.push_back({marker, shape, std::move(values)});
    return opening_error(write_single(tensors));
  };
  EXPECT_THAT(error("edm_vpred.sigma_max", {1}, {120}), HasSubstr("is a CosXL model"));
  EXPECT_THAT(error("edm_mean", {4}, {1, 1, 1, 1}), HasSubstr("is a Playground 2.5 model"));
}

TEST_F(XlCheckpoints, a_name_that_speaks_of_v_without_a_marker_is_a_hint) {
  const fs::path file = folder_ / "foxXL_vPred10.safetensors";
  write_tensors(file, single());
  EXPECT_THAT(Pipeline::open(file).notes, testing::ElementsAre(HasSubstr("--prediction v_prediction")));
  EXPECT_TRUE(Pipeline::open(file, {}, {.prediction = PredictionType::kVPrediction}).notes.empty());
  EXPECT_TRUE(Pipeline::open(write_single(single())).notes.empty());
}

TEST_F(XlCheckpoints, an_empty_negative_prompt_is_zeros_unless_the_index_says_otherwise) {
  const Image zeros = drawn(write_folder()), text = drawn(write_folder(R"(, "force_zeros_for_empty_prompt": false)"));
  EXPECT_NE(zeros.rgb, text.rgb);
  EXPECT_EQ(zeros.rgb, drawn(write_folder(R"(, "force_zeros_for_empty_prompt": true)")).rgb);
}

// As SSD-1B: layers of a level differ, and the middle is one resnet.
TEST_F(XlCheckpoints, whose_layers_have_depths_of_their_own_draw_what_the_folder_draws) {
  unet_.blocks = {1, 2};
  unet_.depth = {0, std::vector{1, 2}};
  unet_.up_depth = {std::vector{2, 1, 1}, 0};
  unet_.mid_depth = 0;
  make_weights();
  const fs::path file = write_single(single()), folder = write_folder();
  replace_in(folder / "unet/config.json", R"("layers_per_block": 1)",
             R"("layers_per_block": [1, 2], "mid_block_type": "UNetMidBlock2D",
             "reverse_transformer_layers_per_block": [[2, 1, 1], 1])");
  replace_in(folder / "unet/config.json", R"("transformer_layers_per_block": [1, 2])",
             R"("transformer_layers_per_block": [1, [1, 2]])");
  EXPECT_EQ(drawn(file).rgb, drawn(folder).rgb);
}

TEST_F(XlCheckpoints, a_refiner_in_one_file_goes_on_as_its_folder_does) {
  const fs::path base = write_single(single()), one = folder_ / "sd_xl_refiner.safetensors";
  unet_.context = 128;
  unet_.added = kPooled + 5 * unet_.added_time;
  make_weights();
  FileTensors all = ldm_unet(denoiser_, unet_);
  for (FileTensors part : {ldm_vae(autoencoder_, vae_), open_clip(text_2_, "conditioner.embedders.0.model.")})
    std::ranges::move(part, std::back_inserter(all));
  write_tensors(one, all);
  const fs::path folder = write_folder(R"(, "text_encoder": [null, null], "tokenizer": [null, null],
      "force_zeros_for_empty_prompt": false, "requires_aesthetics_score": true)");
  replace_in(folder / "unet/config.json", R"("cross_attention_dim": 192)", R"("cross_attention_dim": 128)");
  replace_in(folder / "unet/config.json", "1584", std::to_string(unet_.added));
  const auto refined = [&](const fs::path& with, float start) {
    EngineOptions options;
    options.precision = Precision::kFp32;
    Engine first(Pipeline::open(base), options), second(Pipeline::open_refiner(with), options);
    ImageRequest request;
    request.prompt = "a fox";
    request.steps = 4;
    request.width = request.height = 32;
    const ResolvedRequest resolved = first.resolve(request);
    const Refinement refinement = refine(first, resolved, second, request, start);
    EXPECT_EQ(refinement.base.evaluations(), 2);
    return generate(first, resolved, {}, &refinement).image.rgb;
  };
  EXPECT_EQ(refined(one, 0.5f), refined(folder, 0.5f));
  // What is no pair.
  const auto refiner_error = [](const fs::path& model) -> std::string {
    try {
      Pipeline::open_refiner(model);
    } catch (const Error& error) {
      return error.what();
    }
    return "opened";
  };
  EXPECT_THAT(refiner_error(base), HasSubstr("is no refiner of SDXL"));
  EXPECT_THAT(opening_error(one), AllOf(HasSubstr("is SDXL's refiner"), HasSubstr("--refiner")));
  EXPECT_THROW(refined(one, 1.5f), UsageError);
  EXPECT_THROW(refined(one, 0.999f), UsageError) << "nothing is left for it";
  EXPECT_THROW(refined(one, 0.01f), UsageError) << "nothing is left for the base";
}

TEST_F(XlCheckpoints, that_are_no_whole_model_say_what_they_are) {
  const auto error = [&](const FileTensors& tensors) { return opening_error(write_single(tensors)); };
  FileTensors no_projection = single();
  std::erase_if(no_projection, [](const FileTensor& tensor) { return tensor.name.ends_with("text_projection"); });
  EXPECT_THAT(error(no_projection), HasSubstr("the tensor conditioner.embedders.1.model.text_projection is missing"));
  second_.projection = 2 * kPooled;
  make_weights();
  EXPECT_THAT(error(single()), AllOf(HasSubstr("takes 1584 numbers beside the text"), HasSubstr("make 1632")));
  second_.projection = kPooled;
  unet_.added = kPooled + 5 * unet_.added_time;
  make_weights();
  EXPECT_THAT(error(single()), HasSubstr("is SDXL's refiner"));
  EXPECT_THAT(error(single()), HasSubstr("--refiner"));
}

}  // namespace
}  // namespace inkstone
