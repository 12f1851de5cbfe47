#include "models/controlnet.h"

#include "base/error.h"
#include "models/unet_layers.h"

namespace inkstone {
namespace {

// [n, c, h, w] times a number for each row: tokens, scale [n, 1, 1].
Value scaled(Value tokens, Value scales, int index) {
  const int64_t rows = tokens.dim(0);
  return tokens * reshape(slice(scales, 1, index, index + 1), {rows, 1, 1});
}

// The mean over a map of each channel, everywhere: [n, c, h, w] -> the same.
Value pooled(Value x) {
  const int64_t rows = x.dim(0), channels = x.dim(1);
  const Value stats = x.graph->add(op::GroupStats{static_cast<int>(channels), 1}, {x});
  const Value mean = reshape(slice(stats, 2, 0, 1), {rows, channels, 1, 1});
  return x * constant(*x.graph, {0}, {1, 1, 1, 1}) + mean;
}

// Of blocks of 2x2 pixels, of an image of even sides: the mean of two rows, then of two columns.
Value average_pool(Value x) {
  const int64_t n = x.dim(0), c = x.dim(1), h = x.dim(2), w = x.dim(3);
  const auto halved = [](Value tokens) {
    const int64_t width = tokens.dim(2) / 2;
    return slice(tokens, 2, 0, width) + slice(tokens, 2, width, 2 * width);
  };
  Value tokens = halved(reshape(to_tokens(x), {n, h / 2, 2 * w * c}));
  tokens = halved(reshape(tokens, {n, h / 2 * (w / 2), 2 * c}));
  return to_image(tokens * constant(*x.graph, {0.25f}, {1, 1, 1}), h / 2, w / 2);
}

Value t2i_resnet(Scope s, Value x, int kernel) {
  const Value h = activate(conv(s / "block1", x, x.dim(1), 3), Activation::kRelu);
  return conv(s / "block2", h, x.dim(1), kernel) + x;
}

Value t2i_block(Scope s, Value x, const T2iConfig& c, size_t index) {
  const int64_t out = c.channels[index], width = c.light ? out / 4 : out;
  if (c.halves[index]) x = average_pool(x);
  if (c.light || x.dim(1) != width) x = conv(s / "in_conv", x, width, 1);
  for (int i = 0; i < c.blocks; ++i) x = t2i_resnet(s / "resnets" / i, x, c.light ? 3 : 1);
  return c.light ? conv(s / "out_conv", x, out, 1) : x;
}

}  // namespace

int residual_count(const UnetConfig& config) {
  int count = 2;  // conv_in's and the middle's
  for (const int layers : config.blocks) count += layers;
  return count + static_cast<int>(config.channels.size()) - 1;
}

int hint_scale(const ControlnetConfig& config) { return 1 << (config.hint.size() - 1); }

Graph hint_graph(const ControlnetConfig& config, int64_t height, int64_t width) {
  Graph graph;
  const Scope s{&graph, "controlnet_cond_embedding"};
  const UnetConfig& net = config.net;
  Value x = input(graph, "hint", {1, config.hint_channels, height, width});
  x = silu(conv(s / "conv_in", x, config.hint.front(), 3));
  for (size_t i = 0; i + 1 < config.hint.size(); ++i) {
    const int block = static_cast<int>(2 * i);
    x = silu(conv(s / "blocks" / block, x, config.hint[i], 3));
    x = silu(conv(s / "blocks" / (block + 1), x, config.hint[i + 1], 3, /*stride=*/2));
  }
  return finish(graph, to_tokens(conv(s / "conv_out", x, net.channels[0], 3)));
}

Graph controlnet_graph(const ControlnetConfig& config, const LatentSize& size, bool adds) {
  const UnetConfig& net = config.net;
  const int count = residual_count(net);
  Graph graph;
  const UnetInputs in = unet_inputs(graph, net, size);
  const Value hint = input(graph, "hint", {size.rows, size.height * size.width, net.channels[0]});
  const Value scales = repeat(input(graph, "scales", {size.rows, count}), size.cfg_copies);
  UnetLayers layers({&graph, ""}, net, in);
  const Value image = to_image(repeat(hint, size.cfg_copies), size.height, size.width);
  const Value last = layers.middle(layers.down(layers.conv_in() + image));
  std::vector<Value> results;
  const auto add = [&](Scope s, Value x) {
    const int index = static_cast<int>(results.size());
    Value r = conv(s, x, x.dim(1), 1);
    if (config.pooled) r = pooled(r);
    r = scaled(to_tokens(r), scales, index);
    if (adds) r = cast(input(graph, residual_name(index), r.shape(), size.passed), r.type()) + r;
    results.push_back(cast(r, size.passed));
  };
  for (const Value& skip : layers.skips())
    add(layers.scope() / "controlnet_down_blocks" / static_cast<int>(results.size()), skip);
  add(layers.scope() / "controlnet_mid_block", last);
  return finish(graph, results);
}

int64_t size_multiple(const T2iConfig& config) {
  int64_t multiple = config.scale;
  for (const bool halved : config.halves) multiple *= halved ? 2 : 1;
  return multiple;
}

Graph t2i_graph(const T2iConfig& config, int64_t height, int64_t width) {
  const int64_t multiple = size_multiple(config), scale = config.scale;
  INKSTONE_CHECK(height % multiple == 0 && width % multiple == 0, "a T2I-Adapter over ", width, "x", height,
                 " pixels, which are no multiples of ", multiple);
  Graph graph;
  const Scope s{&graph, "adapter"};
  Value x = input(graph, "hint", {1, config.hint_channels * scale * scale, height / scale, width / scale});
  if (!config.light) x = conv(s / "conv_in", x, config.channels[0], 3);
  std::vector<Value> features;
  for (size_t i = 0; i < config.channels.size(); ++i) {
    x = t2i_block(s / "body" / static_cast<int>(i), x, config, i);
    features.push_back(to_tokens(x));
  }
  return finish(graph, features);
}

}  // namespace inkstone
