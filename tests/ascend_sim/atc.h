// The pieces of the simulated `atc`: flags, shapes and gears, precision files, checks of the graph,
// and the file it writes.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "chips.h"
#include "om_file.h"

namespace ascend_sim {

struct AtcError {
  std::string code, text;
};

[[noreturn]] inline void atc_fail(const std::string& code, const std::string& text) { throw AtcError{code, text}; }
[[noreturn]] void invalid_value(const std::string& flag, const std::string& value, const std::string& reason);

std::vector<std::string> split_text(const std::string& text, char at);  // "a;b;" is two

class AtcFlags {
 public:
  // refuses unknown flags and values out of range
  AtcFlags(int argc, char** argv);

  bool has(const std::string& flag) const { return given_.contains(flag); }
  std::string value(const std::string& flag, const std::string& otherwise = "") const;
  const std::string& command() const { return command_; }
  // required ones, and those that exclude each other
  void check_compile() const;

 private:
  std::map<std::string, std::string> given_;
  std::string command_;
};

// `--input_shape` and the gears, against the model's inputs: fills info.inputs and the gears.
void take_shapes(const AtcFlags& flags, const onnx::GraphProto& graph, OmInfo& info);

// The precision flags and their files.
Precision take_precision(const AtcFlags& flags, const onnx::GraphProto& graph, const Chip& chip);

// The table of registered operators, built in.
struct Registered {
  std::string domain;
  std::vector<std::pair<int, int>> opsets;
  std::set<std::string> ge_ops;
};
const std::multimap<std::string, Registered>& registered_ops();
// also where the name is an ONNX one
std::set<std::string> onnx_ops_of(const std::string& ge_op);

// Versions, each node against the table and the restrictions of its kernel, external data. Returns
// warnings.
std::vector<std::string> check_graph(const onnx::ModelProto& model, const std::filesystem::path& folder,
                                     const Precision& precision);

// Shapes of all values at every gear: fills info.outputs and the work size.
void measure(const onnx::ModelProto& model, const std::filesystem::path& folder, OmInfo& info);

// Weights are streamed from where they are. Returns the file written.
std::filesystem::path write_om(onnx::ModelProto& model, const std::filesystem::path& folder,
                               const std::filesystem::path& output, OmInfo& info);

// The bytes of a tensor in external data, all inside the file. Fails with E16001.
struct ExternalData {
  std::filesystem::path file;
  uint64_t offset = 0, bytes = 0;
};
ExternalData external_data(const onnx::TensorProto& tensor, const std::filesystem::path& folder);
Tensor weight_for_shapes(const onnx::TensorProto& tensor, const std::filesystem::path& folder);

}  // namespace ascend_sim
