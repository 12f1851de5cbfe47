#include "models/ldm_config.h"

#include "base/error.h"

namespace inkstone {
namespace {

constexpr int kHeadChannels = 64, kHeadsOfSd1 = 8, kMaxLevels = 16, kMaxBlocks = 64;
constexpr int64_t kMaxSize = 1 << 20;

class Shapes {
 public:
  Shapes(const ShapeOf& shape_of, const std::string& source) : shape_of_(shape_of), source_(source) {}

  bool has(const std::string& name) const { return shape_of_(name) != nullptr; }
  const Shape& of(const std::string& name) const {
    const Shape* shape = shape_of_(name);
    INKSTONE_CHECK(shape, source_, ": the tensor ", name, " is missing");
    return *shape;
  }
  // A size of a tensor.
  int size(const std::string& name, size_t axis) const {
    const Shape& shape = of(name);
    INKSTONE_CHECK(axis < shape.size() && shape[axis] >= 1 && shape[axis] <= kMaxSize, source_, ": the tensor ", name,
                   " is ", to_string(shape), ": impossible in a model");
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
    INKSTONE_CHECK(width % kHeadChannels == 0, source_, ": the tensor ", name, " is ", to_string(of(name)),
                   ": its width does not divide into heads of ", kHeadChannels);
    return width / kHeadChannels;
  }
  const std::string& source() const { return source_; }
  void check_groups(const std::vector<int>& channels, int groups, const char* network) const {
    for (const int width : channels)
      INKSTONE_CHECK(width % groups == 0, source_, ": a level of the ", network, " of ", width,
                     " channels does not divide into groups of ", groups);
  }

 private:
  const ShapeOf& shape_of_;
  const std::string& source_;
};

constexpr char kFirstNorm[] = ".0.in_layers.0.weight", kLastConv[] = ".0.out_layers.3.weight";

int transformers(const Shapes& shapes, const std::string& block) {
  return shapes.count(block + ".1.transformer_blocks.", ".attn2.to_k.weight");
}

// The blocks on the way down: each level's resnets, then what halves the image.
void read_down(UnetConfig& c, const Shapes& shapes) {
  c.channels.clear();
  c.blocks.clear();
  c.depth.clear();
  for (int i = 1, level = 0; level < kMaxLevels; ++level, ++i) {
    const std::string first = "input_blocks." + std::to_string(i);
    int blocks = 0;
    for (; blocks < kMaxBlocks && shapes.has("input_blocks." + std::to_string(i) + kFirstNorm); ++i) ++blocks;
    INKSTONE_CHECK(blocks, shapes.source(), ": the U-Net has no ", first, kFirstNorm);
    c.channels.push_back(shapes.size(first + kLastConv, 0));
    c.blocks.push_back(blocks);
    c.depth.push_back(transformers(shapes, first));
    if (!shapes.has("input_blocks." + std::to_string(i) + ".0.op.weight")) return;
  }
}

void read_up(UnetConfig& c, const Shapes& shapes) {
  c.up_depth.clear();
  int first = 0;
  for (size_t level = c.channels.size(); level-- > 0;) {
    c.up_depth.push_back(transformers(shapes, "output_blocks." + std::to_string(first)));
    first += c.blocks[level] + 1;
  }
}

// The first transformer there is; "" in a U-Net without one.
std::string first_transformer(const UnetConfig& c) {
  int first = 1;
  for (size_t level = 0; level < c.channels.size(); first += c.blocks[level++] + 1)
    if (c.depth[level]) return "input_blocks." + std::to_string(first) + ".1.";
  return "";
}

}  // namespace

UnetConfig ldm_unet_config(const ShapeOf& shape_of, const std::string& source) {
  const Shapes shapes(shape_of, source);
  UnetConfig c;
  c.in_channels = shapes.size("input_blocks.0.0.weight", 1);
  c.out_channels = shapes.size("out.2.weight", 0);
  read_down(c, shapes);
  read_up(c, shapes);
  c.middle = shapes.has("middle_block.0.in_layers.0.weight");
  c.mid_depth = transformers(shapes, "middle_block");
  const std::string transformer = first_transformer(c);
  INKSTONE_CHECK(!transformer.empty(), source, ": the U-Net has no cross-attention");
  c.context = shapes.size(transformer + "transformer_blocks.0.attn2.to_k.weight", 1);
  c.linear_projection = shapes.of(transformer + "proj_in.weight").size() == 2;
  c.heads.clear();
  for (const int channels : c.channels)
    c.heads.push_back(c.linear_projection ? shapes.heads(transformer + "proj_in.weight", channels) : kHeadsOfSd1);
  if (shapes.has("label_emb.0.0.weight")) {
    c.added = shapes.size("label_emb.0.0.weight", 1);
    c.added_time = 256;
  }
  if (shapes.has("time_embed.cond_proj.weight")) c.guidance_channels = shapes.size("time_embed.cond_proj.weight", 1);
  shapes.check_groups(c.channels, c.groups, "U-Net");
  return c;
}

VaeConfig ldm_vae_config(const ShapeOf& shape_of, const std::string& source) {
  const Shapes shapes(shape_of, source);
  VaeConfig c;
  c.latent = shapes.size("decoder.conv_in.weight", 1);
  c.channels.clear();
  const int levels = shapes.count("decoder.up.", ".block.0.conv1.weight");
  for (int i = 0; i < levels; ++i)
    c.channels.push_back(shapes.size("decoder.up." + std::to_string(i) + ".block.0.conv1.weight", 0));
  INKSTONE_CHECK(levels, source, ": the VAE has no decoder.up.0.block.0.conv1.weight");
  c.blocks = shapes.count("decoder.up.0.block.", ".conv1.weight") - 1;
  c.quant_conv = shapes.has("quant_conv.weight");
  c.post_quant_conv = shapes.has("post_quant_conv.weight");
  c.mid_attention = shapes.has("decoder.mid.attn_1.q.weight");
  shapes.check_groups(c.channels, c.groups, "VAE");
  INKSTONE_CHECK(c.blocks >= 1, source, ": the VAE's levels have one block, two at least are wanted");
  return c;
}

ClipConfig ldm_clip_config(const ShapeOf& shape_of, const std::string& source) {
  const Shapes shapes(shape_of, source);
  const std::string embeddings = "text_model.embeddings.", layers = "text_model.encoder.layers.";
  ClipConfig c;
  c.vocabulary = shapes.size(embeddings + "token_embedding.weight", 0);
  c.width = shapes.size(embeddings + "token_embedding.weight", 1);
  c.tokens = shapes.size(embeddings + "position_embedding.weight", 0);
  c.layers = shapes.count(layers, ".mlp.fc1.weight");
  INKSTONE_CHECK(c.layers, source, ": the text encoder has no ", layers, "0.mlp.fc1.weight");
  c.inner = shapes.size(layers + "0.mlp.fc1.weight", 0);
  c.heads = shapes.heads(embeddings + "token_embedding.weight", c.width);
  return c;
}

ClipConfig open_clip_config(const ShapeOf& shape_of, const std::string& source) {
  const Shapes shapes(shape_of, source);
  const std::string layers = "transformer.resblocks.";
  ClipConfig c;
  c.vocabulary = shapes.size("token_embedding.weight", 0);
  c.width = shapes.size("token_embedding.weight", 1);
  c.tokens = shapes.size("positional_embedding", 0);
  c.layers = shapes.count(layers, ".mlp.c_fc.weight");
  c.layers_after_text = 1;
  INKSTONE_CHECK(c.layers >= 2, source, ": the text encoder has ", c.layers, " layers (", layers,
                 "*.mlp.c_fc.weight), two at least are wanted");
  c.inner = shapes.size(layers + "0.mlp.c_fc.weight", 0);
  c.heads = shapes.heads("token_embedding.weight", c.width);
  c.activation = Activation::kGelu;
  return c;
}

}  // namespace inkstone
