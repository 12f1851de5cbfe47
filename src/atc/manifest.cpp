#include "atc/manifest.h"

#include <boost/json/serialize.hpp>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "ir/print.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int kVersion = 1;

DType type_of(const std::string& name, const std::string& source) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16, DType::kI32})
    if (name == name_of(type)) return type;
  fail(INKSTONE_HERE, {source, ": no such type: ", shown(name)});
}

// Reads the fields of one object. An error names the field's place in the document.
class Fields {
 public:
  Fields(const Json& value, std::string source) : source_(std::move(source)) {
    INKSTONE_CHECK(value.is_object(), source_, " is not an object");
    object_ = &value.as_object();
  }

  const std::string& source() const { return source_; }
  const Json* find(const char* key) const {
    const Json* value = object_->if_contains(key);
    return value && !value->is_null() ? value : nullptr;
  }
  const Json& at(const char* key) const {
    const Json* value = find(key);
    INKSTONE_CHECK(value, source_, ": \"", key, "\" is missing");
    return *value;
  }
  std::string text(const char* key) const { return text_of(at(key), key); }
  std::string text_of(const Json& value, const char* key) const {
    INKSTONE_CHECK(value.is_string(), source_, ": \"", key, "\" is not a text");
    return {value.as_string().data(), value.as_string().size()};
  }
  int64_t number(const char* key, int64_t min = 0) const { return number_of(at(key), key, min); }
  int64_t number_of(const Json& value, const char* key, int64_t min) const {
    INKSTONE_CHECK(value.is_int64() && value.as_int64() >= min, source_, ": \"", key,
                   "\" is not a whole number of at least ", min);
    return value.as_int64();
  }
  int small(const char* key, int64_t min = 0) const {
    const int64_t value = number(key, min);
    INKSTONE_CHECK(value <= INT32_MAX, source_, ": \"", key, "\" is ", value);
    return static_cast<int>(value);
  }
  const JsonArray& array(const char* key) const {
    INKSTONE_CHECK(at(key).is_array(), source_, ": \"", key, "\" is not a list");
    return at(key).as_array();
  }
  Fields inside(const Json& value, const std::string& where) const { return {value, source_ + ": " + where}; }

 private:
  const JsonObject* object_ = nullptr;
  std::string source_;
};

std::string item(const char* list, size_t i) { return std::string(list) + "[" + std::to_string(i) + "]"; }

template <typename T, typename Read>
std::vector<T> list_of(const Fields& fields, const char* key, Read read) {
  std::vector<T> result;
  for (const Json& value : fields.array(key)) result.push_back(read(fields.inside(value, item(key, result.size()))));
  return result;
}

std::vector<std::string> texts(const Fields& fields, const char* key) {
  std::vector<std::string> result;
  for (const Json& value : fields.array(key)) result.push_back(fields.text_of(value, key));
  return result;
}

Shape shape_of(const Json& value, const Fields& fields, const char* key) {
  INKSTONE_CHECK(value.is_array(), fields.source(), ": \"", key, "\" is not a list of sizes");
  Shape shape;
  for (const Json& size : value.as_array()) shape.push_back(fields.number_of(size, key, -1));
  return shape;
}

std::vector<Shape> shapes(const Fields& fields, const char* key) {
  std::vector<Shape> result;
  for (const Json& value : fields.array(key)) result.push_back(shape_of(value, fields, key));
  return result;
}

std::string file_name(const Fields& fields, const char* key) {
  const std::string name = fields.text(key);
  INKSTONE_CHECK(!name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
                     name.find('\0') == std::string::npos,
                 fields.source(), ": \"", key, "\" is ", shown(name), ", which is no file of this folder");
  return name;
}

FileRecord file_of(const Fields& fields) {
  return {file_name(fields, "file"), static_cast<uint64_t>(fields.number("bytes")), fields.text("sha256")};
}

Port port_of(const Fields& fields) {
  return {fields.text("name"), shape_of(fields.at("shape"), fields, "shape"),
          type_of(fields.text("type"), fields.source())};
}

Gear gear_of(const Fields& fields) {
  return {fields.small("batch", 1), fields.text("graph"), shapes(fields, "inputs"), shapes(fields, "outputs")};
}

Compiled compiled_of(const Fields& fields) {
  return {file_of(fields.inside(fields.at("om"), "om")),
          fields.text("soc"),
          fields.text("cann"),
          static_cast<uint64_t>(fields.number("work_bytes")),
          static_cast<uint64_t>(fields.number("weight_bytes")),
          texts(fields, "command")};
}

GraphRecord graph_of(const Fields& fields) {
  GraphRecord graph;
  graph.name = fields.text("name");
  graph.component = fields.text("component");
  graph.part = fields.text("part");
  graph.width = fields.small("width");
  graph.height = fields.small("height");
  graph.cfg_copies = fields.small("copies", 1);
  graph.prompt_chunks = fields.find("prompt_chunks") ? fields.small("prompt_chunks", 1) : 1;
  graph.vae_tile = fields.small("vae_tile");
  graph.onnx = file_of(fields.inside(fields.at("onnx"), "onnx"));
  graph.weights = file_name(fields, "weights");
  graph.fingerprint = fields.text("fingerprint");
  graph.inputs = list_of<Port>(fields, "inputs", port_of);
  graph.outputs = list_of<Port>(fields, "outputs", port_of);
  graph.gears = list_of<Gear>(fields, "gears", gear_of);
  graph.fp32_nodes = texts(fields, "fp32_nodes");
  graph.all_fp32 = graph.part == "time" || (fields.find("all_fp32") && fields.small("all_fp32"));
  if (const Json* compiled = fields.find("compiled"))
    graph.compiled = compiled_of(fields.inside(*compiled, "compiled"));
  INKSTONE_CHECK(!graph.gears.empty(), fields.source(), ": no gears");
  for (const Gear& gear : graph.gears)
    INKSTONE_CHECK(gear.inputs.size() == graph.inputs.size() && gear.outputs.size() == graph.outputs.size(),
                   fields.source(), ": a gear of ", gear.inputs.size(), " inputs and ", gear.outputs.size(),
                   " outputs, the file has ", graph.inputs.size(), " and ", graph.outputs.size());
  return graph;
}

template <typename T>
JsonArray array_of(const std::vector<T>& values, auto one) {
  JsonArray array;
  for (const T& value : values) array.push_back(one(value));
  return array;
}

JsonArray array_of(const std::vector<std::string>& values) { return JsonArray(values.begin(), values.end()); }
JsonArray json_of(const Shape& shape) { return JsonArray(shape.begin(), shape.end()); }
JsonObject json_of(const FileRecord& file) {
  return {{"file", file.file}, {"bytes", static_cast<int64_t>(file.bytes)}, {"sha256", file.sha256}};
}
JsonObject json_of(const Port& port) {
  return {{"name", port.name}, {"shape", json_of(port.shape)}, {"type", name_of(port.type)}};
}
JsonObject json_of(const Gear& gear) {
  const auto one = [](const Shape& shape) { return json_of(shape); };
  return {{"batch", gear.batch},
          {"graph", gear.graph},
          {"inputs", array_of(gear.inputs, one)},
          {"outputs", array_of(gear.outputs, one)}};
}
JsonObject json_of(const Compiled& compiled) {
  return {{"om", json_of(compiled.om)},
          {"soc", compiled.soc},
          {"cann", compiled.cann},
          {"work_bytes", static_cast<int64_t>(compiled.work_bytes)},
          {"weight_bytes", static_cast<int64_t>(compiled.weight_bytes)},
          {"command", array_of(compiled.command)}};
}
JsonObject json_of(const GraphRecord& graph) {
  const auto port = [](const Port& p) { return json_of(p); };
  const auto gear = [](const Gear& g) { return json_of(g); };
  return {{"name", graph.name},
          {"component", graph.component},
          {"part", graph.part},
          {"width", graph.width},
          {"height", graph.height},
          {"copies", graph.cfg_copies},
          {"prompt_chunks", graph.prompt_chunks},
          {"vae_tile", graph.vae_tile},
          {"onnx", json_of(graph.onnx)},
          {"weights", graph.weights},
          {"fingerprint", graph.fingerprint},
          {"inputs", array_of(graph.inputs, port)},
          {"outputs", array_of(graph.outputs, port)},
          {"gears", array_of(graph.gears, gear)},
          {"fp32_nodes", array_of(graph.fp32_nodes)},
          {"all_fp32", int{graph.all_fp32}},
          {"compiled", graph.compiled ? Json(json_of(*graph.compiled)) : Json(nullptr)}};
}

}  // namespace

Manifest Manifest::read(const fs::path& folder) {
  const fs::path path = folder / kManifestName;
  const Json document = read_json(path);
  const Fields fields(document, path.string());
  INKSTONE_CHECK(fields.number("version") == kVersion, path.string(), " is of version ", fields.number("version"),
                 ", this program reads ", kVersion, ": export the model again");
  return {fields.text("inkstone"),
          fields.text("model"),
          fields.text("precision"),
          fields.small("opset"),
          list_of<FileRecord>(fields, "weights", file_of),
          list_of<GraphRecord>(fields, "graphs", graph_of)};
}

void Manifest::write(const fs::path& folder) const {
  const JsonObject document{{"version", kVersion},
                            {"inkstone", inkstone},
                            {"model", model},
                            {"precision", precision},
                            {"opset", opset},
                            {"weights", array_of(weights, [](const FileRecord& f) { return json_of(f); })},
                            {"graphs", array_of(graphs, [](const GraphRecord& g) { return json_of(g); })}};
  const std::string text = boost::json::serialize(document) + "\n";
  write_file(folder / kManifestName, std::as_bytes(std::span(text)));
}

std::string identity(const Graph& graph) { return sha256(print(graph)); }

}  // namespace inkstone
