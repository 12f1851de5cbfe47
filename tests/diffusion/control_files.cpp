#include "diffusion/control_files.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/controlnet.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

// The numbers that tools/fixtures/control.py (weight()) makes.
uint32_t hashed(const std::string& text) {
  uint32_t value = 0x811C9DC5;
  for (const char c : text) value = (value ^ static_cast<uint8_t>(c)) * 0x01000193;
  return value;
}

double drawn_number(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6B;
  x = (x ^ (x >> 13)) * 0xC2B2AE35;
  x ^= x >> 16;
  return static_cast<double>(x >> 8) / (1 << 23) - 1;
}

struct Gain {
  const char* part;
  double gain;
};
constexpr Gain kGains[] = {{"to_q", 0.6},
                           {"to_k", 0.6},
                           {"ff.net.2", 0.3},
                           {"proj_out", 0.5},
                           {"controlnet_down_blocks", 0.25},
                           {"controlnet_mid_block", 0.25},
                           {"block2", 0.5}};

FileTensor weight(const std::string& net, const NamedShape& named) {
  FileTensor tensor{named.name, named.shape, {}};
  const uint32_t seed = hashed(net + "/" + named.name);
  const bool norm = named.name.find("norm") != std::string::npos;
  const int64_t size = count(named.shape);
  for (int64_t i = 0; i < size; ++i) {
    double value = drawn_number(seed + static_cast<uint32_t>(i) * 0x9E3779B9u) * std::sqrt(3.0);
    if (norm)
      value = 0.2 * value + (named.name.ends_with("weight") ? 1 : 0);
    else if (named.shape.size() > 1)
      value *= 1.2 / std::sqrt(static_cast<double>(size / named.shape[0]));
    else
      value *= 0.1;
    for (const auto& [part, gain] : kGains)
      if (named.name.find(part) != std::string::npos) value *= gain;
    tensor.values.push_back(static_cast<float>(value));
  }
  return tensor;
}

}  // namespace

const Json& control_list() {
  static const Json list = read_json(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/control.json");
  return list;
}

const Json& listed_net(const std::string& name) {
  for (const Json& net : control_list().at("nets").as_array())
    if (net.at("name").as_string() == std::string_view(name)) return net;
  fail(INKSTONE_HERE, {"control.json has no ", name});
}

ControlConfig config_of_net(const std::string& name) {
  const Json& net = listed_net(name);
  if (net.at("class").as_string() == "T2IAdapter") return t2i_config(net.at("config"), name);
  return controlnet_config(net.at("config"), name);
}

FileTensors weights_of_net(const std::string& name) {
  const ControlConfig config = config_of_net(name);
  std::vector<Graph> graphs;
  if (const auto* net = std::get_if<ControlnetConfig>(&config)) {
    graphs.push_back(hint_graph(*net, 16, 16));
    graphs.push_back(controlnet_graph(*net, {1, 4, 4}, false));
  } else {
    const T2iConfig& adapter = std::get<T2iConfig>(config);
    graphs.push_back(t2i_graph(adapter, size_multiple(adapter), size_multiple(adapter)));
  }
  FileTensors tensors;
  for (const Graph& graph : graphs)
    for (const NamedShape& one : weights_of(graph)) tensors.push_back(weight(name, one));
  return tensors;
}

fs::path write_net(const fs::path& folder, const std::string& name) {
  JsonObject config = listed_net(name).at("config").as_object();
  config["_class_name"] = listed_net(name).at("class");
  write_text(folder / name / "config.json", json_text(config));
  write_tensors(folder / name / "diffusion_pytorch_model.safetensors", weights_of_net(name));
  return folder / name;
}

}  // namespace inkstone
