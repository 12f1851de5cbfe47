//   latent -> conv_in -> down levels -> mid -> up levels -> conv_out -> noise
//                            \______ skips, last in first out ______/
#include "models/unet.h"

#include <algorithm>

#include "base/error.h"
#include "models/unet_layers.h"

namespace inkstone {
namespace {

class Unet {
 public:
  Unet(Scope s, const UnetConfig& c, const UnetInputs& in) : layers_(std::move(s), c, in), c_(c), in_(in) {}

  UnetOutputs outputs() {
    Value x = layers_.middle(layers_.down(layers_.conv_in()));
    if (in_.residuals) x = add_residuals(x);
    const Scope& s = layers_.scope();
    for (int i = 0; i < layers_.levels(); ++i) x = up(s / "up_blocks" / i, x, i);
    x = layers_.activated(group_norm(s / "conv_norm_out", x, c_.groups, c_.epsilon));
    return {conv(s / "conv_out", x, c_.out_channels, 3), cached_feature_};
  }

 private:
  Value up(Scope s, Value x, int i) {
    const int level = layers_.levels() - 1 - i;
    for (int j = 0; j <= c_.blocks[level]; ++j) {
      if (level == 0 && j == std::max(0, c_.blocks[0] + 1 - kShallowLayers)) x = cached_feature(x);
      x = layers_.resnet(s / "resnets" / j, concat(x, layers_.take_skip(), 1), c_.channels[level]);
      if (const int depth = c_.up_depth[i].at(j))
        x = layers_.transformer(s / "attentions" / j, x, c_.heads[level], depth);
    }
    if (level == 0) return x;
    const Value& skip = layers_.skips().back();  // of the next level, which may have an odd size
    return conv(s / "upsamplers" / 0 / "conv", upsample2x(x, skip.dim(2), skip.dim(3)), c_.channels[level], 3);
  }

  Value with_residual(Value x, int index) {
    const Shape tokens{x.dim(0), x.dim(2) * x.dim(3), x.dim(1)};
    const Value residual = input(*x.graph, residual_name(index), tokens, *in_.residuals);
    return x + cast(to_image(residual, x.dim(2), x.dim(3)), x.type());
  }

  // To the skips, and to the middle.
  Value add_residuals(Value middle) {
    int index = 0;
    for (Value& skip : layers_.skips()) skip = with_residual(skip, index++);
    return with_residual(middle, index);
  }

  // The input of the up path's last layers: the input "cached_feature" if there is one.
  Value cached_feature(Value x) {
    if (in_.cached_feature) x = cast(input(*x.graph, "cached_feature", x.shape(), *in_.cached_feature), x.type());
    return cached_feature_ = x;
  }

  UnetLayers layers_;
  const UnetConfig& c_;
  UnetInputs in_;
  Value cached_feature_;
};

// The features that a T2I-Adapter gives: of each level's map, as it is where it joins.
std::vector<Value> feature_inputs(Graph& graph, const UnetConfig& config, const LatentSize& size) {
  std::vector<Value> features;
  int64_t h = size.height, w = size.width;
  for (int i = 0; i < size.features; ++i) {
    const size_t level = std::min(static_cast<size_t>(i), config.channels.size() - 1);
    const bool middle = static_cast<size_t>(i) == config.channels.size(), last = level + 1 == config.channels.size();
    const bool halved_before = !middle && !last && !config.depth[level].any();
    const auto halve = [&] { h = (h + 1) / 2, w = (w + 1) / 2; };
    if (halved_before) halve();
    const Value tokens = input(graph, feature_name(i), {size.rows, h * w, config.channels[level]});
    features.push_back(to_image(repeat(tokens, size.cfg_copies), h, w));
    if (!middle && !last && !halved_before) halve();
  }
  return features;
}

}  // namespace

std::string residual_name(int index) { return "residual_" + std::to_string(index); }
std::string feature_name(int index) { return "feature_" + std::to_string(index); }

UnetOutputs unet(Scope s, const UnetConfig& config, const UnetInputs& in) {
  return Unet(std::move(s), config, in).outputs();
}

UnetInputs unet_inputs(Graph& graph, const UnetConfig& config, const LatentSize& size) {
  INKSTONE_CHECK(size.height > 0 && size.width > 0, "a latent of ", size.width, "x", size.height);
  const int64_t all = size.rows * size.cfg_copies;
  const Value latent = input(graph, "latent", {size.rows, config.in_channels, size.height, size.width});
  const Value timestep = input(graph, "timestep", {size.rows});
  UnetInputs in{repeat(latent, size.cfg_copies), repeat(timestep, size.cfg_copies),
                input(graph, "text", {all, size.tokens, config.context})};
  if (config.added) in.added = input(graph, "added", {all, config.added});
  if (config.guidance_channels)
    in.guidance = repeat(input(graph, "guidance", {size.rows, config.guidance_channels}), size.cfg_copies);
  return in;
}

Graph unet_graph(const UnetConfig& config, LatentSize size) {
  Graph graph;
  UnetInputs in = unet_inputs(graph, config, size);
  if (size.part == UnetPart::kShallow) in.cached_feature = size.passed;  // finish() drops what nothing reads
  if (size.residuals) in.residuals = size.passed;
  in.features = feature_inputs(graph, config, size);
  const auto [output, cached_feature] = unet({&graph, ""}, config, in);
  if (size.part != UnetPart::kFullKeepFeature) return finish(graph, output);
  const Value results[] = {output, cast(cached_feature, size.passed)};
  return finish(graph, results);
}

}  // namespace inkstone
