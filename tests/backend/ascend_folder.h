// Export folders for tests of the backend `ascend`: graphs, files for the fake AscendCL, and a
// manifest; and the environment that leads to it.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "atc/manifest.h"
#include "backend/ascend/ascend.h"
#include "backend/fake_acl/fake_acl.h"
#include "support/scratch_folder.h"
#include "weights/weights.h"

namespace inkstone {

// A variable of the environment, and what it was before.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    set(value);
  }
  ~Environment() { set(old_ ? old_->c_str() : nullptr); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  void set(const char* value) { value ? setenv(name_, value, 1) : unsetenv(name_); }
  const char* name_;
  std::optional<std::string> old_;
};

inline const FakeAcl& fake() {
  static void* const handle = dlopen(FAKE_ACL, RTLD_NOW);
  static const auto get = reinterpret_cast<const FakeAcl* (*)()>(dlsym(handle, "fake_acl"));
  return *get();
}

// x [batch, width] -> twice x, and, with two outputs, that again.
inline Graph doubling(int64_t batch, int64_t width, int outputs = 1) {
  Graph graph;
  const Value x = graph.add(op::Input{"x"}, {}, {batch, width});
  std::vector<Value> results;
  for (int i = 0; i < outputs; ++i) results.push_back(graph.add(op::Add{}, {i ? results.back() : x, x}));
  return finish(graph, results);
}

class AscendFolder {
 public:
  AscendFolder() {
    manifest.inkstone = "test";
    manifest.model = "a-model";
    manifest.precision = "fp32";
    weights = Weights::of({});
  }

  // One file of `batches`; its programs are doubling(batch, width, outputs).
  GraphRecord& add(const std::string& name, std::vector<int> batches, int64_t width, int outputs = 1) {
    GraphRecord record;
    record.name = name;
    record.component = record.part = "unet";
    record.onnx.file = name + ".onnx";
    record.weights = "unet.bin";
    record.fingerprint = weights.fingerprint();
    const int64_t rows = batches.size() > 1 ? -1 : batches[0];
    record.inputs = {{"x", {rows, width}, DType::kF32}};
    for (int i = 0; i < outputs; ++i) record.outputs.push_back({"out" + std::to_string(i), {rows, width}, DType::kF32});
    for (const int batch : batches)
      record.gears.push_back({batch,
                              identity(doubling(batch, width, outputs)),
                              {{batch, width}},
                              std::vector<Shape>(static_cast<size_t>(outputs), {batch, width})});
    manifest.graphs.push_back(record);
    return manifest.graphs.back();
  }

  // Writes the `.om` of a record as its ports say.
  void compile(GraphRecord& record, size_t work = 4096, size_t weight_bytes = 8192) {
    std::string header(256, '\0');
    header.replace(0, 4, "IMOD");
    header[5] = 1;  // 256, little-endian
    std::string text;
    const auto add_port = [&](const char* kind, const Port& port) {
      text += std::string(kind) + " " + port.name + " " + (port.type == DType::kI32 ? "3 " : "0 ");
      for (size_t i = 0; i < port.shape.size(); ++i) text += (i ? "," : "") + std::to_string(port.shape[i]);
      text += "\n";
    };
    text += "work " + std::to_string(work) + "\nweights " + std::to_string(weight_bytes) + "\n";
    for (const Port& port : record.inputs) add_port("in", port);
    for (const Port& port : record.outputs) add_port("out", port);
    for (size_t i = 0; i < 8; ++i) header[184 + i] = static_cast<char>(text.size() >> (8 * i) & 255);
    const std::string name = record.name + ".om";
    std::ofstream(path / name, std::ios::binary) << header << text;
    record.compiled =
        Compiled{{name, header.size() + text.size(), ""}, "Ascend910B4", "8.1.RC1", work, weight_bytes, {}};
  }

  std::unique_ptr<Backend> open() {
    manifest.write(path);
    return open_backend("npu:0", {path.string()});
  }

  const ScratchFolder scratch;
  const std::filesystem::path path = scratch.path();
  Manifest manifest;
  Weights weights;
};

}  // namespace inkstone
