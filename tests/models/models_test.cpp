// The models as graphs: published parameter counts, sizes, and what their configs refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "models/clip.h"
#include "models/controlnet.h"
#include "models/published.h"
#include "models/unet.h"
#include "models/vae.h"
#include "models/work.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

TEST(Parameters, of_the_sd15_unet_are_the_published_ones) {
  const Graph graph = unet_graph({}, {2, 64, 64});
  verify(graph);
  EXPECT_EQ(parameters(graph), 859'520'964);
}

TEST(Parameters, of_clip_l_are_the_published_ones) {
  const Graph graph = clip_graph({}, 1);
  verify(graph);
  EXPECT_EQ(parameters(graph), 123'060'480);
}

TEST(Parameters, of_the_vae_are_the_published_ones) {
  const Graph decoder = vae_decoder_graph({}, 1, 64, 64), encoder = vae_encoder_graph({}, 1, 512, 512);
  verify(decoder);
  verify(encoder);
  EXPECT_EQ(parameters(decoder) + parameters(encoder), 83'653'863);
}

TEST(Parameters, of_the_sdxl_unet_are_the_published_ones) {
  const Graph graph = unet_graph(sdxl(), {2, 128, 128});
  verify(graph);
  EXPECT_EQ(parameters(graph), 2'567'463'684);
  // As diffusers counts them.
  EXPECT_EQ(parameters(unet_graph(ssd1b(), {1, 32, 32})), 1'331'334'404);
  EXPECT_EQ(parameters(unet_graph(vega(), {1, 32, 32})), 745'225'604);
  EXPECT_EQ(parameters(unet_graph(koala(), {1, 32, 32})), 782'822'724);
}

TEST(Parameters, of_sd15s_controlnet_are_the_published_ones) {
  const ControlnetConfig config;
  const Graph hint = hint_graph(config, 512, 512), step = controlnet_graph(config, {2, 64, 64}, false);
  verify(hint);
  verify(step);
  EXPECT_EQ(parameters(hint) + parameters(step), 361'279'120);
  EXPECT_EQ(hint.node(hint.outputs()[0]).shape, (Shape{1, 64 * 64, 320}));
  EXPECT_EQ(step.outputs().size(), 13u);
}

// As diffusers counts them.
TEST(Parameters, of_sdxls_controlnets_are_the_published_ones) {
  ControlnetConfig config{sdxl()};
  const auto all = [&] {
    return parameters(hint_graph(config, 64, 64)) + parameters(controlnet_graph(config, {1, 8, 8}, true));
  };
  EXPECT_EQ(all(), 1'251'014'160);
  EXPECT_EQ(residual_count(config.net), 10);
  config.net.depth = {0, 0, 0};  // "small"
  config.net.mid_depth = 0;
  EXPECT_EQ(all(), 125'690'640);
}

TEST(Parameters, of_t2i_adapters_are_the_published_ones) {
  T2iConfig config;
  const Graph full = t2i_graph(config, 512, 512);
  verify(full);
  EXPECT_EQ(parameters(full), 77'369'280);
  EXPECT_EQ(full.node(full.outputs()[1]).shape, (Shape{1, 32 * 32, 640}));
  config.scale = 16;
  config.halves = {false, false, true, false};
  const Graph xl = t2i_graph(config, 1024, 1024);
  EXPECT_EQ(parameters(xl), 79'028'160);
  EXPECT_EQ(xl.node(xl.outputs()[1]).shape, (Shape{1, 64 * 64, 640}));
  EXPECT_EQ(xl.node(xl.outputs()[3]).shape, (Shape{1, 32 * 32, 1280}));
  T2iConfig light;
  light.channels = {320, 640, 1280, 1280};
  light.blocks = 4;
  light.light = true;
  EXPECT_EQ(parameters(t2i_graph(light, 512, 512)), 18'689'200);
}

TEST(Control, is_added_to_every_skip_and_the_middle) {
  LatentSize size{1, 65, 63, 77, 2};
  const size_t plain = inputs_of(unet_graph({}, size)).size();
  size.residuals = true;
  const Graph graph = unet_graph({}, size), control = controlnet_graph({}, size, false);
  verify(graph);
  const std::vector<NamedShape> inputs = inputs_of(graph);
  ASSERT_EQ(inputs.size(), plain + 13);
  for (size_t i = 0; i < control.outputs().size(); ++i) {
    const Node& made = control.node(control.outputs()[i]);
    EXPECT_EQ(inputs[plain + i].name, residual_name(static_cast<int>(i)));
    EXPECT_EQ(inputs[plain + i].shape, made.shape);
  }
}

TEST(Control, features_are_those_that_an_adapter_gives) {
  const auto expect_fit = [](const UnetConfig& unet, const T2iConfig& adapter, int64_t pixels) {
    LatentSize size{1, pixels / 8, pixels / 8, 77, 2};
    size.features = static_cast<int>(adapter.channels.size());
    const Graph graph = unet_graph(unet, size), features = t2i_graph(adapter, pixels, pixels);
    verify(graph);
    const std::vector<NamedShape> inputs = inputs_of(graph);
    const size_t first = inputs.size() - features.outputs().size();
    for (size_t i = 0; i < features.outputs().size(); ++i) {
      EXPECT_EQ(inputs[first + i].name, feature_name(static_cast<int>(i)));
      EXPECT_EQ(inputs[first + i].shape, features.node(features.outputs()[i]).shape) << i;
    }
  };
  T2iConfig xl;
  xl.scale = 16;
  xl.halves = {false, false, true, false};
  expect_fit({}, {}, 512);
  expect_fit(sdxl(), xl, 1024);
}

TEST(Shallow, part_of_sd15_is_small) {
  const Graph whole = unet_graph({}, {2, 64, 64}),
              with_deep = unet_graph({}, {2, 64, 64, 77, 1, UnetPart::kFullKeepFeature}),
              shallow = unet_graph({}, {2, 64, 64, 77, 1, UnetPart::kShallow, DType::kBF16});
  verify(with_deep);
  verify(shallow);
  EXPECT_EQ(flops(with_deep), flops(whole));
  EXPECT_NEAR(flops(shallow) / flops(whole), 0.0787, 0.0001);
  const NamedShape cached_feature = inputs_of(shallow).back();
  EXPECT_EQ(cached_feature.name, "cached_feature");
  EXPECT_EQ(cached_feature.type, DType::kBF16);
  EXPECT_EQ(cached_feature.shape, with_deep.node(with_deep.outputs()[1]).shape);
  EXPECT_EQ(cached_feature.shape, (Shape{2, 320, 64, 64}));
}

TEST(Work, of_stable_diffusion_is_what_its_shapes_say) {
  EXPECT_NEAR(flops(unet_graph({}, {2, 64, 64})) / 1e9, 1606.55, 0.01);
  EXPECT_NEAR(flops(clip_graph({}, 1)) / 1e9, 13.30, 0.01);
  EXPECT_NEAR(flops(vae_decoder_graph({}, 1, 64, 64)) / 1e9, 2514.52, 0.01);
  EXPECT_DOUBLE_EQ(flops(unet_graph({}, {2, 64, 64})), 2 * flops(unet_graph({}, {1, 64, 64})));
}

TEST(Unet, gives_back_the_latent_s_shape) {
  const Graph graph = unet_graph({}, {3, 64, 96});
  EXPECT_EQ(graph.node(graph.outputs()[0]).shape, (Shape{3, 4, 64, 96}));
  EXPECT_EQ(inputs_of(graph).size(), 3u);
  EXPECT_EQ(inputs_of(graph)[0].name, "latent");
  EXPECT_EQ(inputs_of(graph)[1].name, "timestep");
  EXPECT_EQ(inputs_of(graph)[2].name, "text");
}

TEST(Unet, halves_odd_sizes_upwards_and_doubles_them_back) {
  const Graph graph = unet_graph({}, {1, 65, 135});
  EXPECT_EQ(graph.node(graph.outputs()[0]).shape, (Shape{1, 4, 65, 135}));
  std::vector<Shape> halved, doubled;
  for (const Node& node : graph.nodes()) {
    const auto* conv = std::get_if<op::Conv2d>(&node.op);
    if (conv && conv->stride == 2) halved.push_back({node.shape[2], node.shape[3]});
    if (std::holds_alternative<op::Upsample2x>(node.op)) doubled.push_back({node.shape[2], node.shape[3]});
  }
  EXPECT_EQ(halved, (std::vector<Shape>{{33, 68}, {17, 34}, {9, 17}}));
  EXPECT_EQ(doubled, (std::vector<Shape>{{17, 34}, {33, 68}, {65, 135}}));
  const Graph least = unet_graph({}, {1, 1, 1});
  EXPECT_EQ(least.node(least.outputs()[0]).shape, (Shape{1, 4, 1, 1}));
  EXPECT_THROW(unet_graph({}, {1, 0, 8}), Error);
}

TEST(Unet, of_an_even_size_says_nothing_of_odd_ones) {
  EXPECT_EQ(print(unet_graph({}, {1, 64, 72})).find("odd"), std::string::npos);
  EXPECT_NE(print(unet_graph({}, {1, 64, 76})).find(" odd_width : "), std::string::npos);
}

TEST(Layers, a_map_is_doubled_to_its_double_or_one_less) {
  Graph g;
  const Value x = input(g, "x", {1, 2, 3, 5});
  EXPECT_EQ(upsample2x(x, 6, 9).shape(), (Shape{1, 2, 6, 9}));
  EXPECT_THROW(upsample2x(x, 4, 10), Error);
  EXPECT_THROW(upsample2x(x, 6, 11), Error);
}

TEST(Vae, scales_by_its_levels) {
  const Graph graph = vae_decoder_graph({}, 1, 32, 48);
  EXPECT_EQ(graph.node(graph.outputs()[0]).shape, (Shape{1, 3, 256, 384}));
}

const char* kSd15Unet =
    R"({"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0", "act_fn": "silu", "attention_head_dim": 8,
  "block_out_channels": [320, 640, 1280, 1280], "center_input_sample": false, "cross_attention_dim": 768,
  "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 4, "layers_per_block": 2,
  "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 4, "sample_size": 64,
  "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]})";

JsonObject sd15() { return parse_json(kSd15Unet, "unet/config.json").as_object(); }

TEST(UnetConfig, of_the_published_file_builds_the_published_model) {
  EXPECT_EQ(parameters(unet_graph(unet_config(sd15(), "unet/config.json"), {1, 64, 64})), 859'520'964);
}

// As SSD-1B's file has it.
TEST(UnetConfig, layers_may_have_depths_of_their_own_and_the_middle_one_resnet) {
  JsonObject config = sd15();
  config["transformer_layers_per_block"] = JsonArray{1, JsonArray{2, 1}, JsonArray{4, 4}, 1};
  const auto said = [&] {
    try {
      unet_config(config, "unet/config.json");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("read");
  };
  EXPECT_THAT(said(), HasSubstr("need reverse_transformer_layers_per_block"));
  config["reverse_transformer_layers_per_block"] = JsonArray{1, JsonArray{4, 4, 10}, JsonArray{2, 1, 1}, 1};
  config["mid_block_type"] = "UNetMidBlock2D";
  const UnetConfig read = unet_config(config, "unet/config.json");
  EXPECT_EQ(read.depth, (std::vector<LayerDepths>{1, std::vector{2, 1}, 4, 0}));
  EXPECT_EQ(read.up_depth, (std::vector<LayerDepths>{0, std::vector{4, 4, 10}, std::vector{2, 1, 1}, 1}));
  EXPECT_TRUE(read.middle);
  EXPECT_EQ(read.mid_depth, 0);
  config["transformer_layers_per_block"] = JsonArray{1, JsonArray{2, 1, 3}, 4, 1};
  EXPECT_THAT(said(), HasSubstr("level 1 has 2 layers, and its list 3 entries"));
}

struct Change {
  const char* key;
  Json value;
};

class UnetRefuses : public testing::TestWithParam<Change> {};

TEST_P(UnetRefuses, a_key_that_matters_by_its_name) {
  JsonObject config = sd15();
  config[GetParam().key] = GetParam().value;
  try {
    unet_config(config, "unet/config.json");
    FAIL() << GetParam().key;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(GetParam().key));
    EXPECT_THAT(error.what(), HasSubstr("unet/config.json"));
  }
}

const Change kChanges[] = {
    {"class_embed_type", "timestep"},
    {"time_embedding_type", "fourier"},
    {"resnet_time_scale_shift", "scale_shift"},
    {"addition_embed_type", "image"},
    {"dual_cross_attention", true},
    {"only_cross_attention", true},
    {"num_attention_heads", 8},
    {"mid_block_type", "UNetMidBlock2DSimpleCrossAttn"},
    {"conv_in_kernel", 5},
    {"act_fn", "mish"},
    {"in_channels", -1},
    {"in_channels", "four"},
    {"norm_num_groups", 7},
    {"attention_head_dim", 7},
    {"block_out_channels", Json(boost::json::array{320, 640})},
    {"down_block_types", Json(boost::json::array{"AttnDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"})},
    {"sample_size", Json(boost::json::array{64, 64, 64})},
    {"sample_size", "NaN"},
    {"a_key_of_tomorrow", 3}};
INSTANTIATE_TEST_SUITE_P(Keys, UnetRefuses, testing::ValuesIn(kChanges));

// By diffusers 0.42.1's StableDiffusionPipeline.
TEST(UnetConfig, the_size_is_a_number_or_height_and_width_and_of_old_files_at_least_64) {
  struct Row {
    Json size;
    const char* version;
    int height, width;
  };
  const JsonArray wide{16, 32};
  const Row rows[] = {{96, "0.42.1", 96, 96},      {32, "0.42.1", 32, 32},     {wide, "0.42.1", 16, 32},
                      {JsonArray{16}, "", 16, 16}, {32, "0.6.0", 64, 64},      {32, "0.8.0.dev0", 64, 64},
                      {96, "0.6.0", 96, 96},       {wide, "0.6.0", 16, 32},    {32, "0.9.0", 32, 32},
                      {32, "0.10.2", 32, 32},      {32, "1.0.0", 32, 32},      {32, "", 32, 32},
                      {32, "dev", 32, 32},         {nullptr, "0.42.1", 64, 64}};
  for (const Row& row : rows) {
    JsonObject config = sd15();
    config["sample_size"] = row.size;
    config["_diffusers_version"] = row.version;
    const UnetConfig read = unet_config(config, "unet/config.json");
    EXPECT_EQ(read.sample_height, row.height) << json_text(row.size) << " of " << row.version;
    EXPECT_EQ(read.sample_width, row.width) << json_text(row.size) << " of " << row.version;
  }
}

TEST(UnetConfig, what_the_average_of_training_leaves_is_ignored) {
  JsonObject config = sd15();
  for (const char* key : {"decay", "inv_gamma", "min_decay", "power"}) config[key] = 0.9999;
  for (const char* key : {"optimization_step", "update_after_step"}) config[key] = 37000;
  config["use_ema_warmup"] = true;
  EXPECT_EQ(unet_config(config, "unet/config.json").channels.size(), 4u);
}

TEST(UnetConfig, a_value_is_shown_as_the_file_has_it) {
  JsonObject config = sd15();
  config["a_key_of_tomorrow"] = 0.9999;
  try {
    unet_config(config, "unet/config.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("\"a_key_of_tomorrow\" is 0.9999: "));
  }
}

TEST(UnetConfig, a_new_key_with_a_neutral_value_is_harmless) {
  JsonObject config = sd15();
  config["a_key_of_tomorrow"] = nullptr;
  config["_another"] = 3;
  config["third"] = false;
  EXPECT_EQ(unet_config(config, "unet/config.json").channels.size(), 4u);
}

TEST(VaeConfig, refuses_other_autoencoders) {
  JsonObject config{{"block_out_channels", boost::json::array{32, 64}},
                    {"down_block_types", boost::json::array{"DownEncoderBlock2D", "DownEncoderBlock2D"}},
                    {"up_block_types", boost::json::array{"UpDecoderBlock2D", "UpDecoderBlock2D"}}};
  EXPECT_EQ(vae_config(config, "vae").channels.size(), 2u);
  config["latents_mean"] = boost::json::array{0.5};
  EXPECT_THROW(vae_config(config, "vae"), Error);
}

}  // namespace
}  // namespace inkstone
