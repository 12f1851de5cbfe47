// Input shapes and gears. The texts of gear errors are our own; ATC numbers them E10035 to E10046.
#include <algorithm>

#include "atc.h"

namespace ascend_sim {
namespace {

constexpr size_t kMinGears = 2, kMaxGears = 100;
constexpr const char* kForm = "\"input_name1:n1,c1,h1,w1;input_name2:n2,c2\"";

[[noreturn]] void bad_shape(const std::string& value, const std::string& reason) {
  atc_fail("E10002", "Value [" + value + "] for parameter [--input_shape] is invalid. Reason: " + reason +
                         " The value must be formatted as " + kForm + ".");
}

int64_t number_of(const std::string& text) {
  size_t read = 0;
  int64_t value = -2;
  try {
    value = std::stoll(text, &read);
  } catch (const std::exception&) {
    return -2;
  }
  return read == text.size() ? value : -2;
}

std::map<std::string, Shape> given_shapes(const std::string& text) {
  std::map<std::string, Shape> shapes;
  for (const std::string& part : split_text(text, ';')) {
    const size_t colon = part.rfind(':');
    if (colon == std::string::npos || colon == 0) bad_shape(text, "[" + part + "] has no name or no sizes.");
    const std::string name = part.substr(0, colon);
    if (shapes.contains(name)) bad_shape(text, "[" + name + "] is given twice.");
    Shape& dims = shapes[name];
    for (const std::string& size : split_text(part.substr(colon + 1), ',')) {
      if (size.find('~') != std::string::npos) bad_shape(text, "ranges are not simulated.");
      dims.push_back(number_of(size));
      if (dims.back() < -1 || dims.back() == 0) bad_shape(text, "[" + size + "] is no size.");
    }
  }
  return shapes;
}

void take_inputs(const AtcFlags& flags, const onnx::GraphProto& graph, OmInfo& info) {
  auto given = given_shapes(flags.value("input_shape"));
  std::set<std::string> weights;
  for (const auto& weight : graph.initializer()) weights.insert(weight.name());
  const auto halves = split_text(flags.value("input_fp16_nodes"), ';');
  for (const auto& input : graph.input()) {
    if (weights.contains(input.name())) continue;
    OmPort port{input.name(), input.type().tensor_type().elem_type(), {}};
    if (std::ranges::count(halves, port.name)) port.type = kHalf;
    bool open = !input.type().tensor_type().has_shape();
    for (const auto& d : input.type().tensor_type().shape().dim()) {
      port.dims.push_back(d.has_dim_value() && d.dim_value() > 0 ? d.dim_value() : -1);
      open = open || port.dims.back() < 0;
    }
    if (const auto shape = given.find(port.name); shape != given.end()) {
      if (input.type().tensor_type().has_shape() && shape->second.size() != port.dims.size())
        bad_shape(flags.value("input_shape"), "[" + port.name + "] has " + std::to_string(port.dims.size()) + " axes.");
      for (size_t i = 0; i < port.dims.size(); ++i)
        if (port.dims[i] > 0 && shape->second[i] != port.dims[i])
          bad_shape(flags.value("input_shape"), "axis " + std::to_string(i) + " of [" + port.name + "] is " +
                                                    std::to_string(port.dims[i]) + " in the model.");
      port.dims = shape->second;
      given.erase(shape);
    } else if (open) {
      atc_fail("E10001", "Value [] for parameter [--input_shape] is invalid. Reason: the shape of input [" + port.name +
                             "] is not known in the model and is required.");
    }
    if (!bytes_of(port.type)) atc_fail("E10001", "input [" + port.name + "]: its type is not simulated.");
    info.inputs.push_back(port);
  }
  for (const auto& [name, dims] : given)
    atc_fail("E10016", "Op name [" + name + "] specified in [--input_shape] is not found in the model.");
  for (const std::string& name : halves)
    if (!std::ranges::count(info.inputs, name, &OmPort::name))
      atc_fail("E10016", "Op name [" + name + "] specified in [--input_fp16_nodes] is not found in the model.");
}

void check_gears(const std::string& flag, const OmInfo& info, size_t open) {
  const size_t n = info.gears.size();
  if (n < kMinGears)
    atc_fail("E10035", "[--" + flag + "] has " + std::to_string(n) + " gear(s); at least 2 are needed.");
  if (n > kMaxGears)
    atc_fail("E10036", "[--" + flag + "] has " + std::to_string(n) + " gears; at most 100 are allowed.");
  for (const auto& gear : info.gears) {
    if (gear.size() != open)
      atc_fail("E10045", "[--" + flag + "]: a gear has " + std::to_string(gear.size()) +
                             " value(s), --input_shape has " + std::to_string(open) + " of -1.");
    for (const int64_t value : gear)
      if (value < 1) atc_fail("E10038", "[--" + flag + "]: a value of a gear is below 1 or no number.");
    if (std::ranges::count(info.gears, gear) > 1) atc_fail("E10039", "[--" + flag + "]: a gear is given twice.");
  }
}

void take_batches(const AtcFlags& flags, OmInfo& info) {
  info.gear_kind = GearKind::kBatch;
  for (const std::string& v : split_text(flags.value("dynamic_batch_size"), ',')) info.gears.push_back({number_of(v)});
  bool any = false;
  for (const OmPort& port : info.inputs)
    for (size_t i = 0; i < port.dims.size(); ++i) {
      if (port.dims[i] < 0 && i > 0)
        atc_fail("E10040", "[--dynamic_batch_size]: only the first axis of [" + port.name + "] can be -1.");
      any = any || port.dims[i] < 0;
    }
  if (!any) atc_fail("E10040", "[--dynamic_batch_size] needs -1 as a first axis in --input_shape.");
  check_gears("dynamic_batch_size", info, 1);
}

void take_images(const AtcFlags& flags, OmInfo& info) {
  info.gear_kind = GearKind::kImage;
  const std::string format = flags.value("input_format", "NCHW");
  if (format != "NCHW") atc_fail("E10040", "[--dynamic_image_size] needs --input_format=NCHW (NHWC is not simulated).");
  size_t open = 0;
  for (const OmPort& port : info.inputs)
    for (size_t i = 0; i < port.dims.size(); ++i) {
      if (port.dims[i] > 0) continue;
      if (i < 2) atc_fail("E10040", "[--dynamic_image_size]: only H and W of [" + port.name + "] can be -1.");
      ++open;
    }
  if (open != 2) atc_fail("E10040", "[--dynamic_image_size] needs -1 for H and W of one input.");
  for (const std::string& size : split_text(flags.value("dynamic_image_size"), ';')) {
    info.gears.emplace_back();
    for (const std::string& v : split_text(size, ',')) info.gears.back().push_back(number_of(v));
  }
  check_gears("dynamic_image_size", info, 2);
}

void take_dims(const AtcFlags& flags, OmInfo& info) {
  info.gear_kind = GearKind::kDims;
  if (flags.value("input_format", "NCHW") != "ND") atc_fail("E10043", "[--dynamic_dims] needs --input_format=ND.");
  size_t open = 0;
  for (const OmPort& port : info.inputs) open += static_cast<size_t>(std::ranges::count(port.dims, -1));
  if (open == 0) atc_fail("E10040", "[--dynamic_dims] needs -1 in --input_shape.");
  for (const std::string& gear : split_text(flags.value("dynamic_dims"), ';')) {
    info.gears.emplace_back();
    for (const std::string& v : split_text(gear, ',')) info.gears.back().push_back(number_of(v));
  }
  check_gears("dynamic_dims", info, open);
}

}  // namespace

void take_shapes(const AtcFlags& flags, const onnx::GraphProto& graph, OmInfo& info) {
  take_inputs(flags, graph, info);
  if (flags.has("dynamic_batch_size")) return take_batches(flags, info);
  if (flags.has("dynamic_image_size")) return take_images(flags, info);
  if (flags.has("dynamic_dims")) return take_dims(flags, info);
  for (const OmPort& port : info.inputs)
    for (const int64_t d : port.dims)
      if (d < 0)
        atc_fail("E10001", "Value [-1] for parameter [--input_shape] is invalid. Reason: input [" + port.name +
                               "] is dynamic without gears, which is not simulated.");
}

}  // namespace ascend_sim
