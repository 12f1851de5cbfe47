// From the model to the `.om`: memory at every gear, then the file, with the weights streamed from
// where they are.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iostream>

#include "atc.h"
#include "interpreter.h"

namespace ascend_sim {
namespace {

constexpr uint64_t kAlign = 64, kSpare = 64 << 10;
// elements that stay in the model, that a shape may depend on
constexpr int64_t kSmall = 64, kSmallShape = 4096;
constexpr size_t kPiece = 1 << 20;  // elements at a time

uint64_t aligned(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

Shape dims_of(const onnx::TensorProto& t) { return {t.dims().begin(), t.dims().end()}; }

int type_of(const onnx::GraphProto& graph, const std::string& input) {
  for (const auto& port : graph.input())
    if (port.name() == input) return port.type().tensor_type().elem_type();
  return kFloat;
}

// A tensor's bytes, a piece at a time.
class Source {
 public:
  Source(const onnx::TensorProto& tensor, const std::filesystem::path& folder) : type_(tensor.data_type()) {
    if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
      const ExternalData data = external_data(tensor, folder);
      file_.open(data.file, std::ios::binary);
      file_.seekg(static_cast<std::streamoff>(data.offset));
    } else if (tensor.has_raw_data()) {
      bytes_ = tensor.raw_data();
    } else {
      const Tensor values = tensor_of(tensor);
      bytes_.resize(values.bytes());
      to_bytes(values, reinterpret_cast<std::byte*>(bytes_.data()));
    }
  }

  std::string read(size_t bytes) {
    std::string piece(bytes, '\0');
    if (!file_.is_open()) {
      piece = bytes_.substr(at_, bytes);
    } else if (!file_.read(piece.data(), static_cast<std::streamsize>(bytes))) {
      atc_fail("E16001", "A file of external data ended early.");
    }
    at_ += bytes;
    return piece;
  }

  int type() const { return type_; }

 private:
  int type_;
  size_t at_ = 0;
  std::string bytes_;
  std::ifstream file_;
};

uint64_t hash_of(uint64_t hash, const std::string& bytes) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

// Writes the tensor as `stored`; returns a hash of what was written.
uint64_t stream(Source source, int64_t elements, int stored, bool clip, std::ostream& out) {
  uint64_t hash = 14695981039346656037u;
  while (elements > 0) {
    const int64_t n = std::min<int64_t>(elements, kPiece);
    std::string piece = source.read(static_cast<size_t>(n) * bytes_of(source.type()));
    if (stored != source.type()) {
      Tensor t = from_bytes(source.type(), {n}, reinterpret_cast<const std::byte*>(piece.data()));
      round_halves(t.floats.get(), t.floats.get(), n, clip);
      t.type = stored;
      piece.resize(t.bytes());
      to_bytes(t, reinterpret_cast<std::byte*>(piece.data()));
    }
    hash = hash_of(hash, piece);
    out.write(piece.data(), static_cast<std::streamsize>(piece.size()));
    elements -= n;
  }
  return hash;
}

class Packer {
 public:
  Packer(onnx::ModelProto& model, const std::filesystem::path& folder, const std::filesystem::path& output,
         OmInfo& info)
      : model_(model), folder_(folder), output_(output), info_(info) {}

  std::filesystem::path write() {
    // the places of external data, and what is inside the model
    originals_.CopyFrom(model_.graph().initializer());
    place();
    if (info_.external_weight == 1) write_apart();
    if (info_.external_weight == 2) write_combined();
    const std::filesystem::path path = output_.string() + ".om", beside = output_.string() + ".om.part";
    const std::string model = model_.SerializeAsString();
    info_.model_bytes = model.size();
    const std::string section = section_of(info_);
    const uint64_t before = 256 + section.size() + model.size(), weights_at = aligned(before);
    std::ofstream out(beside, std::ios::binary);
    const uint64_t all = weights_at + (info_.external_weight ? 0 : info_.weight_bytes);
    out << header_of(info_, all - 256) << section << model << std::string(weights_at - before, '\0');
    if (!info_.external_weight) write_weights(out);
    out.close();
    if (!out) atc_fail("E19999", "The file [" + path.string() + "] cannot be written.");
    std::filesystem::rename(beside, path);
    return path;
  }

 private:
  struct Weight {
    int index;
    WeightPlace place;
  };

  void place() {
    uint64_t at = 0;
    const auto halves = half_weights();
    for (int i = 0; i < originals_.size(); ++i) {
      const onnx::TensorProto& from = originals_[i];
      const int64_t n = count(dims_of(from));
      const bool outside = from.data_location() == onnx::TensorProto::EXTERNAL;
      if (n < kSmall && outside) {
        const ExternalData data = external_data(from, folder_);
        auto& tensor = *model_.mutable_graph()->mutable_initializer(i);
        tensor.clear_external_data();
        tensor.clear_data_location();
        tensor.set_raw_data(Source(from, folder_).read(data.bytes));
      }
      if (n < kSmall) continue;
      WeightPlace place{at, 0, halves.contains(from.name()) ? kHalf : from.data_type(), ""};
      place.bytes = static_cast<uint64_t>(n) * bytes_of(place.stored);
      at = aligned(at + place.bytes);
      set_place(*model_.mutable_graph()->mutable_initializer(i), place);
      weights_.push_back({i, place});
    }
    info_.weight_bytes = std::max(at, kAlign);
  }

  // fp32 weights that only nodes in fp16 read.
  std::set<std::string> half_weights() const {
    std::set<std::string> halves, wide;
    for (const auto& node : model_.graph().node())
      for (const std::string& name : node.input()) (info_.precision.of(node).inputs ? halves : wide).insert(name);
    for (const auto& output : model_.graph().output()) wide.insert(output.name());
    for (const std::string& name : wide) halves.erase(name);
    for (const auto& tensor : originals_)
      if (tensor.data_type() != kFloat) halves.erase(tensor.name());
    return halves;
  }

  uint64_t put(const Weight& w, std::ostream& out) const {
    const onnx::TensorProto& from = originals_[w.index];
    return stream(Source(from, folder_), count(dims_of(from)), w.place.stored, info_.clip_weights, out);
  }

  void write_weights(std::ostream& out) const {
    uint64_t at = 0;
    for (const Weight& w : weights_) {
      out << std::string(w.place.offset - at, '\0');
      put(w, out);
      at = w.place.offset + w.place.bytes;
    }
    out << std::string(info_.weight_bytes - at, '\0');
  }

  std::filesystem::path weight_folder() const {
    const auto path = output_.parent_path() / "weight";
    std::filesystem::create_directories(path);
    return path;
  }

  void write_apart() {
    for (const Weight& w : weights_) {
      const auto beside = weight_folder() / "weight.part";
      std::ofstream out(beside, std::ios::binary);
      const uint64_t hash = put(w, out);
      out.close();
      const std::string name = "weight_" + std::to_string(hash);
      std::filesystem::rename(beside, weight_folder() / name);
      WeightPlace place = w.place;
      place.file = name;
      set_place(*model_.mutable_graph()->mutable_initializer(w.index), place);
    }
  }

  void write_combined() {
    info_.weight_file = output_.filename().string() + "_weight_combined";
    std::ofstream out(weight_folder() / info_.weight_file, std::ios::binary);
    write_weights(out);
  }

  onnx::ModelProto& model_;
  const std::filesystem::path& folder_;
  const std::filesystem::path& output_;
  OmInfo& info_;
  google::protobuf::RepeatedPtrField<onnx::TensorProto> originals_;
  std::vector<Weight> weights_;
};

}  // namespace

ExternalData external_data(const onnx::TensorProto& tensor, const std::filesystem::path& folder) {
  ExternalData data;
  std::string location;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") data.offset = std::stoull(entry.value());
    if (entry.key() == "length") data.bytes = std::stoull(entry.value());
  }
  const std::filesystem::path name(location);
  if (location.empty() || name.is_absolute() || std::ranges::count(name, ".."))
    atc_fail("E16001", "External data of [" + tensor.name() + "] has no location beside the model.");
  data.file = folder / name;
  const uint64_t need = static_cast<uint64_t>(count(dims_of(tensor))) * bytes_of(tensor.data_type());
  if (data.bytes == 0) data.bytes = need;
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(data.file, error);
  if (error) atc_fail("E16001", "The file of external data [" + data.file.string() + "] does not exist.");
  if (data.bytes != need || data.offset + data.bytes > size)
    atc_fail("E16001", "External data of [" + tensor.name() + "] lies outside its file [" + data.file.string() + "].");
  return data;
}

Tensor weight_for_shapes(const onnx::TensorProto& tensor, const std::filesystem::path& folder) {
  const Shape dims = dims_of(tensor);
  const bool outside = tensor.data_location() == onnx::TensorProto::EXTERNAL;
  if (count(dims) > kSmallShape || (outside && is_floating(tensor.data_type())))
    return shape_only(tensor.data_type(), dims);
  if (!outside) return tensor_of(tensor);
  const std::string bytes = Source(tensor, folder).read(external_data(tensor, folder).bytes);
  return from_bytes(tensor.data_type(), dims, reinterpret_cast<const std::byte*>(bytes.data()));
}

void measure(const onnx::ModelProto& model, const std::filesystem::path& folder, OmInfo& info) {
  const onnx::GraphProto& graph = model.graph();
  const Interpreter interpreter(graph, default_opset(model),
                                [&](const onnx::TensorProto& t) { return weight_for_shapes(t, folder); }, {});
  std::set<std::string> slow;
  const size_t largest = info.gears.empty() ? 0 : info.largest_gear();
  for (size_t gear = 0; gear < std::max<size_t>(1, info.gears.size()); ++gear) {
    std::vector<Tensor> inputs;
    const auto shapes = info.input_shapes(gear);
    for (size_t i = 0; i < shapes.size(); ++i)
      inputs.push_back(shape_only(type_of(graph, info.inputs[i].name), shapes[i]));
    Survey survey;
    survey.element = info.precision.mode == "fp16" ? 2 : 4;
    survey.computed = [&](const OpCall& call) {
      static const std::set<std::string> kArithmetic{"Add", "Sub",   "Mul",  "Div",    "Neg",
                                                     "Pow", "Equal", "Less", "Greater"};
      if (!call.known() && kArithmetic.contains(call.node().op_type()) && call.in(0).type == kInt64)
        slow.insert(call.node().name());
    };
    std::vector<Tensor> outputs;
    try {
      outputs = interpreter.run(inputs, &survey);
    } catch (const OpError& error) {
      atc_fail("E19999", std::string("InferShape failed: ") + error.what());
    }
    info.work_bytes = std::max<uint64_t>(info.work_bytes, aligned(survey.peak + kSpare));
    if (gear != largest) continue;
    for (int i = 0; i < graph.output_size(); ++i)
      info.outputs.push_back({graph.output(i).name(), outputs[i].type, outputs[i].dims});
  }
  for (const std::string& name : slow)
    std::cout << "W11001: [simulated] Op [" << name
              << "] does not hit the high-priority operator information library, which might result in compromised "
                 "performance.\n";
}

std::filesystem::path write_om(onnx::ModelProto& model, const std::filesystem::path& folder,
                               const std::filesystem::path& output, OmInfo& info) {
  return Packer(model, folder, output, info).write();
}

}  // namespace ascend_sim
