#include "models/ldm_names.h"

#include <cstdlib>
#include <string_view>
#include <utility>

namespace inkstone {
namespace {

// The beginning of a name, and what stands for it.
using Renaming = std::pair<std::string_view, std::string_view>;

constexpr Renaming kTop[] = {{"time_embedding.linear_1", "time_embed.0"},
                             {"time_embedding.linear_2", "time_embed.2"},
                             {"time_embedding.cond_proj", "time_embed.cond_proj"},
                             {"add_embedding.linear_1", "label_emb.0.0"},
                             {"add_embedding.linear_2", "label_emb.0.2"},
                             {"conv_in", "input_blocks.0.0"},
                             {"conv_norm_out", "out.0"},
                             {"conv_out", "out.2"}};
constexpr Renaming kUnetResnet[] = {{"norm1", "in_layers.0"},          {"conv1", "in_layers.2"},
                                    {"time_emb_proj", "emb_layers.1"}, {"norm2", "out_layers.0"},
                                    {"conv2", "out_layers.3"},         {"conv_shortcut", "skip_connection"}};
constexpr Renaming kOpenClipTop[] = {{"embeddings.token_embedding", "token_embedding"},
                                     {"final_layer_norm", "ln_final"}};
constexpr Renaming kOpenClipLayer[] = {{"layer_norm1", "ln_1"},
                                       {"layer_norm2", "ln_2"},
                                       {"mlp.fc1", "mlp.c_fc"},
                                       {"mlp.fc2", "mlp.c_proj"},
                                       {"self_attn.out_proj", "attn.out_proj"}};
constexpr Renaming kVaeResnet[] = {{"conv_shortcut", "nin_shortcut"}};
constexpr Renaming kVaeAttention[] = {
    {"group_norm", "norm"}, {"to_q", "q"}, {"to_k", "k"}, {"to_v", "v"}, {"to_out.0", "proj_out"}};

template <size_t N>
std::string renamed(std::string_view name, const Renaming (&table)[N]) {
  for (const auto& [from, to] : table)
    if (name.starts_with(from) && name.substr(from.size()).starts_with('.'))
      return std::string(to) + std::string(name.substr(from.size()));
  return std::string(name);
}

// A name cut at its dots, read from the left.
class Pieces {
 public:
  explicit Pieces(std::string_view name) : rest_(name) {}
  bool take(std::string_view piece) {
    if (!rest_.starts_with(piece) || rest_.size() <= piece.size() || rest_[piece.size()] != '.') return false;
    rest_.remove_prefix(piece.size() + 1);
    return true;
  }
  size_t number() {
    const size_t dot = rest_.find('.');
    const size_t value = static_cast<size_t>(std::atoi(std::string(rest_.substr(0, dot)).c_str()));
    rest_.remove_prefix(dot + 1);
    return value;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::string at(std::string_view list, size_t index, std::string_view rest) {
  return std::string(list) + "." + std::to_string(index) + "." + std::string(rest);
}

// A resnet or transformer of a level whose blocks begin at `first` of the list. "": it is neither.
std::string block_name(Pieces& name, std::string_view list, size_t first) {
  const bool resnet = name.take("resnets");
  if (!resnet && !name.take("attentions")) return "";
  const size_t block = first + name.number();
  return at(list, block, resnet ? "0." + renamed(name.rest(), kUnetResnet) : "1." + std::string(name.rest()));
}

// Blocks are numbered through all levels; a level has its resnets, and an entry of its own for what halves the image.
std::string down_name(Pieces name, const UnetConfig& c) {
  const size_t level = name.number();
  size_t first = 1;
  for (size_t i = 0; i < level; ++i) first += static_cast<size_t>(c.blocks[i]) + 1;
  if (std::string block = block_name(name, "input_blocks", first); !block.empty()) return block;
  name.take("downsamplers");
  name.number();
  name.take("conv");
  return at("input_blocks", first + static_cast<size_t>(c.blocks[level]), "0.op." + std::string(name.rest()));
}

// On the way up the last resnet's entry has what doubles the image, too.
std::string up_name(Pieces name, const UnetConfig& c) {
  const size_t level = name.number(), levels = c.channels.size();
  const auto resnets = [&](size_t i) { return static_cast<size_t>(c.blocks[levels - 1 - i]) + 1; };
  size_t first = 0;
  for (size_t i = 0; i < level; ++i) first += resnets(i);
  if (std::string block = block_name(name, "output_blocks", first); !block.empty()) return block;
  name.take("upsamplers");
  name.number();
  const size_t last = resnets(level) - 1;
  const bool attends = c.up_depth[level].at(static_cast<int>(last)) > 0;
  return at("output_blocks", first + last, (attends ? "2." : "1.") + std::string(name.rest()));
}

std::string middle_name(Pieces name) {
  if (name.take("resnets")) {
    const size_t index = name.number();
    return at("middle_block", 2 * index, renamed(name.rest(), kUnetResnet));
  }
  name.take("attentions");
  name.number();
  return at("middle_block", 1, name.rest());
}

std::string vae_half_name(Pieces name, size_t levels) {
  if (name.take("mid_block")) {
    if (name.take("resnets")) {
      const size_t index = name.number();
      return "mid.block_" + std::to_string(index + 1) + "." + renamed(name.rest(), kVaeResnet);
    }
    name.take("attentions");
    name.number();
    return "mid.attn_1." + renamed(name.rest(), kVaeAttention);
  }
  const bool up = name.take("up_blocks");
  if (!up && !name.take("down_blocks")) {
    const bool norm = name.take("conv_norm_out");
    return (norm ? "norm_out." : "") + std::string(name.rest());
  }
  const size_t block = name.number(), level = up ? levels - 1 - block : block;
  const std::string place = at(up ? "up" : "down", level, "");
  if (name.take("resnets")) {
    const size_t index = name.number();
    return place + at("block", index, renamed(name.rest(), kVaeResnet));
  }
  name.take(up ? "upsamplers" : "downsamplers");
  name.number();
  return place + (up ? "upsample." : "downsample.") + std::string(name.rest());
}

}  // namespace

std::string ldm_unet_name(const std::string& name, const UnetConfig& config) {
  Pieces pieces(name);
  if (pieces.take("down_blocks")) return down_name(pieces, config);
  if (pieces.take("up_blocks")) return up_name(pieces, config);
  if (pieces.take("mid_block")) return middle_name(pieces);
  return renamed(name, kTop);
}

std::string ldm_controlnet_name(const std::string& name, const ControlnetConfig& config) {
  Pieces pieces(name);
  if (pieces.take("controlnet_down_blocks")) {
    const size_t index = pieces.number();
    return at("zero_convs", index, "0." + std::string(pieces.rest()));
  }
  if (pieces.take("controlnet_mid_block")) return at("middle_block_out", 0, pieces.rest());
  if (!pieces.take("controlnet_cond_embedding")) return ldm_unet_name(name, config.net);
  // One list of convolutions, each with an activation after it.
  size_t index = 0;
  if (pieces.take("blocks")) index = 1 + pieces.number();
  if (pieces.take("conv_out")) index = 2 * config.hint.size() - 1;
  pieces.take("conv_in");
  return at("input_hint_block", 2 * index, pieces.rest());
}

std::string t2i_name(const std::string& name, int blocks, bool light) {
  Pieces pieces(name);
  pieces.take("adapter");
  if (!pieces.take("body")) return std::string(pieces.rest());
  const size_t feature = pieces.number(), first = light ? feature : feature * static_cast<size_t>(blocks);
  if (!pieces.take("resnets")) return at("body", first, pieces.rest());
  const size_t resnet = pieces.number();
  return light ? at("body", first, at("body", resnet, pieces.rest())) : at("body", first + resnet, pieces.rest());
}

OpenClipName open_clip_name(const std::string& name) {
  Pieces pieces(name);
  pieces.take("text_model");
  if (pieces.rest() == "embeddings.position_embedding.weight") return {"positional_embedding"};
  if (name == "text_projection.weight") return {"text_projection", -1, /*transposed=*/true};
  if (!pieces.take("encoder")) return {renamed(pieces.rest(), kOpenClipTop)};
  pieces.take("layers");
  const std::string layer = at("transformer.resblocks", pieces.number(), "");
  constexpr std::string_view kThirds[] = {"self_attn.q_proj.", "self_attn.k_proj.", "self_attn.v_proj."};
  for (int third = 0; third < 3; ++third)
    if (pieces.rest().starts_with(kThirds[third]))  // "attn.in_proj_weight", without a dot
      return {layer + "attn.in_proj_" + std::string(pieces.rest().substr(kThirds[third].size())), third};
  return {layer + renamed(pieces.rest(), kOpenClipLayer)};
}

std::string ldm_vae_name(const std::string& name, const VaeConfig& config) {
  Pieces pieces(name);
  for (const std::string_view half : {"encoder", "decoder"})
    if (pieces.take(half)) return std::string(half) + "." + vae_half_name(pieces, config.channels.size());
  return name;
}

}  // namespace inkstone
