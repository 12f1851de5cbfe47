#include "models/shape_config.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace inkstone {
namespace {

constexpr int kHeadChannels = 64, kHeadsOfSd1 = 8, kMaxBlocks = 64;
constexpr int kAddedTime = 256;  // channels of each number that SDXL is told of the image's size
constexpr size_t kMaxLevels = 16;
constexpr int64_t kMaxSize = 1 << 20;

class Shapes {
 public:
  Shapes(const ShapeOf& shape_of, StoredNameOf name_of, const std::string& source)
      : shape_of_(shape_of), name_of_(std::move(name_of)), source_(source) {}

  bool has(const std::string& name) const { return shape_of_(name_of_(name)) != nullptr; }
  const Shape& of(const std::string& name) const {
    const Shape* shape = shape_of_(name_of_(name));
    INKSTONE_CHECK(shape, source_, ": the tensor ", name_of_(name), " is missing");
    return *shape;
  }
  // A size of a tensor.
  int size(const std::string& name, size_t axis) const {
    const Shape& shape = of(name);
    INKSTONE_CHECK(axis < shape.size() && shape[axis] >= 1 && shape[axis] <= kMaxSize, source_, ": the tensor ",
                   name_of_(name), " is ", to_string(shape), ": impossible in a model");
    return static_cast<int>(shape[axis]);
  }
  // How many of PREFIX0SUFFIX, PREFIX1SUFFIX ... there are.
  int count(const std::string& prefix, const std::string& suffix) const {
    int number = 0;
    while (number < kMaxBlocks && has(prefix + std::to_string(number) + suffix)) ++number;
    return number;
  }
  // A width that is made of heads of 64.
  int heads(const std::string& name, int width) const {
    INKSTONE_CHECK(width % kHeadChannels == 0, source_, ": the tensor ", name_of_(name), " is ", to_string(of(name)),
                   ": its width does not divide into heads of ", kHeadChannels);
    return width / kHeadChannels;
  }
  void check_groups(const std::vector<int>& channels, int groups, const char* network) const {
    for (const int width : channels)
      INKSTONE_CHECK(width % groups == 0, source_, ": a level of the ", network, " of ", width,
                     " channels does not divide into groups of ", groups);
  }

 private:
  const ShapeOf& shape_of_;
  StoredNameOf name_of_;
  const std::string& source_;
};

std::string at(const char* list, size_t index) { return list + std::to_string(index) + "."; }

// Transformer blocks in the attention of that name.
int transformers(const Shapes& shapes, const std::string& attention) {
  return shapes.count(attention + "transformer_blocks.", ".attn2.to_k.weight");
}

// The same of each of a level's layers.
LayerDepths depths(const Shapes& shapes, const std::string& block, int layers) {
  std::vector<int> each;
  for (int i = 0; i < layers; ++i)
    each.push_back(transformers(shapes, block + "attentions." + std::to_string(i) + "."));
  return each.empty() ? LayerDepths(0) : LayerDepths(std::move(each));
}

// A level's resnets, then what halves the image, which the last level has not.
void read_down(UnetConfig& c, const Shapes& shapes) {
  c.channels.clear();
  c.blocks.clear();
  c.depth.clear();
  for (size_t level = 0; level < kMaxLevels; ++level) {
    const std::string block = at("down_blocks.", level);
    c.channels.push_back(shapes.size(block + "resnets.0.conv2.weight", 0));
    c.blocks.push_back(shapes.count(block + "resnets.", ".norm1.weight"));
    c.depth.push_back(depths(shapes, block, c.blocks.back()));
    if (!shapes.has(block + "downsamplers.0.conv.weight")) return;
  }
}

void read_up(UnetConfig& c, const Shapes& shapes) {
  c.up_depth.clear();
  for (size_t i = 0; i < c.channels.size(); ++i)
    c.up_depth.push_back(depths(shapes, at("up_blocks.", i), c.blocks[c.blocks.size() - 1 - i] + 1));
}

// The first transformer there is; "" in a U-Net without one.
std::string first_transformer(const UnetConfig& c) {
  for (size_t level = 0; level < c.channels.size(); ++level)
    for (int layer = 0; layer < c.blocks[level]; ++layer)
      if (c.depth[level].at(layer)) return at("down_blocks.", level) + "attentions." + std::to_string(layer) + ".";
  return "";
}

}  // namespace

UnetConfig unet_config_of(const ShapeOf& shape_of, const UnetNameOf& name_of, const std::string& source) {
  UnetConfig c;
  const Shapes shapes(
      shape_of, [&](const std::string& name) { return name_of(name, c); }, source);
  c.in_channels = shapes.size("conv_in.weight", 1);
  c.out_channels = shapes.size("conv_out.weight", 0);
  read_down(c, shapes);
  read_up(c, shapes);
  c.middle = shapes.has("mid_block.resnets.0.norm1.weight");
  c.mid_depth = transformers(shapes, "mid_block.attentions.0.");
  const std::string transformer = first_transformer(c);
  INKSTONE_CHECK(!transformer.empty(), source, ": the U-Net has no cross-attention");
  c.context = shapes.size(transformer + "transformer_blocks.0.attn2.to_k.weight", 1);
  c.linear_projection = shapes.of(transformer + "proj_in.weight").size() == 2;
  c.heads.clear();
  for (const int channels : c.channels)
    c.heads.push_back(c.linear_projection ? shapes.heads(transformer + "proj_in.weight", channels) : kHeadsOfSd1);
  if (shapes.has("add_embedding.linear_1.weight")) {
    c.added = shapes.size("add_embedding.linear_1.weight", 1);
    c.added_time = kAddedTime;
  }
  if (shapes.has("time_embedding.cond_proj.weight"))
    c.guidance_channels = shapes.size("time_embedding.cond_proj.weight", 1);
  shapes.check_groups(c.channels, c.groups, "U-Net");
  return c;
}

namespace {

// Blocks from layer `layer` on, which is then the first after them.
int take_blocks(const Shapes& shapes, const std::string& half, int& layer) {
  int count = 0;
  for (; count < kMaxBlocks && shapes.has(half + std::to_string(layer) + ".conv.0.weight"); ++count) ++layer;
  return count;
}

// Of a half of a tiny autoencoder the blocks of each level; none: the file has not that half. Levels of a decoder
// are `between` layers apart: a doubling and a convolution, of an encoder the convolution alone. The last is
// followed by a convolution that has a bias.
std::vector<int> tiny_levels(const Shapes& shapes, const std::string& half, int first, int between) {
  std::vector<int> levels;
  int layer = first;
  while (levels.size() < kMaxLevels) {
    levels.push_back(take_blocks(shapes, half, layer));
    if (shapes.has(half + std::to_string(layer) + ".bias")) return levels;
    layer += between;
    shapes.of(half + std::to_string(layer - 1) + ".weight");
  }
  return levels;
}

VaeConfig tiny_vae_config_of(const Shapes& shapes, const std::string& source) {
  const std::string encoder = "encoder.layers.", decoder = "decoder.layers.";
  VaeConfig c = taesd_config();
  const bool has_encoder = shapes.has(encoder + "0.weight"), has_decoder = shapes.has(decoder + "0.weight");
  const int width = shapes.size((has_decoder ? decoder : encoder) + "0.weight", 0);
  c.tiny->encoder = has_encoder ? tiny_levels(shapes, encoder, 1, 1) : std::vector<int>();
  c.tiny->decoder = has_decoder ? tiny_levels(shapes, decoder, 2, 2) : std::vector<int>();
  const size_t levels = std::max(c.tiny->encoder.size(), c.tiny->decoder.size());
  INKSTONE_CHECK(!has_encoder || !has_decoder || c.tiny->encoder.size() == c.tiny->decoder.size(), source,
                 ": the tiny VAE's encoder has ", c.tiny->encoder.size(), " levels, its decoder ",
                 c.tiny->decoder.size());
  c.channels.assign(levels, width);
  if (has_decoder) {
    c.latent = shapes.size(decoder + "0.weight", 1);
  } else {
    const int last = std::accumulate(c.tiny->encoder.begin(), c.tiny->encoder.end(), static_cast<int>(levels));
    c.latent = shapes.size(encoder + std::to_string(last) + ".weight", 0);
  }
  return c;
}

}  // namespace

bool is_tiny_vae(const ShapeOf& shape_of, const StoredNameOf& name_of) {
  const auto has = [&](const std::string& name) { return shape_of(name_of(name)) != nullptr; };
  return (has("decoder.layers.0.weight") && has("decoder.layers.2.conv.0.weight")) ||
         (has("encoder.layers.0.weight") && has("encoder.layers.1.conv.0.weight"));
}

VaeConfig vae_config_of(const ShapeOf& shape_of, const StoredNameOf& name_of, const std::string& source) {
  const Shapes shapes(shape_of, name_of, source);
  if (is_tiny_vae(shape_of, name_of)) return tiny_vae_config_of(shapes, source);
  VaeConfig c;
  c.latent = shapes.size("decoder.conv_in.weight", 1);
  c.channels.clear();
  const int levels = shapes.count("encoder.down_blocks.", ".resnets.0.conv1.weight");
  for (int i = 0; i < levels; ++i)
    c.channels.push_back(shapes.size(at("encoder.down_blocks.", static_cast<size_t>(i)) + "resnets.0.conv1.weight", 0));
  INKSTONE_CHECK(levels, source, ": the VAE has no ", name_of("encoder.down_blocks.0.resnets.0.conv1.weight"));
  c.blocks = shapes.count("encoder.down_blocks.0.resnets.", ".conv1.weight");
  c.quant_conv = shapes.has("quant_conv.weight");
  c.post_quant_conv = shapes.has("post_quant_conv.weight");
  c.mid_attention = shapes.has("decoder.mid_block.attentions.0.group_norm.weight");
  shapes.check_groups(c.channels, c.groups, "VAE");
  return c;
}

ClipConfig clip_config_of(const ShapeOf& shape_of, const StoredNameOf& name_of, const std::string& source) {
  const Shapes shapes(shape_of, name_of, source);
  const std::string embeddings = "text_model.embeddings.", layers = "text_model.encoder.layers.";
  ClipConfig c;
  c.vocabulary = shapes.size(embeddings + "token_embedding.weight", 0);
  c.width = shapes.size(embeddings + "token_embedding.weight", 1);
  c.tokens = shapes.size(embeddings + "position_embedding.weight", 0);
  c.layers = shapes.count(layers, ".mlp.fc1.weight");
  INKSTONE_CHECK(c.layers, source, ": the text encoder has no ", name_of(layers + "0.mlp.fc1.weight"));
  c.inner = shapes.size(layers + "0.mlp.fc1.weight", 0);
  c.heads = shapes.heads(embeddings + "token_embedding.weight", c.width);
  return c;
}

}  // namespace inkstone
