// ESRGAN's generator, RRDBNet, as Real-ESRGAN has it: dense blocks of convolutions at the image's
// size, then doublings. X. Wang et al., "ESRGAN", 2018 (arXiv:1809.00219), and "Real-ESRGAN", 2021
// (arXiv:2107.10833).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "models/layers.h"
#include "models/shape_config.h"

namespace inkstone {

struct EsrganConfig {
  int channels = 64, growth = 32, blocks = 23;
  int doublings = 2;  // of height and width, at the end
  // k x k pixels of the image become the channels of one at the beginning.
  int unshuffle = 1;

  int in_channels() const { return 3 * unshuffle * unshuffle; }
  int factor() const { return (1 << doublings) / unshuffle; }  // by which an image becomes larger
};

// A published file's names: Real-ESRGAN's, which our graphs have too, BSRGAN's, or the first
// ESRGAN's. The names begin with `prefix` where a dict was flattened into the file.
struct EsrganNaming {
  std::string prefix;
  int table = 0;
};
// Nothing if the tensors are of another network.
std::optional<EsrganNaming> find_esrgan(const ShapeOf& shape_of);
// Throws Error naming `source` and the tensor that is missing, has an impossible shape, or belongs
// to a variant that is not run. Only the tensors that it reads the sizes from are checked.
EsrganConfig esrgan_config_of(const ShapeOf& shape_of, const EsrganNaming& naming, const std::string& source);
// What the file calls each layer: "body.0.rdb1.conv1" -> "model.1.sub.0.RDB1.conv1.0".
std::map<std::string, std::string> esrgan_layers(const EsrganConfig& config, const EsrganNaming& naming);

// The network in parts that run one after the other, so that little has to be in memory at a time.
// Sizes are those of `image`, whose pixels are unshuffled: [1, in_channels, h, w], values 0 to 1.
// The maps between the parts are [1, channels, h, w] of `type`.
// "image" -> map
Graph esrgan_first_graph(const EsrganConfig& config, int64_t height, int64_t width, DType type);
// "map" -> map: one of config.blocks residual-in-residual dense blocks
Graph esrgan_block_graph(const EsrganConfig& config, int block, int64_t height, int64_t width, DType type);
// "map", "image" -> [1, 3, h << doublings, w << doublings], values about 0 to 1. It computes the
// first part's map anew, which costs less than keeping it.
Graph esrgan_last_graph(const EsrganConfig& config, int64_t height, int64_t width, DType type);
// All of it: "image" -> image.
Graph esrgan_graph(const EsrganConfig& config, int64_t height, int64_t width);

}  // namespace inkstone
