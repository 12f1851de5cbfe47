// What the U-Net and a ControlNet, which is a copy of its first half, are built of.
#pragma once

#include <vector>

#include "models/unet.h"

namespace inkstone {

class UnetLayers {
 public:
  UnetLayers(Scope s, const UnetConfig& config, const UnetInputs& in);

  int levels() const { return static_cast<int>(c_.channels.size()); }
  const Scope& scope() const { return s_; }
  std::vector<Value>& skips() { return skips_; }
  Value take_skip();  // the last one

  Value conv_in();
  // From conv_in's result through all levels. Afterwards skips() has conv_in's result, each layer's and what halves the map.
  Value down(Value x);
  Value middle(Value x);  // the same as it came, where the model has no middle
  Value resnet(Scope s, Value x, int64_t out);
  Value transformer(Scope s, Value image, int heads, int depth);
  Value activated(Value x) { return activate(x, c_.activation); }

 private:
  Value time();
  Value time_mlp(Scope s, Value x);
  Value attend(Scope s, Value x, Value context, int heads);
  Value feed_forward(Scope s, Value x);
  Value transformer_block(Scope s, Value x, int heads);
  Value level_down(Scope s, Value x, int level);
  Value with_feature(Value x);

  Scope s_;
  const UnetConfig& c_;
  UnetInputs in_;
  // after its activation, which each resnet applies first
  Value time_;
  std::vector<Value> skips_;
  size_t features_taken_ = 0;
};

}  // namespace inkstone
