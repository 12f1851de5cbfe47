#include "models/vae.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/tiny_vae.h"

namespace inkstone {
namespace {

constexpr float kEpsilon = 1e-6f;

Value norm_activate(Scope s, const VaeConfig& c, Value x) {
  return activate(group_norm(s, x, c.groups, kEpsilon), c.activation);
}

Value resnet(Scope s, const VaeConfig& c, Value x, int64_t out) {
  Value h = conv(s / "conv1", norm_activate(s / "norm1", c, x), out, 3);
  h = conv(s / "conv2", norm_activate(s / "norm2", c, h), out, 3);
  return x.dim(1) == out ? x + h : conv(s / "conv_shortcut", x, out, 1) + h;
}

Value middle(Scope s, const VaeConfig& c, Value x) {
  const int64_t width = x.dim(1);
  x = resnet(s / "resnets" / 0, c, x, width);
  if (c.mid_attention) {
    const Scope at = s / "attentions" / 0;
    const Value t = to_tokens(group_norm(at / "group_norm", x, c.groups, kEpsilon));
    const Value q = linear(at / "to_q", t, width);
    const Value k = linear(at / "to_k", t, width);
    const Value v = linear(at / "to_v", t, width);
    const Value a = linear(at / "to_out" / 0, attention(q, k, v, /*heads=*/1), width);
    x = x + to_image(a, x.dim(2), x.dim(3));
  }
  return resnet(s / "resnets" / 1, c, x, width);
}

Value finish_layers(Scope s, const VaeConfig& c, Value x, int64_t out) {
  return conv(s / "conv_out", norm_activate(s / "conv_norm_out", c, x), out, 3);
}

}  // namespace

Value vae_encode(Scope root, const VaeConfig& c, Value image) {
  const Scope s = root / "encoder";
  const int levels = static_cast<int>(c.channels.size());
  Value x = conv(s / "conv_in", image, c.channels[0], 3);
  for (int level = 0; level < levels; ++level) {
    const Scope at = s / "down_blocks" / level;
    for (int i = 0; i < c.blocks; ++i) x = resnet(at / "resnets" / i, c, x, c.channels[level]);
    if (level + 1 < levels) x = conv_right_bottom(at / "downsamplers" / 0 / "conv", x, c.channels[level]);
  }
  x = finish_layers(s, c, middle(s / "mid_block", c, x), 2 * c.latent);
  return c.quant_conv ? conv(root / "quant_conv", x, 2 * c.latent, 1) : x;
}

Value vae_decode(Scope root, const VaeConfig& c, Value latent) {
  const Scope s = root / "decoder";
  const int levels = static_cast<int>(c.channels.size());
  Value x = c.post_quant_conv ? conv(root / "post_quant_conv", latent, c.latent, 1) : latent;
  x = middle(s / "mid_block", c, conv(s / "conv_in", x, c.channels.back(), 3));
  for (int i = 0; i < levels; ++i) {
    const Scope at = s / "up_blocks" / i;
    const int64_t width = c.channels[levels - 1 - i];
    for (int j = 0; j <= c.blocks; ++j) x = resnet(at / "resnets" / j, c, x, width);
    if (i + 1 < levels) x = conv(at / "upsamplers" / 0 / "conv", upsample2x(x), width, 3);
  }
  return finish_layers(s, c, x, c.out_channels);
}

void decoder_input(const VaeConfig& c, std::span<const float> latent, std::span<float> out) {
  std::ranges::transform(latent, out.begin(), [&](float v) {
    const float scaled = v / c.scaling_factor + c.shift_factor, bound = c.latent_bound();
    return bound > 0 ? bound * std::tanh(scaled / bound) : scaled;
  });
}

std::vector<Graph> vae_graphs(const VaeConfig& c) {
  std::vector<Graph> graphs;
  if (c.has_decoder()) graphs.push_back(vae_decoder_graph(c, 1, 1, 1));
  if (c.has_encoder()) graphs.push_back(vae_encoder_graph(c, 1, vae_scale(c), vae_scale(c)));
  return graphs;
}

int vae_scale(const VaeConfig& config) { return 1 << (config.channels.size() - 1); }

Graph vae_decoder_graph(const VaeConfig& config, int64_t rows, int64_t latent_height, int64_t latent_width) {
  Graph graph;
  const Value latent = input(graph, "latent", {rows, config.latent, latent_height, latent_width});
  const Scope root{&graph, ""};
  return finish(graph, config.tiny ? tiny_vae_decode(root, config, latent) : vae_decode(root, config, latent));
}

Graph vae_encoder_graph(const VaeConfig& config, int64_t rows, int64_t height, int64_t width) {
  const int scale = vae_scale(config);
  INKSTONE_CHECK(height % scale == 0 && width % scale == 0, "an image of ", width, "x", height, " does not divide by ",
                 scale);
  INKSTONE_CHECK(config.has_encoder(), "a VAE without an encoder cannot encode an image");
  Graph graph;
  const Value image = input(graph, "image", {rows, config.in_channels, height, width});
  const Scope root{&graph, ""};
  return finish(graph, config.tiny ? tiny_vae_encode(root, config, image) : vae_encode(root, config, image));
}

}  // namespace inkstone
