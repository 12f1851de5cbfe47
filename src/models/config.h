// The differences between models, as data that is read from each component's config.json.
// Everything else is in unet.cpp, clip.cpp and vae.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "ir/op.h"

namespace inkstone {

// How many transformer blocks each layer of a level has. Few models have layers that differ.
class LayerDepths {
 public:
  LayerDepths(int all) : depths_{all} {}  // each layer; implicit, because it is the rule
  LayerDepths(std::vector<int> each);     // as many as there are layers, one at least
  int at(int layer) const;
  bool any() const;  // a layer with cross-attention
  bool operator==(const LayerDepths&) const = default;

 private:
  std::vector<int> depths_;  // one, where all are alike
};

struct UnetConfig {
  int in_channels = 4, out_channels = 4;
  int sample_height = 64, sample_width = 64;        // latent pixels, of the images it was trained on
  std::vector<int> channels{320, 640, 1280, 1280};  // of each level
  // resnets of each down level; up has one more
  std::vector<int> blocks{2, 2, 2, 2};
  // transformer blocks of each level; 0: no cross-attention
  std::vector<LayerDepths> depth{1, 1, 1, 0};
  // of the up path, deepest level first
  std::vector<LayerDepths> up_depth{0, 1, 1, 1};
  bool middle = true;  // false: no middle block
  int mid_depth = 1;   // transformer blocks in the middle; 0: it is a resnet alone
  std::vector<int> heads{8, 8, 8, 8};
  int context = 768;  // width of the text
  int added = 0;      // SDXL: width of the added conditioning
  // SDXL: channels of each of its six size embeddings
  int added_time = 0;
  // LCM: width of the guidance embedding (time_cond_proj_dim)
  int guidance_channels = 0;
  bool linear_projection = false;
  int groups = 32;
  float epsilon = 1e-5f;
  bool flip_sin_to_cos = true;
  float freq_shift = 0;
  Activation activation = Activation::kSilu;

  bool operator==(const UnetConfig&) const = default;
};

// A copy of a U-Net's first half that reads a picture, the hint, beside the latent (controlnet.h).
struct ControlnetConfig {
  UnetConfig net;  // of its first half; nothing of an up path
  int hint_channels = 3;
  // Of the layers that make the hint as small as the latent; each but the first halves it.
  std::vector<int> hint{16, 32, 96, 256};
  bool bgr = false;     // the hint's channels are blue, green, red
  bool pooled = false;  // each residual is its mean over the map (global_pool_conditions)

  bool operator==(const ControlnetConfig&) const = default;
};

// A small network over a picture, run once (controlnet.h).
struct T2iConfig {
  int hint_channels = 3;
  int scale = 8;                                      // sides of the blocks of pixels that become channels
  std::vector<int> channels{320, 640, 1280, 1280};    // of each feature
  std::vector<bool> halves{false, true, true, true};  // whether its map is half of the one before
  int blocks = 2;                                     // resnets of each
  bool light = false;  // narrower resnets, between two projections, and no first convolution

  bool operator==(const T2iConfig&) const = default;
};

struct ClipConfig {
  int width = 768, inner = 3072, layers = 12, heads = 12, vocabulary = 49408, tokens = 77;
  // The text is what the last layers have not seen yet: so many of them.
  int layers_after_text = 0;
  bool norm_of_text = true;  // the final norm is applied to the text
  // Width of the pooled text: what the last layer says of the whole prompt, projected; 0: none.
  int projection = 0;
  // Where the pooled text is taken: at the first of the largest ids, or at the first end token. Both are the same but for
  // ids beyond the vocabulary's, which are those of textual inversions.
  bool end_is_largest = true;
  Activation activation = Activation::kQuickGelu;
  float epsilon = 1e-5f;

  bool operator==(const ClipConfig&) const = default;
};

// How many blocks each level of a tiny autoencoder has, in the order they run. An empty list: the file has
// no such half.
struct TinyVaeBlocks {
  std::vector<int> encoder{1, 3, 3, 3}, decoder{3, 3, 3, 1};
  bool operator==(const TinyVaeBlocks&) const = default;
};

struct VaeConfig {
  int in_channels = 3, out_channels = 3, latent = 4;
  std::vector<int> channels{128, 256, 512, 512};
  int blocks = 2;
  int groups = 32;
  float scaling_factor = 0.18215f, shift_factor = 0;
  bool quant_conv = true, post_quant_conv = true, mid_attention = true;
  // SDXL's overflows fp16, unless it was trained not to.
  bool force_upcast = true;
  Activation activation = Activation::kSilu;
  // Set: a tiny autoencoder (tiny_vae.h). Its levels have equal channels; blocks, groups and what is said of
  // convolutions and attention beside them mean nothing.
  std::optional<TinyVaeBlocks> tiny{};

  // What a tiny decoder takes is kept between -bound and bound: bound * tanh(x / bound); 0: it is not.
  float latent_bound() const { return tiny ? 3.0f : 0.0f; }
  // The encoder gives mean and log variance, of which a latent is drawn; a tiny one gives the latent itself.
  bool posterior() const { return !tiny; }
  bool has_encoder() const { return !tiny || !tiny->encoder.empty(); }
  bool has_decoder() const { return !tiny || !tiny->decoder.empty(); }
  bool operator==(const VaeConfig&) const = default;
};
// Of TAESD, whose latents are the U-Net's own.
VaeConfig taesd_config();

// From a config.json; `source` names it in errors. Throws Error naming key and value if a value
// that matters is not supported.
UnetConfig unet_config(const Json& json, const std::string& source);
ControlnetConfig controlnet_config(const Json& json, const std::string& source);
T2iConfig t2i_config(const Json& json, const std::string& source);
// With the projection that the file speaks of, whether or not the model has one.
ClipConfig clip_config(const Json& json, const std::string& source);
VaeConfig vae_config(const Json& json, const std::string& source);  // also of an AutoencoderTiny

}  // namespace inkstone
