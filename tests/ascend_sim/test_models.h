// Small ONNX models for the tests, and the simulated `atc` run on them.
#pragma once

#include <onnx/onnx_pb.h>

#include <filesystem>
#include <string>
#include <vector>

namespace ascend_sim {

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  std::string path(const std::string& name) const { return (path_ / name).string(); }
  void write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

// y = op(x), by lines of "Type input... -> output"
struct ModelText {
  int opset = 17;
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs{{"x", {1, 4}}};  // -1: a symbolic size
  std::vector<std::string> nodes{"Add x one -> y"};
  std::string output = "y";
};
// initializers: "one" [1], "matrix" [4, 4] with i/16, "big" 70000
onnx::ModelProto model_of(const ModelText& text);

struct AtcRun {
  int code;
  std::string output;
};
AtcRun run_atc(const Folder& folder, const std::string& flags);                                      // in that folder
AtcRun compile(const Folder& folder, const onnx::ModelProto& model, const std::string& flags = "");  // to m.om

}  // namespace ascend_sim
