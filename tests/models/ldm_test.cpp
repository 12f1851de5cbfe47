// Single-file checkpoints: the names that their tensors have, and the configuration that follows from the shapes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "models/clip.h"
#include "models/ldm_names.h"
#include "models/published.h"
#include "models/shape_config.h"
#include "models/unet.h"
#include "models/vae.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

// diffusers' name and the file's, as diffusers' own loader brings them together.
JsonArray pairs(const char* list) {
  const Json json = read_json(std::filesystem::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/single_file_names.json");
  return json.at(list).as_array();
}

std::string text(const Json& json) { return std::string(json.as_string()); }

TEST(LdmNames, of_unets_are_those_that_diffusers_reads) {
  const std::pair<const char*, UnetConfig> families[] = {{"sd15_unet", {}}, {"sdxl_unet", sdxl()}};
  for (const auto& [list, config] : families)
    for (const Json& pair : pairs(list))
      EXPECT_EQ("model.diffusion_model." + ldm_unet_name(text(pair.at(0)), config), text(pair.at(1)));
  EXPECT_EQ(pairs("sd15_unet").size(), 686u);
  EXPECT_EQ(pairs("sdxl_unet").size(), 500u);
}

TEST(LdmNames, of_the_vae_are_those_that_diffusers_reads) {
  for (const Json& pair : pairs("vae"))
    EXPECT_EQ("first_stage_model." + ldm_vae_name(text(pair.at(0)), {}), text(pair.at(1)));
  EXPECT_EQ(pairs("vae").size(), 248u);
}

TEST(LdmNames, of_open_clip_are_those_that_diffusers_reads) {
  for (const Json& row : pairs("open_clip")) {
    const OpenClipName stored = open_clip_name(text(row.at(0)));
    EXPECT_EQ(stored.name, text(row.at(1)));
    EXPECT_EQ(stored.third, row.at(2).as_int64()) << stored.name;
  }
  EXPECT_EQ(pairs("open_clip").size(), 52u);
}

using Shapes = std::map<std::string, Shape>;

ShapeOf lookup(const Shapes& shapes) {
  return [&](const std::string& name) {
    const auto found = shapes.find(name);
    return found == shapes.end() ? nullptr : &found->second;
  };
}

Shapes unet_shapes(const UnetConfig& config) {
  Shapes shapes;
  const int64_t side = int64_t{1} << (config.channels.size() - 1);
  for (const NamedShape& weight : weights_of(unet_graph(config, {1, side, side})))
    shapes[ldm_unet_name(weight.name, config)] = weight.shape;
  return shapes;
}

UnetConfig read_unet(const Shapes& shapes, const std::string& source = "x") {
  return unet_config_of(lookup(shapes), &ldm_unet_name, source);
}

void expect_equal(const UnetConfig& read, const UnetConfig& config) {
  EXPECT_EQ(read.in_channels, config.in_channels);
  EXPECT_EQ(read.out_channels, config.out_channels);
  EXPECT_EQ(read.channels, config.channels);
  EXPECT_EQ(read.blocks, config.blocks);
  EXPECT_EQ(read.depth, config.depth);
  EXPECT_EQ(read.up_depth, config.up_depth);
  EXPECT_EQ(read.middle, config.middle);
  EXPECT_EQ(read.mid_depth, config.mid_depth);
  EXPECT_EQ(read.heads, config.heads);
  EXPECT_EQ(read.context, config.context);
  EXPECT_EQ(read.added, config.added);
  EXPECT_EQ(read.added_time, config.added_time);
  EXPECT_EQ(read.guidance_channels, config.guidance_channels);
  EXPECT_EQ(read.linear_projection, config.linear_projection);
}

TEST(ShapeConfig, of_unets_follows_from_the_shapes) {
  UnetConfig inpainting, lcm, unlike, uneven = sdxl();
  uneven.depth = {0, std::vector{1, 2}, 3};
  uneven.up_depth = {std::vector{1, 1, 2}, std::vector{3, 2, 1}, 0};
  inpainting.in_channels = 9;
  lcm.guidance_channels = 256;
  unlike.channels = {64, 128, 256};
  unlike.blocks = {1, 3, 2};
  unlike.depth = {1, 0, 3};
  unlike.up_depth = {2, 0, 1};
  unlike.mid_depth = 4;
  unlike.heads = {8, 8, 8};
  for (const UnetConfig& config :
       {UnetConfig{}, sd21(), sdxl(), ssd1b(), vega(), koala(), inpainting, lcm, unlike, uneven}) {
    expect_equal(read_unet(unet_shapes(config)), config);
    Shapes plain;
    const int64_t side = int64_t{1} << (config.channels.size() - 1);
    for (const NamedShape& weight : weights_of(unet_graph(config, {1, side, side}))) plain[weight.name] = weight.shape;
    const auto own_name = [](const std::string& name, const UnetConfig&) { return name; };
    expect_equal(unet_config_of(lookup(plain), own_name, "x"), config);
  }
}

TEST(ShapeConfig, names_the_tensor_that_is_missing_or_impossible) {
  const auto said = [](const Shapes& shapes) -> std::string {
    try {
      read_unet(shapes, "x.safetensors");
    } catch (const Error& error) {
      return error.what();
    }
    return "read";
  };
  const Shapes whole = unet_shapes({});
  for (const char* name : {"input_blocks.0.0.weight", "out.2.weight", "input_blocks.1.0.out_layers.3.weight",
                           "input_blocks.1.1.proj_in.weight"}) {
    Shapes shapes = whole;
    shapes.erase(name);
    EXPECT_THAT(said(shapes), AllOf(HasSubstr("x.safetensors: the tensor"), HasSubstr(name)));
  }
  EXPECT_THAT(said({{"input_blocks.0.0.weight", {320}}}), HasSubstr("is [320]: impossible in a model"));
  EXPECT_THAT(said({{"input_blocks.0.0.weight", {320, 0}}}), HasSubstr("impossible"));
  EXPECT_THAT(said({{"input_blocks.0.0.weight", {320, int64_t{1} << 40}}}), HasSubstr("impossible"));
  Shapes odd = whole;
  odd["input_blocks.1.0.out_layers.3.weight"] = {321, 320, 3, 3};
  EXPECT_THAT(said(odd), HasSubstr("321 channels does not divide into groups of 32"));
}

TEST(ShapeConfig, of_vae_and_text_encoder_follow_from_the_shapes) {
  Shapes vae, text;
  for (const Graph& graph : {vae_decoder_graph({}, 1, 1, 1), vae_encoder_graph({}, 1, 8, 8)})
    for (const NamedShape& weight : weights_of(graph)) vae[ldm_vae_name(weight.name, {})] = weight.shape;
  const auto read_vae = [&] {
    return vae_config_of(
        lookup(vae), [](const std::string& name) { return ldm_vae_name(name, {}); }, "x");
  };
  const VaeConfig read = read_vae();
  EXPECT_EQ(read.channels, VaeConfig{}.channels);
  EXPECT_EQ(read.blocks, 2);
  EXPECT_EQ(read.latent, 4);
  EXPECT_TRUE(read.quant_conv && read.post_quant_conv && read.mid_attention);
  vae.erase("quant_conv.weight");
  EXPECT_FALSE(read_vae().quant_conv);

  for (const NamedShape& weight : weights_of(clip_graph({}, 1))) text[weight.name] = weight.shape;
  const ClipConfig clip = clip_config_of(
      lookup(text), [](const std::string& name) { return name; }, "x");
  EXPECT_EQ(clip.width, 768);
  EXPECT_EQ(clip.inner, 3072);
  EXPECT_EQ(clip.layers, 12);
  EXPECT_EQ(clip.heads, 12);
  EXPECT_EQ(clip.vocabulary, 49408);
  EXPECT_EQ(clip.tokens, 77);
}

}  // namespace
}  // namespace inkstone
