#include "models/tiny_vae.h"

namespace inkstone {
namespace {

// Layers are numbered in the order they run, activations and doublings among them.
class Layers {
 public:
  Layers(Scope list, const VaeConfig& config, Value x) : list_(std::move(list)), config_(config), x_(x) {}

  Layers& conv(int64_t out, int stride = 1, bool bias = true) {
    x_ = inkstone::conv(next(), x_, out, 3, stride, bias);
    return *this;
  }
  Layers& blocks(int count) {
    for (int i = 0; i < count; ++i) block(next() / "conv");
    return *this;
  }
  Layers& activate() {
    next();
    x_ = inkstone::activate(x_, config_.activation);
    return *this;
  }
  Layers& double_size() {
    next();
    x_ = upsample2x(x_);
    return *this;
  }
  Value result() const { return x_; }

 private:
  Scope next() { return list_ / index_++; }

  void block(const Scope& at) {
    const int64_t width = x_.dim(1);
    Value h = inkstone::activate(inkstone::conv(at / 0, x_, width, 3), config_.activation);
    h = inkstone::activate(inkstone::conv(at / 2, h, width, 3), config_.activation);
    x_ = inkstone::activate(x_ + inkstone::conv(at / 4, h, width, 3), Activation::kRelu);
  }

  Scope list_;
  const VaeConfig& config_;
  Value x_;
  int index_ = 0;
};

// x * factor + shift
Value scaled(Value x, float factor, float shift) {
  Graph& graph = *x.graph;
  return x * constant(graph, {factor}, {1, 1, 1, 1}) + constant(graph, {shift}, {1, 1, 1, 1});
}

}  // namespace

Value tiny_vae_encode(Scope root, const VaeConfig& c, Value image) {
  Layers layers(root / "encoder" / "layers", c, scaled(image, 0.5f, 0.5f));
  const int width = c.channels.front();
  layers.conv(width).blocks(c.tiny->encoder.front());
  for (size_t level = 1; level < c.channels.size(); ++level)
    layers.conv(width, 2, /*bias=*/false).blocks(c.tiny->encoder[level]);
  return layers.conv(c.latent).result();
}

Value tiny_vae_decode(Scope root, const VaeConfig& c, Value latent) {
  Layers layers(root / "decoder" / "layers", c, latent);
  const int width = c.channels.front();
  layers.conv(width).activate();
  for (size_t level = 0; level + 1 < c.channels.size(); ++level)
    layers.blocks(c.tiny->decoder[level]).double_size().conv(width, 1, /*bias=*/false);
  return scaled(layers.blocks(c.tiny->decoder.back()).conv(c.out_channels).result(), 2, -1);
}

}  // namespace inkstone
