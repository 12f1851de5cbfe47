//   latent -> conv_in -> down levels -> mid -> up levels -> conv_out -> noise
//                            \______ skips, last in first out ______/
#include "models/unet.h"

#include <algorithm>

#include "base/error.h"

namespace inkstone {
namespace {

constexpr float kTransformerEpsilon = 1e-6f;

class Unet {
 public:
  Unet(Scope s, const UnetConfig& c, const UnetInputs& in) : s_(std::move(s)), c_(c), in_(in) {}

  UnetOutputs outputs() {
    time_ = activate(time(), c_.activation);
    Value x = conv(s_ / "conv_in", in_.latent, c_.channels[0], 3);
    skips_ = {x};
    for (int level = 0; level < levels(); ++level) x = down(s_ / "down_blocks" / level, x, level);
    if (c_.middle) x = middle(s_ / "mid_block", x);
    for (int i = 0; i < levels(); ++i) x = up(s_ / "up_blocks" / i, x, i);
    x = activate(group_norm(s_ / "conv_norm_out", x, c_.groups, c_.epsilon), c_.activation);
    return {conv(s_ / "conv_out", x, c_.out_channels, 3), cached_feature_};
  }

 private:
  int levels() const { return static_cast<int>(c_.channels.size()); }

  Value time_mlp(Scope s, Value x) {
    const int64_t width = 4 * c_.channels[0];
    return linear(s / "linear_2", activate(linear(s / "linear_1", x, width), c_.activation), width);
  }

  Value time() {
    Value x = time_embedding(in_.timestep, {c_.channels[0], c_.flip_sin_to_cos, c_.freq_shift});
    const Scope s = s_ / "time_embedding";
    if (c_.guidance_channels) x = x + linear(s / "cond_proj", in_.guidance, c_.channels[0], /*bias=*/false);
    x = time_mlp(s, x);
    return c_.added ? x + time_mlp(s_ / "add_embedding", in_.added) : x;
  }

  Value resnet(Scope s, Value x, int64_t out) {
    Value h = activate(group_norm(s / "norm1", x, c_.groups, c_.epsilon), c_.activation);
    h = conv(s / "conv1", h, out, 3);
    const Value t = linear(s / "time_emb_proj", time_, out);
    h = h + reshape(t, {t.dim(0), out, 1, 1});
    h = activate(group_norm(s / "norm2", h, c_.groups, c_.epsilon), c_.activation);
    h = conv(s / "conv2", h, out, 3);
    return x.dim(1) == out ? x + h : conv(s / "conv_shortcut", x, out, 1) + h;
  }

  Value attend(Scope s, Value x, Value context, int heads) {
    const int64_t width = x.dim(-1);
    const Value q = linear(s / "to_q", x, width, /*bias=*/false);
    const Value k = linear(s / "to_k", context, width, /*bias=*/false);
    const Value v = linear(s / "to_v", context, width, /*bias=*/false);
    return linear(s / "to_out" / 0, attention(q, k, v, heads), width);
  }

  Value feed_forward(Scope s, Value x) {
    const int64_t width = x.dim(-1);
    const Value both = linear(s / "net" / 0 / "proj", x, 8 * width);
    const Value gate = activate(slice(both, 2, 4 * width, 8 * width), Activation::kGelu);
    return linear(s / "net" / 2, slice(both, 2, 0, 4 * width) * gate, width);
  }

  Value transformer_block(Scope s, Value x, int heads) {
    const Value n = layer_norm(s / "norm1", x);
    x = x + attend(s / "attn1", n, n, heads);
    x = x + attend(s / "attn2", layer_norm(s / "norm2", x), in_.text, heads);
    return x + feed_forward(s / "ff", layer_norm(s / "norm3", x));
  }

  Value transformer(Scope s, Value image, int heads, int depth) {
    const int64_t c = image.dim(1), h = image.dim(2), w = image.dim(3);
    Value x = group_norm(s / "norm", image, c_.groups, kTransformerEpsilon);
    x = c_.linear_projection ? linear(s / "proj_in", to_tokens(x), c) : to_tokens(conv(s / "proj_in", x, c, 1));
    for (int i = 0; i < depth; ++i) x = transformer_block(s / "transformer_blocks" / i, x, heads);
    x = c_.linear_projection ? to_image(linear(s / "proj_out", x, c), h, w)
                             : conv(s / "proj_out", to_image(x, h, w), c, 1);
    return image + x;
  }

  Value down(Scope s, Value x, int level) {
    for (int i = 0; i < c_.blocks[level]; ++i) {
      x = resnet(s / "resnets" / i, x, c_.channels[level]);
      if (const int depth = c_.depth[level].at(i)) x = transformer(s / "attentions" / i, x, c_.heads[level], depth);
      skips_.push_back(x);
    }
    if (level + 1 < levels()) {
      x = conv(s / "downsamplers" / 0 / "conv", x, c_.channels[level], 3, /*stride=*/2);
      skips_.push_back(x);
    }
    return x;
  }

  Value middle(Scope s, Value x) {
    x = resnet(s / "resnets" / 0, x, c_.channels.back());
    if (!c_.mid_depth) return x;
    x = transformer(s / "attentions" / 0, x, c_.heads.back(), c_.mid_depth);
    return resnet(s / "resnets" / 1, x, c_.channels.back());
  }

  Value up(Scope s, Value x, int i) {
    const int level = levels() - 1 - i;
    for (int j = 0; j <= c_.blocks[level]; ++j) {
      if (level == 0 && j == std::max(0, c_.blocks[0] + 1 - kShallowLayers)) x = cached_feature(x);
      x = concat(x, skips_.back(), 1);
      skips_.pop_back();
      x = resnet(s / "resnets" / j, x, c_.channels[level]);
      if (const int depth = c_.up_depth[i].at(j)) x = transformer(s / "attentions" / j, x, c_.heads[level], depth);
    }
    if (level == 0) return x;
    const Value& skip = skips_.back();  // of the next level, which may have an odd size
    return conv(s / "upsamplers" / 0 / "conv", upsample2x(x, skip.dim(2), skip.dim(3)), c_.channels[level], 3);
  }

  // The input of the up path's last layers: the input "cached_feature" if there is one.
  Value cached_feature(Value x) {
    if (in_.cached_feature) x = cast(input(*s_.graph, "cached_feature", x.shape(), *in_.cached_feature), x.type());
    return cached_feature_ = x;
  }

  Scope s_;
  const UnetConfig& c_;
  UnetInputs in_;
  Value cached_feature_;
  // after its activation, which each resnet applies first
  Value time_;
  std::vector<Value> skips_;
};

}  // namespace

UnetOutputs unet(Scope s, const UnetConfig& config, const UnetInputs& in) {
  return Unet(std::move(s), config, in).outputs();
}

Graph unet_graph(const UnetConfig& config, LatentSize size) {
  INKSTONE_CHECK(size.height > 0 && size.width > 0, "a latent of ", size.width, "x", size.height);
  Graph graph;
  const int64_t all = size.rows * size.cfg_copies;
  const Value latent = input(graph, "latent", {size.rows, config.in_channels, size.height, size.width});
  const Value timestep = input(graph, "timestep", {size.rows});
  UnetInputs in{repeat(latent, size.cfg_copies), repeat(timestep, size.cfg_copies),
                input(graph, "text", {all, size.tokens, config.context})};
  if (config.added) in.added = input(graph, "added", {all, config.added});
  if (config.guidance_channels)
    in.guidance = repeat(input(graph, "guidance", {size.rows, config.guidance_channels}), size.cfg_copies);
  if (size.part == UnetPart::kShallow) in.cached_feature = size.cached_feature;  // finish() drops what nothing reads
  const auto [output, cached_feature] = unet({&graph, ""}, config, in);
  if (size.part != UnetPart::kFullKeepFeature) return finish(graph, output);
  const Value results[] = {output, cast(cached_feature, size.cached_feature)};
  return finish(graph, results);
}

}  // namespace inkstone
