// The keys of diffusers' UNet2DConditionModel, AutoencoderKL and AutoencoderTiny and of transformers'
// CLIPTextConfig, with their defaults.
#include "models/config.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "base/json.h"
#include "models/config_reader.h"

namespace inkstone {
namespace {

constexpr int kMaxChannels = 1 << 16;

Activation activation(ConfigReader& r, const char* key, const std::string& otherwise) {
  const std::string name = r.text(key, otherwise);
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "relu") return Activation::kRelu;
  r.refuse(key, "supported are silu, swish, gelu, quick_gelu, relu");
}

// Whether diffusers before 0.9 wrote the file: "0.6.0", "0.8.0.dev0".
bool is_before_0_9(const std::string& version) {
  const char* end = version.data() + version.size();
  int major = 0, minor = 0;
  const auto first = std::from_chars(version.data(), end, major);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != '.') return false;
  const auto second = std::from_chars(first.ptr + 1, end, minor);
  return second.ec == std::errc() && major == 0 && minor < 9;
}

// A number, or [height, width]. Files of before 0.9 say 32 of U-Nets that were trained on 64, so
// diffusers takes a smaller number there for 64, and so do we.
void read_sample_size(ConfigReader& r, UnetConfig& c) {
  constexpr int kTrained = 64;
  const std::vector<int> sizes = r.integers("sample_size", 0, 0, 1 << 16);
  const std::string version = r.text("_diffusers_version", "");
  if (sizes.empty()) return;
  if (sizes.size() > 2) r.refuse("sample_size", "a number or [height, width] is wanted");
  c.sample_height = sizes.front();
  c.sample_width = sizes.back();
  if (!r.is_list("sample_size") && is_before_0_9(version))
    c.sample_height = c.sample_width = std::max(c.sample_width, kTrained);
}

// Whether each block has cross-attention, by its type's name.
std::vector<bool> attends(ConfigReader& r, const char* key, const std::string& plain, const std::string& cross,
                          size_t levels) {
  std::vector<bool> out;
  for (const std::string& type : r.texts(key, {})) {
    if (type != plain && type != cross) r.refuse(key, "supported block types are " + plain + " and " + cross);
    out.push_back(type == cross);
  }
  if (out.size() != levels) r.refuse(key, "as many as block_out_channels (" + std::to_string(levels) + ") are wanted");
  return out;
}

void check_groups(ConfigReader& r, const std::vector<int>& channels, int groups) {
  for (int c : channels)
    if (c % groups)
      r.refuse("block_out_channels",
               std::to_string(c) + " channels do not divide into norm_num_groups " + std::to_string(groups));
}

void read_added(ConfigReader& r, UnetConfig& c) {
  const std::string type = r.text("addition_embed_type", "");
  r.ignore({"addition_embed_type_num_heads"});
  if (type.empty()) return r.ignore({"addition_time_embed_dim", "projection_class_embeddings_input_dim"});
  if (type != "text_time") r.refuse("addition_embed_type", "supported are null and text_time");
  c.added_time = r.integer("addition_time_embed_dim", 0, 1, kMaxChannels);
  c.added = r.integer("projection_class_embeddings_input_dim", 0, 1, kMaxChannels);
  if (!c.added_time) r.refuse("addition_time_embed_dim", "text_time needs it");
  if (!c.added) r.refuse("projection_class_embeddings_input_dim", "text_time needs it");
}

// Options of diffusers' U-Net that Stable Diffusion does not use.
void refuse_other_unets(ConfigReader& r) {
  for (const char* key :
       {"class_embed_type", "num_class_embeds", "cross_attention_norm", "encoder_hid_dim", "encoder_hid_dim_type",
        "num_attention_heads", "time_embedding_act_fn", "time_embedding_dim", "timestep_post_act"})
    r.only(key, nullptr);
  for (const char* key : {"center_input_sample", "class_embeddings_concat", "dual_cross_attention",
                          "mid_block_only_cross_attention", "resnet_skip_time_act"})
    r.only(key, false);
  for (const char* key : {"conv_in_kernel", "conv_out_kernel"}) r.only(key, 3);
  for (const char* key : {"downsample_padding", "mid_block_scale_factor", "resnet_out_scale_factor"}) r.only(key, 1);
  for (const char* key : {"attention_type", "resnet_time_scale_shift"}) r.only(key, "default");
  r.only("time_embedding_type", "positional");
  r.ignore({"dropout", "upcast_attention"});  // scores are always summed in fp32
  // The average of the weights over the training (EMA), which diffusers' scripts save so.
  r.ignore({"decay", "inv_gamma", "min_decay", "optimization_step", "power", "update_after_step", "use_ema_warmup"});
}

// Transformer blocks of each level's layers; one number stands for all layers.
std::vector<std::vector<int>> read_depths(ConfigReader& r, const char* key, const std::vector<int>& layers) {
  std::vector<std::vector<int>> depths = r.lists(key, 1, layers.size(), 64);
  for (size_t i = 0; i < layers.size(); ++i)
    if (depths[i].size() != 1 && std::ssize(depths[i]) != layers[i])
      r.refuse(key, "level " + std::to_string(i) + " has " + std::to_string(layers[i]) + " layers, and its list " +
                        std::to_string(depths[i].size()) + " entries");
  return depths;
}

// The way up: as many entries, deepest level first.
void read_up_blocks(ConfigReader& r, UnetConfig& c, const std::vector<std::vector<int>>& depth) {
  const std::vector<bool> up = attends(r, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D", c.channels.size());
  std::vector<int> up_layers;
  for (const int layers : c.blocks) up_layers.insert(up_layers.begin(), layers + 1);
  const char* const kReverse = "reverse_transformer_layers_per_block";
  auto reversed = depth;
  std::ranges::reverse(reversed);
  if (r.has(kReverse))
    reversed = read_depths(r, kReverse, up_layers);
  else if (std::ranges::any_of(depth, [](const std::vector<int>& layers) { return layers.size() > 1; }))
    r.refuse("transformer_layers_per_block", std::string("layers that differ need ") + kReverse + " too");
  r.ignore({kReverse});
  for (size_t i = 0; i < up.size(); ++i) c.up_depth.push_back(up[i] ? LayerDepths(reversed[i]) : LayerDepths(0));
}

// `up`: the network has a way up, too.
void read_blocks(ConfigReader& r, UnetConfig& c, bool up) {
  const size_t levels = c.channels.size();
  r.only("only_cross_attention", false);
  const std::vector<bool> down = attends(r, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D", levels);
  const auto depth = read_depths(r, "transformer_layers_per_block", c.blocks);
  c.depth.clear();
  c.up_depth.clear();
  for (size_t i = 0; i < levels; ++i) c.depth.push_back(down[i] ? LayerDepths(depth[i]) : LayerDepths(0));
  if (up) read_up_blocks(r, c, depth);
  c.middle = !r.is_null("mid_block_type");
  const std::string middle = r.text("mid_block_type", "UNetMidBlock2DCrossAttn");
  if (middle != "UNetMidBlock2DCrossAttn" && middle != "UNetMidBlock2D")
    r.refuse("mid_block_type", "supported are null, UNetMidBlock2DCrossAttn and UNetMidBlock2D");
  c.mid_depth = middle == "UNetMidBlock2D" ? 0 : depth.back().front();
  c.heads = r.integers("attention_head_dim", 8, levels,
                       1024);  // the number of heads, whatever its name (diffusers issue 2011)
  for (size_t i = 0; i < levels; ++i) {
    const bool attends_up = up && c.up_depth[levels - 1 - i].any();
    if ((c.depth[i].any() || attends_up || i + 1 == levels) && c.channels[i] % c.heads[i])
      r.refuse("attention_head_dim",
               std::to_string(c.channels[i]) + " channels do not divide into " + std::to_string(c.heads[i]) + " heads");
  }
}

// What a U-Net and the copy of its first half have.
void read_network(ConfigReader& r, UnetConfig& c, bool up) {
  if (!r.has("block_out_channels")) r.refuse("block_out_channels", "a list of integers is wanted");
  c.channels = r.integers("block_out_channels", 0, 0, kMaxChannels);
  c.blocks = r.integers("layers_per_block", 2, c.channels.size(), 16);
  c.groups = r.integer("norm_num_groups", 32, 1, 1024);
  check_groups(r, c.channels, c.groups);
  c.epsilon = static_cast<float>(r.number("norm_eps", 1e-5));
  read_blocks(r, c, up);
  const std::vector<int> contexts = r.integers("cross_attention_dim", 1280, 0, kMaxChannels);
  c.context = contexts.empty() ? 1280 : contexts.front();
  if (std::ranges::any_of(contexts, [&](int width) { return width != c.context; }))
    r.refuse("cross_attention_dim", "all levels must have one width");
  read_added(r, c);
  c.linear_projection = r.boolean("use_linear_projection", false);
  c.flip_sin_to_cos = r.boolean("flip_sin_to_cos", true);
  c.freq_shift = static_cast<float>(r.number("freq_shift", 0));
  c.activation = activation(r, "act_fn", "silu");
  refuse_other_unets(r);
}

// A half of an AutoencoderTiny: its blocks, of levels of `width` channels.
std::vector<int> read_half(ConfigReader& r, const char* widths_key, const char* blocks_key, std::vector<int> usual,
                           std::optional<int>& width) {
  std::vector<int> widths = r.integers(widths_key, 0, 0, kMaxChannels), blocks = r.integers(blocks_key, 0, 0, 64);
  if (blocks.empty()) blocks = std::move(usual);
  if (widths.empty()) widths.assign(blocks.size(), 64);
  if (widths.size() != blocks.size()) r.refuse(blocks_key, std::string("as many as ") + widths_key + " are wanted");
  width = width.value_or(widths.front());
  if (std::ranges::any_of(widths, [&](int channels) { return channels != *width; }))
    r.refuse(widths_key, "all levels of encoder and decoder must have equal channels");
  return blocks;
}

VaeConfig tiny_vae_config(ConfigReader& r) {
  VaeConfig c = taesd_config();
  std::optional<int> width;
  c.tiny->encoder = read_half(r, "encoder_block_out_channels", "num_encoder_blocks", c.tiny->encoder, width);
  c.tiny->decoder = read_half(r, "decoder_block_out_channels", "num_decoder_blocks", c.tiny->decoder, width);
  if (c.tiny->encoder.size() != c.tiny->decoder.size())
    r.refuse("num_decoder_blocks", "as many as num_encoder_blocks are wanted");
  c.channels.assign(c.tiny->decoder.size(), *width);
  c.in_channels = r.integer("in_channels", 3, 3, 3);
  c.out_channels = r.integer("out_channels", 3, 3, 3);
  c.latent = r.integer("latent_channels", 4, 1, 64);
  c.activation = activation(r, "act_fn", "relu");
  c.scaling_factor = static_cast<float>(r.number("scaling_factor", 1));
  if (!(c.scaling_factor > 0)) r.refuse("scaling_factor", "a number above 0 is wanted");
  c.shift_factor = static_cast<float>(r.number("shift_factor", 0));
  r.only("upsample_fn", "nearest");
  r.only("upsampling_scaling_factor", 2);
  // The first two are for latents in bytes, the third follows from the others.
  r.ignore({"latent_magnitude", "latent_shift", "block_out_channels", "force_upcast", "sample_size"});
  r.finish();
  return c;
}

}  // namespace

VaeConfig taesd_config() {
  VaeConfig c;
  c.channels = {64, 64, 64, 64};
  c.scaling_factor = 1;
  c.quant_conv = c.post_quant_conv = c.mid_attention = c.force_upcast = false;
  c.activation = Activation::kRelu;
  c.tiny.emplace();
  return c;
}

LayerDepths::LayerDepths(std::vector<int> each) : depths_(std::move(each)) {
  INKSTONE_CHECK(!depths_.empty(), "a level without layers");
  if (std::ranges::count(depths_, depths_.front()) == std::ssize(depths_))
    depths_.erase(depths_.begin() + 1, depths_.end());
}

int LayerDepths::at(int layer) const {
  return depths_.size() == 1 ? depths_.front() : depths_.at(static_cast<size_t>(layer));
}

bool LayerDepths::any() const {
  return std::ranges::any_of(depths_, [](int depth) { return depth > 0; });
}

UnetConfig unet_config(const Json& json, const std::string& source) {
  ConfigReader r(json, source);
  UnetConfig c;
  r.only("_class_name", "UNet2DConditionModel");
  c.in_channels = r.integer("in_channels", 4, 1, 64);
  c.out_channels = r.integer("out_channels", 4, 1, 64);
  read_sample_size(r, c);
  read_network(r, c, /*up=*/true);
  c.guidance_channels = r.integer("time_cond_proj_dim", 0, 0, kMaxChannels);
  r.finish();
  return c;
}

ControlnetConfig controlnet_config(const Json& json, const std::string& source) {
  ConfigReader r(json, source);
  ControlnetConfig c;
  r.only("_class_name", "ControlNetModel");
  c.net.in_channels = r.integer("in_channels", 4, 1, 64);
  c.hint_channels = r.integer("conditioning_channels", 3, 1, 64);
  read_network(r, c.net, /*up=*/false);
  if (r.has("conditioning_embedding_out_channels"))
    c.hint = r.integers("conditioning_embedding_out_channels", 0, 0, kMaxChannels);
  const std::string order = r.text("controlnet_conditioning_channel_order", "rgb");
  if (order != "rgb" && order != "bgr") r.refuse("controlnet_conditioning_channel_order", "supported are rgb and bgr");
  c.bgr = order == "bgr";
  c.pooled = r.boolean("global_pool_conditions", false);
  r.finish();
  return c;
}

T2iConfig t2i_config(const Json& json, const std::string& source) {
  constexpr int kMaxScale = 64;
  ConfigReader r(json, source);
  T2iConfig c;
  r.only("_class_name", "T2IAdapter");
  c.hint_channels = r.integer("in_channels", 3, 1, 64);
  c.scale = r.integer("downscale_factor", 8, 1, kMaxScale);
  c.blocks = r.integer("num_res_blocks", 2, 1, 64);
  const std::string type = r.text("adapter_type", "full_adapter");
  if (type != "full_adapter" && type != "full_adapter_xl" && type != "light_adapter")
    r.refuse("adapter_type", "supported are full_adapter, full_adapter_xl and light_adapter");
  if (r.has("channels")) c.channels = r.integers("channels", 0, 0, kMaxChannels);
  c.light = type == "light_adapter";
  if (c.light) c.channels.push_back(c.channels.back());
  c.halves.assign(c.channels.size(), true);
  c.halves.front() = false;
  if (type == "full_adapter_xl")
    for (size_t i = 0; i < c.halves.size(); ++i) c.halves[i] = i == 2;
  r.finish();
  return c;
}

ClipConfig clip_config(const Json& json, const std::string& source) {
  ConfigReader r(json, source);
  ClipConfig c;
  c.width = r.integer("hidden_size", 512, 1, kMaxChannels);
  c.inner = r.integer("intermediate_size", 2048, 1, kMaxChannels);
  c.layers = r.integer("num_hidden_layers", 12, 1, 256);
  c.heads = r.integer("num_attention_heads", 8, 1, 1024);
  c.vocabulary = r.integer("vocab_size", 49408, 1, 1 << 24);
  c.tokens = r.integer("max_position_embeddings", 77, 1, 4096);
  c.projection = r.integer("projection_dim", 512, 1, kMaxChannels);
  c.activation = activation(r, "hidden_act", "quick_gelu");
  c.epsilon = static_cast<float>(r.number("layer_norm_eps", 1e-5));
  // transformers: models/clip, where 2 stands for what configs had before end tokens were looked for
  c.end_is_largest = r.integer("eos_token_id", 49407, 0, 1 << 24) == 2;
  if (c.width % c.heads)
    r.refuse("num_attention_heads", "hidden_size " + std::to_string(c.width) + " does not divide by it");
  const std::string type = r.text("model_type", "clip_text_model");
  if (type != "clip_text_model" && type != "clip") r.refuse("model_type", "only clip_text_model is supported");
  // transformers' other keys (dropout, initializers, tokens' ids, versions) do not change what is
  // computed
  return c;
}

VaeConfig vae_config(const Json& json, const std::string& source) {
  ConfigReader r(json, source);
  const std::string kind = r.text("_class_name", "AutoencoderKL");
  if (kind == "AutoencoderTiny") return tiny_vae_config(r);
  if (kind != "AutoencoderKL") r.refuse("_class_name", "supported are AutoencoderKL and AutoencoderTiny");
  VaeConfig c;
  c.in_channels = r.integer("in_channels", 3, 3, 3);
  c.out_channels = r.integer("out_channels", 3, 3, 3);
  c.latent = r.integer("latent_channels", 4, 1, 64);
  c.channels = r.integers("block_out_channels", 64, 0, kMaxChannels);
  if (c.channels.empty()) c.channels = {64};
  for (const auto& [key, type] :
       {std::pair{"down_block_types", "DownEncoderBlock2D"}, std::pair{"up_block_types", "UpDecoderBlock2D"}}) {
    const std::vector<std::string> types = r.texts(key, {type});
    if (types.size() != c.channels.size()) r.refuse(key, "as many as block_out_channels are wanted");
    if (std::ranges::any_of(types, [t = type](const std::string& name) { return name != t; }))
      r.refuse(key, std::string("only ") + type + " is supported");
  }
  c.blocks = r.integer("layers_per_block", 1, 1, 16);
  c.groups = r.integer("norm_num_groups", 32, 1, 1024);
  check_groups(r, c.channels, c.groups);
  c.scaling_factor = static_cast<float>(r.number("scaling_factor", 0.18215));
  if (!(c.scaling_factor > 0)) r.refuse("scaling_factor", "a number above 0 is wanted");
  c.shift_factor = static_cast<float>(r.number("shift_factor", 0));
  c.quant_conv = r.boolean("use_quant_conv", true);
  c.post_quant_conv = r.boolean("use_post_quant_conv", true);
  c.mid_attention = r.boolean("mid_block_add_attention", true);
  c.activation = activation(r, "act_fn", "silu");
  r.only("latents_mean", nullptr);
  r.only("latents_std", nullptr);
  c.force_upcast = r.boolean("force_upcast", true);
  r.ignore({"sample_size"});
  r.finish();
  return c;
}

}  // namespace inkstone
