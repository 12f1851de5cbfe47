#include "models/unet_layers.h"

#include "base/error.h"

namespace inkstone {
namespace {

constexpr float kTransformerEpsilon = 1e-6f;

}  // namespace

UnetLayers::UnetLayers(Scope s, const UnetConfig& config, const UnetInputs& in)
    : s_(std::move(s)), c_(config), in_(in) {
  time_ = activated(time());
}

Value UnetLayers::take_skip() {
  const Value last = skips_.back();
  skips_.pop_back();
  return last;
}

Value UnetLayers::time_mlp(Scope s, Value x) {
  const int64_t width = 4 * c_.channels[0];
  return linear(s / "linear_2", activated(linear(s / "linear_1", x, width)), width);
}

Value UnetLayers::time() {
  Value x = time_embedding(in_.timestep, {c_.channels[0], c_.flip_sin_to_cos, c_.freq_shift});
  const Scope s = s_ / "time_embedding";
  if (c_.guidance_channels) x = x + linear(s / "cond_proj", in_.guidance, c_.channels[0], /*bias=*/false);
  x = time_mlp(s, x);
  return c_.added ? x + time_mlp(s_ / "add_embedding", in_.added) : x;
}

Value UnetLayers::resnet(Scope s, Value x, int64_t out) {
  Value h = activated(group_norm(s / "norm1", x, c_.groups, c_.epsilon));
  h = conv(s / "conv1", h, out, 3);
  const Value t = linear(s / "time_emb_proj", time_, out);
  h = h + reshape(t, {t.dim(0), out, 1, 1});
  h = activated(group_norm(s / "norm2", h, c_.groups, c_.epsilon));
  h = conv(s / "conv2", h, out, 3);
  return x.dim(1) == out ? x + h : conv(s / "conv_shortcut", x, out, 1) + h;
}

Value UnetLayers::attend(Scope s, Value x, Value context, int heads) {
  const int64_t width = x.dim(-1);
  const Value q = linear(s / "to_q", x, width, /*bias=*/false);
  const Value k = linear(s / "to_k", context, width, /*bias=*/false);
  const Value v = linear(s / "to_v", context, width, /*bias=*/false);
  return linear(s / "to_out" / 0, attention(q, k, v, heads), width);
}

Value UnetLayers::feed_forward(Scope s, Value x) {
  const int64_t width = x.dim(-1);
  const Value both = linear(s / "net" / 0 / "proj", x, 8 * width);
  const Value gate = activate(slice(both, 2, 4 * width, 8 * width), Activation::kGelu);
  return linear(s / "net" / 2, slice(both, 2, 0, 4 * width) * gate, width);
}

Value UnetLayers::transformer_block(Scope s, Value x, int heads) {
  const Value n = layer_norm(s / "norm1", x);
  x = x + attend(s / "attn1", n, n, heads);
  x = x + attend(s / "attn2", layer_norm(s / "norm2", x), in_.text, heads);
  return x + feed_forward(s / "ff", layer_norm(s / "norm3", x));
}

Value UnetLayers::transformer(Scope s, Value image, int heads, int depth) {
  const int64_t c = image.dim(1), h = image.dim(2), w = image.dim(3);
  Value x = group_norm(s / "norm", image, c_.groups, kTransformerEpsilon);
  x = c_.linear_projection ? linear(s / "proj_in", to_tokens(x), c) : to_tokens(conv(s / "proj_in", x, c, 1));
  for (int i = 0; i < depth; ++i) x = transformer_block(s / "transformer_blocks" / i, x, heads);
  x = c_.linear_projection ? to_image(linear(s / "proj_out", x, c), h, w)
                           : conv(s / "proj_out", to_image(x, h, w), c, 1);
  return image + x;
}

Value UnetLayers::conv_in() { return conv(s_ / "conv_in", in_.latent, c_.channels[0], 3); }

Value UnetLayers::down(Value x) {
  skips_ = {x};
  for (int level = 0; level < levels(); ++level) x = level_down(s_ / "down_blocks" / level, x, level);
  return x;
}

Value UnetLayers::with_feature(Value x) {
  if (features_taken_ == in_.features.size()) return x;
  return x + in_.features[features_taken_++];
}

// A feature joins a level with cross-attention before its map is halved, another level after that.
Value UnetLayers::level_down(Scope s, Value x, int level) {
  const bool attends = c_.depth[level].any();
  for (int i = 0; i < c_.blocks[level]; ++i) {
    x = resnet(s / "resnets" / i, x, c_.channels[level]);
    if (const int depth = c_.depth[level].at(i)) x = transformer(s / "attentions" / i, x, c_.heads[level], depth);
    if (attends && i + 1 == c_.blocks[level]) x = with_feature(x);
    skips_.push_back(x);
  }
  if (level + 1 < levels()) {
    x = conv(s / "downsamplers" / 0 / "conv", x, c_.channels[level], 3, /*stride=*/2);
    skips_.push_back(x);
  }
  if (!attends) skips_.back() = x = with_feature(x);
  return x;
}

Value UnetLayers::middle(Value x) {
  if (!c_.middle) return x;
  const Scope s = s_ / "mid_block";
  x = resnet(s / "resnets" / 0, x, c_.channels.back());
  if (c_.mid_depth) {
    x = transformer(s / "attentions" / 0, x, c_.heads.back(), c_.mid_depth);
    x = resnet(s / "resnets" / 1, x, c_.channels.back());
  }
  return with_feature(x);
}

}  // namespace inkstone
