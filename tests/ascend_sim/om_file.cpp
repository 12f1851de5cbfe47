#include "om_file.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <istream>
#include <sstream>
#include <streambuf>

namespace ascend_sim {
namespace {

constexpr uint32_t kMagic = 0x444F4D49;  // "IMOD" in the file
constexpr size_t kHeader = 256, kMaxSection = 64 << 20;
constexpr const char* kFirstLine = "INKSTONE ASCEND SIMULATOR 1";

template <class T>
void put(std::string& header, size_t at, T value) {
  std::memcpy(header.data() + at, &value, sizeof value);
}

template <class T>
T get(const std::string& header, size_t at) {
  T value;
  std::memcpy(&value, header.data() + at, sizeof value);
  return value;
}

std::string joined(const std::vector<int64_t>& values) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) text += (i ? "," : "") + std::to_string(values[i]);
  return text;
}

std::vector<int64_t> numbers(const std::string& text) {
  std::vector<int64_t> values;
  std::stringstream in(text);
  for (std::string part; std::getline(in, part, ',');) values.push_back(std::stoll(part));
  return values;
}

std::string port_line(const OmPort& port) {
  return port.name + "|" + std::to_string(port.type) + "|" + joined(port.dims);
}

OmPort port_of(const std::string& line) {
  const size_t second = line.rfind('|'), first = line.rfind('|', second - 1);
  return {line.substr(0, first), std::stoi(line.substr(first + 1, second - first - 1)),
          numbers(line.substr(second + 1))};
}

void take_line(OmInfo& info, const std::string& key, const std::string& value) {
  if (key == "name") info.name = value;
  if (key == "soc") info.soc = value;
  if (key == "cann") info.cann = value;
  if (key == "command") info.command = value;
  if (key == "mode") info.precision.mode = value;
  if (key == "saturate") info.precision.saturate = value == "1";
  if (key == "keep_node") info.precision.kept_nodes.insert(value);
  if (key == "keep_type") info.precision.kept_types.insert(value);
  if (key == "input") info.inputs.push_back(port_of(value));
  if (key == "output") info.outputs.push_back(port_of(value));
  if (key == "gear_kind") info.gear_kind = static_cast<GearKind>(std::stoi(value));
  if (key == "gear") info.gears.push_back(numbers(value));
  if (key == "work") info.work_bytes = std::stoull(value);
  if (key == "weight") info.weight_bytes = std::stoull(value);
  if (key == "model") info.model_bytes = std::stoull(value);
  if (key == "external_weight") info.external_weight = std::stoi(value);
  if (key == "weight_file") info.weight_file = value;
}

OmFault read(std::istream& in, uint64_t size, OmInfo& info, onnx::ModelProto* model, std::string& why) {
  std::string header(kHeader, '\0');
  if (!in.read(header.data(), kHeader)) return why = "the file is shorter than an .om header", OmFault::kSize;
  if (get<uint32_t>(header, 0) != kMagic || get<uint32_t>(header, 4) != kHeader)
    return why = "the file does not begin with IMOD", OmFault::kHeader;
  const uint64_t bytes = get<uint64_t>(header, 184);
  if (bytes + kHeader > size)
    return why = "the header promises " + std::to_string(bytes) + " bytes, the file is cut short", OmFault::kSize;
  std::string line;
  if (!std::getline(in, line) || line != kFirstLine)
    return why = "an .om that this simulator did not make: it runs its own only", OmFault::kContents;
  size_t taken = line.size() + 1;
  try {
    while (std::getline(in, line) && !line.empty() && taken < kMaxSection) {
      taken += line.size() + 1;
      const size_t equal = line.find('=');
      if (equal == std::string::npos) return why = "a damaged section", OmFault::kContents;
      take_line(info, line.substr(0, equal), line.substr(equal + 1));
    }
  } catch (const std::exception&) {
    return why = "a damaged section", OmFault::kContents;
  }
  info.model_at = kHeader + taken + 1;
  info.weights_at = (info.model_at + info.model_bytes + 63) / 64 * 64;
  if (info.model_at + info.model_bytes > size) return why = "the model is cut short", OmFault::kSize;
  if (!model) return OmFault::kNone;
  std::string text(info.model_bytes, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(text.size())) || !model->ParseFromString(text))
    return why = "the model cannot be parsed", OmFault::kContents;
  return OmFault::kNone;
}

struct Bytes : std::streambuf {
  Bytes(const void* data, size_t size) {
    char* begin = const_cast<char*>(static_cast<const char*>(data));
    setg(begin, begin, begin + size);
  }
};

bool is_cube(const std::string& type) {
  return type == "Conv" || type == "ConvTranspose" || type == "MatMul" || type == "Gemm";
}

}  // namespace

Rounding Precision::of(const onnx::NodeProto& node) const {
  if (kept_nodes.contains(node.name()) || kept_types.contains(node.op_type())) return {false, false, saturate};
  if (mode == "fp16") return {true, true, saturate};
  if (mode == "mixed_float16") return {is_cube(node.op_type()), is_cube(node.op_type()), saturate};
  if (mode == "cube_fp16in_fp32out") return {is_cube(node.op_type()), false, saturate};
  return {false, false, saturate};
}

std::vector<Shape> OmInfo::input_shapes(size_t gear) const {
  std::vector<Shape> shapes;
  size_t next = 0;
  for (const OmPort& port : inputs) {
    shapes.push_back(port.dims);
    for (int64_t& d : shapes.back())
      if (d < 0) d = gear_kind == GearKind::kBatch ? gears.at(gear)[0] : gears.at(gear).at(next++);
  }
  return shapes;
}

size_t OmInfo::largest_gear() const {
  size_t best = 0;
  int64_t largest = -1;
  for (size_t gear = 0; gear < gears.size(); ++gear) {
    int64_t all = 0;
    for (const Shape& shape : input_shapes(gear)) all += count(shape);
    if (all > largest) best = gear;
    largest = std::max(largest, all);
  }
  return best;
}

OmFault read_om(const std::filesystem::path& path, OmInfo& info, onnx::ModelProto* model, std::string& why) {
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) return why = "the file cannot be opened", OmFault::kPath;
  return read(in, size, info, model, why);
}

OmFault read_om(const void* bytes, size_t size, OmInfo& info, onnx::ModelProto* model, std::string& why) {
  Bytes buffer(bytes, size);
  std::istream in(&buffer);
  return read(in, size, info, model, why);
}

std::string header_of(const OmInfo& info, uint64_t bytes_after_header) {
  std::string header(kHeader, '\0');
  put<uint32_t>(header, 0, kMagic);
  put<uint32_t>(header, 4, kHeader);
  put<uint32_t>(header, 8, 0x10000000);
  put<uint32_t>(header, 76, static_cast<uint32_t>(bytes_after_header));
  put<uint8_t>(header, 82, 1);
  put<uint32_t>(header, 152, 1);
  put<uint32_t>(header, 156, 1);
  const auto put_text = [&](size_t at, size_t room, const std::string& text) {
    std::memcpy(header.data() + at, text.data(), std::min(room - 1, text.size()));
  };
  put_text(84, 32, info.name);
  put_text(120, 32, "simulated");
  put_text(160, 20, info.cann);
  put<uint64_t>(header, 184, bytes_after_header);
  return header;
}

std::string section_of(const OmInfo& info) {
  std::ostringstream out;
  out << kFirstLine << "\nname=" << info.name << "\nsoc=" << info.soc << "\ncann=" << info.cann
      << "\ncommand=" << info.command << "\nmode=" << info.precision.mode << "\nsaturate=" << info.precision.saturate
      << "\nwork=" << info.work_bytes << "\nweight=" << info.weight_bytes << "\nmodel=" << info.model_bytes
      << "\nexternal_weight=" << info.external_weight << "\nweight_file=" << info.weight_file
      << "\ngear_kind=" << static_cast<int>(info.gear_kind) << '\n';
  for (const auto& node : info.precision.kept_nodes) out << "keep_node=" << node << '\n';
  for (const auto& type : info.precision.kept_types) out << "keep_type=" << type << '\n';
  for (const OmPort& port : info.inputs) out << "input=" << port_line(port) << '\n';
  for (const OmPort& port : info.outputs) out << "output=" << port_line(port) << '\n';
  for (const auto& gear : info.gears) out << "gear=" << joined(gear) << '\n';
  out << '\n';
  return out.str();
}

bool place_of(const onnx::TensorProto& tensor, WeightPlace& place) {
  if (tensor.data_location() != onnx::TensorProto::EXTERNAL) return false;
  place.stored = tensor.data_type();
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") place.file = entry.value();
    if (entry.key() == "offset") place.offset = std::stoull(entry.value());
    if (entry.key() == "length") place.bytes = std::stoull(entry.value());
    if (entry.key() == "stored") place.stored = std::stoi(entry.value());
  }
  return true;
}

void set_place(onnx::TensorProto& tensor, const WeightPlace& place) {
  tensor.clear_raw_data();
  tensor.clear_float_data();
  tensor.clear_int32_data();
  tensor.clear_int64_data();
  tensor.clear_external_data();
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  const auto add = [&](const char* key, const std::string& value) {
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  };
  add("location", place.file);
  add("offset", std::to_string(place.offset));
  add("length", std::to_string(place.bytes));
  add("stored", std::to_string(place.stored));
}

}  // namespace ascend_sim
