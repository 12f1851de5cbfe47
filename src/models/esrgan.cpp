#include "models/esrgan.h"

#include <vector>

#include "base/error.h"

namespace inkstone {
namespace {

constexpr int kDenseBlocks = 3, kConvolutions = 5;  // of a block; of a dense block
constexpr int kMostBlocks = 128, kMostDoublings = 3;
constexpr int64_t kMostChannels = 4096;
constexpr float kResidual = 0.2f;

// Where a name has #, a number stands.
struct Names {
  const char *first, *dense, *body, *up, *high, *last;
  int up_step;  // of the doublings' numbers
};
constexpr Names kNames[] = {
    {"conv_first", "body.#.rdb#.conv#", "conv_body", "conv_up#", "conv_hr", "conv_last", 1},
    {"conv_first", "RRDB_trunk.#.RDB#.conv#", "trunk_conv", "upconv#", "HRconv", "conv_last", 1},
    // a torch.nn.Sequential, whose activations and doublings have numbers, too
    {"model.0", "model.1.sub.#.RDB#.conv#.0", "model.1.sub.#", "model.#", "model.#", "model.#", 3}};
constexpr const char* kPrefixes[] = {"", "params_ema.", "params.", "module.", "netG."};

std::string filled(const std::string& pattern, std::initializer_list<int> numbers) {
  std::string name;
  const int* number = numbers.begin();
  for (const char c : pattern) name += c == '#' ? std::to_string(*number++) : std::string(1, c);
  return name;
}

std::string dense_name(const EsrganNaming& naming, int block, int dense, int convolution) {
  return naming.prefix + filled(kNames[naming.table].dense, {block, dense, convolution});
}
std::string up_name(const EsrganNaming& naming, int doubling) {
  const Names& names = kNames[naming.table];
  return naming.prefix + filled(names.up, {names.up_step * doubling});
}

int size_of_axis(const ShapeOf& shape_of, const std::string& name, size_t axis, const std::string& source) {
  const Shape* shape = shape_of(name);
  INKSTONE_CHECK(shape, source, ": the tensor ", name, " is missing");
  INKSTONE_CHECK(axis < shape->size() && (*shape)[axis] >= 1 && (*shape)[axis] <= kMostChannels, source,
                 ": the tensor ", name, " is ", to_string(*shape), ": impossible in an upscaler");
  return static_cast<int>((*shape)[axis]);
}

Value leaky(Value x) { return activate(x, Activation::kLeakyRelu); }
Value scaled(Value x) { return x * constant(*x.graph, {kResidual}, {1, 1, 1, 1}); }

Value dense_block(Scope s, const EsrganConfig& c, Value x) {
  std::vector<Value> maps{x};
  Value joined = x;
  for (int i = 1; i < kConvolutions; ++i) {
    maps.push_back(leaky(conv(s / ("conv" + std::to_string(i)), joined, c.growth, 3)));
    joined = s.graph->add(op::Concat{1}, maps);
  }
  return x + scaled(conv(s / ("conv" + std::to_string(kConvolutions)), joined, c.channels, 3));
}

Value block_of(Scope s, const EsrganConfig& c, Value x) {
  Value y = x;
  for (int i = 1; i <= kDenseBlocks; ++i) y = dense_block(s / ("rdb" + std::to_string(i)), c, y);
  return x + scaled(y);
}

Value first_of(Scope s, const EsrganConfig& c, Value image) { return conv(s / "conv_first", image, c.channels, 3); }

Value last_of(Scope s, const EsrganConfig& c, Value x, Value first) {
  x = first + conv(s / "conv_body", x, c.channels, 3);
  for (int i = 1; i <= c.doublings; ++i)
    x = leaky(conv(s / ("conv_up" + std::to_string(i)), upsample2x(x), c.channels, 3));
  return conv(s / "conv_last", leaky(conv(s / "conv_hr", x, c.channels, 3)), 3, 3);
}

Value image_input(Graph& g, const EsrganConfig& c, int64_t height, int64_t width) {
  return input(g, "image", {1, c.in_channels(), height, width});
}
Value map_input(Graph& g, const EsrganConfig& c, int64_t height, int64_t width, DType type) {
  return cast(input(g, "map", {1, c.channels, height, width}, type), DType::kF32);
}

}  // namespace

std::optional<EsrganNaming> find_esrgan(const ShapeOf& shape_of) {
  for (const char* prefix : kPrefixes)
    for (int table = 0; table < static_cast<int>(std::size(kNames)); ++table) {
      EsrganNaming naming{prefix, table};
      if (shape_of(prefix + std::string(kNames[table].first) + ".weight") &&
          shape_of(dense_name(naming, 0, 1, 1) + ".weight"))
        return naming;
    }
  return {};
}

EsrganConfig esrgan_config_of(const ShapeOf& shape_of, const EsrganNaming& naming, const std::string& source) {
  const std::string first = naming.prefix + kNames[naming.table].first + ".weight";
  EsrganConfig c;
  c.channels = size_of_axis(shape_of, first, 0, source);
  const int in = size_of_axis(shape_of, first, 1, source);
  for (c.unshuffle = 1; c.unshuffle < 4 && c.in_channels() != in;) c.unshuffle *= 2;
  INKSTONE_CHECK(c.in_channels() == in, source, ": an upscaler that reads ", in,
                 " channels; those that read RGB images have 3, 12 or 48");
  c.growth = size_of_axis(shape_of, dense_name(naming, 0, 1, 1) + ".weight", 0, source);
  for (c.blocks = 0; shape_of(dense_name(naming, c.blocks, 1, 1) + ".weight"); ++c.blocks)
    INKSTONE_CHECK(c.blocks < kMostBlocks, source, ": an upscaler of more than ", kMostBlocks, " blocks");
  for (c.doublings = 0; shape_of(up_name(naming, c.doublings + 1) + ".weight"); ++c.doublings)
    INKSTONE_CHECK(c.doublings < kMostDoublings, source, ": an upscaler of more than ", kMostDoublings, " doublings");
  INKSTONE_CHECK(c.factor() >= 1, source, ": an upscaler that makes images smaller");
  std::string extra = dense_name(naming, 0, 1, 1);
  extra.replace(extra.rfind("conv1"), 5, "conv1x1");
  for (const char* end : {".weight", ".0.weight"})
    INKSTONE_CHECK(!shape_of(extra + end), source, ": an ESRGAN+ (it has ", extra, end, "), which is not supported");
  return c;
}

std::map<std::string, std::string> esrgan_layers(const EsrganConfig& config, const EsrganNaming& naming) {
  const Names& own = kNames[0];
  const Names& stored = kNames[naming.table];
  const int step = stored.up_step, after = step * config.doublings;
  std::map<std::string, std::string> layers{{own.first, naming.prefix + stored.first},
                                            {own.body, naming.prefix + filled(stored.body, {config.blocks})},
                                            {own.high, naming.prefix + filled(stored.high, {after + 2})},
                                            {own.last, naming.prefix + filled(stored.last, {after + 4})}};
  for (int i = 1; i <= config.doublings; ++i) layers[filled(own.up, {i})] = up_name(naming, i);
  for (int block = 0; block < config.blocks; ++block)
    for (int dense = 1; dense <= kDenseBlocks; ++dense)
      for (int i = 1; i <= kConvolutions; ++i)
        layers[filled(own.dense, {block, dense, i})] = dense_name(naming, block, dense, i);
  return layers;
}

Graph esrgan_first_graph(const EsrganConfig& c, int64_t height, int64_t width, DType type) {
  Graph graph;
  return finish(graph, cast(first_of({&graph, ""}, c, image_input(graph, c, height, width)), type));
}

Graph esrgan_block_graph(const EsrganConfig& c, int block, int64_t height, int64_t width, DType type) {
  Graph graph;
  const Value x = map_input(graph, c, height, width, type);
  return finish(graph, cast(block_of(Scope{&graph, ""} / "body" / block, c, x), type));
}

Graph esrgan_last_graph(const EsrganConfig& c, int64_t height, int64_t width, DType type) {
  Graph graph;
  const Scope s{&graph, ""};
  const Value x = map_input(graph, c, height, width, type), image = image_input(graph, c, height, width);
  return finish(graph, last_of(s, c, x, first_of(s, c, image)));
}

Graph esrgan_graph(const EsrganConfig& c, int64_t height, int64_t width) {
  Graph graph;
  const Scope s{&graph, ""};
  const Value first = first_of(s, c, image_input(graph, c, height, width));
  Value x = first;
  for (int block = 0; block < c.blocks; ++block) x = block_of(s / "body" / block, c, x);
  return finish(graph, last_of(s, c, x, first));
}

}  // namespace inkstone
