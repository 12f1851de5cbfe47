// What a file is, told by its tensors.
#include "diffusion/file_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "convert/tiny_model.h"
#include "diffusion/model_facts.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FileKinds : public testing::Test {
 protected:
  FileKind kind(const FileTensors& tensors) const {
    write_tensors(folder_ / "file.safetensors", tensors);
    return kind_of(folder_ / "file.safetensors");
  }
  static FileTensor tensor(const std::string& name, Shape shape) {
    const auto size = static_cast<size_t>(count(shape));
    return {name, std::move(shape), std::vector<float>(size, 0.1f)};
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(FileKinds, models_say_what_they_lack) {
  for (const TinyModel& model : {TinyModel::sd1(), TinyModel::sd2(1), TinyModel::sdxl()}) {
    const FileKind whole = kind(model.single());
    EXPECT_TRUE(whole.model);
    EXPECT_THAT(whole.missing, IsEmpty());
  }
  FileTensors tensors = TinyModel::sdxl().single();
  std::erase_if(tensors, [](const FileTensor& one) { return one.name.starts_with("first_stage_model."); });
  const FileKind without = kind(tensors);
  EXPECT_TRUE(without.model);
  EXPECT_THAT(without.missing, ElementsAre("vae"));
  EXPECT_EQ(without.what, "a model without vae");
  EXPECT_THAT(without.use, HasSubstr("--vae"));
}

TEST_F(FileKinds, networks_alone_name_their_flag) {
  const TinyModel model = TinyModel::sd1();
  const FileTensors unet = random_weights({unet_graph(model.unet, {1, 2, 2})}, 1);
  for (const FileTensors& one : {unet, ldm_unet(unet, model.unet), prefixed(unet, "unet.")}) {
    const FileKind found = kind(one);
    EXPECT_THAT(found.what, HasSubstr("a U-Net alone")) << one.front().name;
    EXPECT_THAT(found.use, HasSubstr("--unet"));
  }
  const FileTensors vae =
      random_weights({vae_decoder_graph(model.vae, 1, 1, 1), vae_encoder_graph(model.vae, 1, 8, 8)}, 2);
  for (const FileTensors& one : {vae, ldm_vae(vae, model.vae)}) {
    const FileKind found = kind(one);
    EXPECT_EQ(found.what, "a VAE alone") << one.front().name;
    EXPECT_THAT(found.use, HasSubstr("--vae"));
  }
  const FileTensors text = random_weights({clip_graph(model.texts[0], 1)}, 3);
  for (const FileTensors& one : {text, prefixed(text, "text_encoders.clip_l.transformer."), open_clip(text, "")}) {
    const FileKind found = kind(one);
    EXPECT_THAT(found.what, HasSubstr("a text encoder alone")) << one.front().name;
    EXPECT_THAT(found.use, HasSubstr("--text-encoder"));
  }
  EXPECT_THAT(kind({tensor("conv_in.weight", {320, 4, 3, 3})}).what, HasSubstr("of no kind that Inkstone knows"));
}

TEST_F(FileKinds, taesd_is_known_whole_and_in_halves) {
  const fs::path fixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/taesd";
  const FileKind decoder = kind_of(fixtures / "taesd_decoder.safetensors"),
                 encoder = kind_of(fixtures / "taesd_encoder.safetensors");
  EXPECT_EQ(decoder.what, "TAESD, a tiny decoder alone");
  EXPECT_THAT(decoder.use, AllOf(HasSubstr("--vae FILE"), HasSubstr("--preview-vae FILE")));
  EXPECT_EQ(encoder.what, "TAESD, a tiny encoder alone");
  EXPECT_THAT(encoder.use, HasSubstr("taesd_decoder"));
  const VaeConfig config = taesd_config();
  const FileKind both =
      kind(random_weights({vae_decoder_graph(config, 1, 1, 1), vae_encoder_graph(config, 1, 8, 8)}, 2));
  EXPECT_EQ(both.what, "TAESD, a tiny VAE (decoder and encoder)");
  EXPECT_THAT(both.facts, Contains(HasSubstr("2445063 parameters, latents of 4 channels")));
}

TEST_F(FileKinds, adapters_say_for_which_family_they_are) {
  const auto lora = [&](const std::string& stem, int64_t width) {
    return FileTensors{tensor(stem + ".lora_down.weight", {8, width}), tensor(stem + ".lora_up.weight", {320, 8}),
                       tensor(stem + ".alpha", {1})};
  };
  const std::string stem = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k";
  for (const auto& [width, family] :
       {std::pair(768, "Stable Diffusion 1.x"), {1024, "Stable Diffusion 2.x"}, {2048, "SDXL"}}) {
    const FileKind found = kind(lora(stem, width));
    EXPECT_EQ(found.what, std::string("an adapter (LoRA) for ") + family);
    EXPECT_THAT(found.use, HasSubstr("--lora"));
    EXPECT_THAT(found.facts, AllOf(Contains("1 layers of U-Net"), Contains("rank 8")));
  }
  EXPECT_EQ(kind(lora("lora_te2_text_model_encoder_layers_0_mlp_fc1", 1280)).what, "an adapter (LoRA) for SDXL");
  EXPECT_EQ(kind({tensor("lora_unet_conv_in.hada_w1_a", {4, 4})}).what, "an adapter (LoHa)");
  for (const fs::directory_entry& entry :
       fs::directory_iterator(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/adapters"))
    if (entry.path().filename() != "golden.safetensors") {
      EXPECT_THAT(kind_of(entry.path()).what, HasSubstr("an adapter (")) << entry.path();
    }
}

TEST_F(FileKinds, embeddings_are_known_by_their_width) {
  EXPECT_EQ(kind({tensor("emb_params", {4, 768})}).what, "a textual inversion embedding for Stable Diffusion 1.x");
  EXPECT_EQ(kind({tensor("<fox>", {1024})}).what, "a textual inversion embedding for Stable Diffusion 2.x");
  const FileKind both = kind({tensor("clip_l", {8, 768}), tensor("clip_g", {8, 1280})});
  EXPECT_EQ(both.what, "a textual inversion embedding for SDXL");
  EXPECT_THAT(both.facts, ElementsAre("8 vectors"));
}

TEST_F(FileKinds, what_is_of_others_is_named) {
  EXPECT_EQ(kind({tensor("double_blocks.0.img_attn.qkv.weight", {2, 2})}).what, "a Flux model");
  EXPECT_EQ(kind({tensor("control_model.input_blocks.0.0.weight", {2, 2})}).what, "a ControlNet");
  EXPECT_EQ(kind({tensor("body.0.weight", {64, 3, 3, 3}), tensor("body.1.weight", {64})}).what,
            "an upscaler of another kind (SRVGG, as realesr-general)");
}

TEST_F(FileKinds, an_upscaler_says_its_factor_and_what_takes_it) {
  for (const auto& [name, channels, factor] : {std::tuple("x4", 3, "4"), {"x2", 12, "2"}}) {
    const FileKind found =
        kind({tensor("conv_first.weight", {8, channels, 3, 3}), tensor("body.0.rdb1.conv1.weight", {4, 8, 3, 3}),
              tensor("conv_up1.weight", {8, 8, 3, 3}), tensor("conv_up2.weight", {8, 8, 3, 3})});
    EXPECT_EQ(found.what, std::string("an upscaler (ESRGAN) of factor ") + factor) << name;
    EXPECT_THAT(found.use, HasSubstr("inkstone upscale IMAGE --upscaler FILE"));
    EXPECT_THAT(found.facts, Contains(HasSubstr("1 block of 8 and 4 channels")));
  }
}

TEST_F(FileKinds, models_say_their_family_and_what_is_not_read) {
  const auto facts = [&](const TinyModel& model) {
    write_tensors(folder_ / "file.safetensors", model.single());
    return facts_of(Pipeline::open(folder_ / "file.safetensors"));
  };
  const ModelFacts sd1 = facts(TinyModel::sd1());
  EXPECT_EQ(sd1.family, "Stable Diffusion 1.x");
  EXPECT_EQ(sd1.prediction, "epsilon");
  EXPECT_THAT(sd1.known_by, AllOf(HasSubstr("cond_stage_model.transformer.text_model. (text_encoder)"),
                                  HasSubstr("model.diffusion_model. (unet)"), HasSubstr("first_stage_model. (vae)")));
  EXPECT_THAT(sd1.unread, ElementsAre("alphas_cumprod", "model_ema.diffusion_modelout2weight"));
  const ModelFacts sd2 = facts(TinyModel::sd2(-5));
  EXPECT_EQ(sd2.family, "Stable Diffusion 2.x");
  EXPECT_EQ(sd2.prediction, "v_prediction");
  EXPECT_EQ(facts(TinyModel::sdxl()).family, "SDXL");
  const ModelFacts demo = facts_of(Pipeline::open(fs::path(INKSTONE_SOURCE_DIR) / "demo/model"));
  EXPECT_THAT(demo.known_by, HasSubstr("StableDiffusionPipeline"));
  EXPECT_THAT(demo.unread, IsEmpty());
}

}  // namespace
}  // namespace inkstone
