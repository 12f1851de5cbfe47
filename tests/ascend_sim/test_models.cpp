#include "test_models.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace ascend_sim {
namespace {

void add_weight(onnx::GraphProto& graph, const std::string& name, std::vector<int64_t> dims,
                const std::vector<float>& values) {
  onnx::TensorProto& tensor = *graph.add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t d : dims) tensor.add_dims(d);
  for (const float v : values) tensor.add_float_data(v);
}

}  // namespace

Folder::Folder() {
  static int next = 0;
  path_ = std::filesystem::temp_directory_path() /
          ("ascend_sim_" + std::to_string(getpid()) + "_" + std::to_string(next++));
  std::filesystem::create_directories(path_);
}
Folder::~Folder() { std::filesystem::remove_all(path_); }
void Folder::write(const std::string& name, const std::string& text) const { std::ofstream(path(name)) << text; }

onnx::ModelProto model_of(const ModelText& text) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  auto& opset = *model.add_opset_import();
  opset.set_version(text.opset);
  onnx::GraphProto& graph = *model.mutable_graph();
  graph.set_name("test");
  for (const auto& [name, dims] : text.inputs) {
    auto& input = *graph.add_input();
    input.set_name(name);
    auto& type = *input.mutable_type()->mutable_tensor_type();
    type.set_elem_type(onnx::TensorProto::FLOAT);
    for (const int64_t d : dims)
      if (auto& dim = *type.mutable_shape()->add_dim(); d < 0)
        dim.set_dim_param("n");
      else
        dim.set_dim_value(d);
  }
  for (size_t n = 0; n < text.nodes.size(); ++n) {
    std::istringstream in(text.nodes[n]);
    std::string word;
    onnx::NodeProto& node = *graph.add_node();
    in >> word;
    node.set_op_type(word);
    node.set_name(word + "_" + std::to_string(n));
    while (in >> word && word != "->") node.add_input(word);
    while (in >> word) node.add_output(word);
  }
  graph.add_output()->set_name(text.output);
  std::vector<float> matrix(16);
  for (int i = 0; i < 16; ++i) matrix[i] = static_cast<float>(i) / 16;
  add_weight(graph, "one", {1}, {1});
  add_weight(graph, "big", {1}, {70000});
  add_weight(graph, "matrix", {4, 4}, matrix);
  std::vector<float> wide(400, 0.1f);
  add_weight(graph, "wide", {4, 100}, wide);
  return model;
}

AtcRun run_atc(const Folder& folder, const std::string& flags) {
  const std::string command = "cd '" + folder.path("") + "' && '" ASCEND_SIM_FOLDER "/bin/atc' " + flags + " 2>&1";
  AtcRun run{0, ""};
  FILE* pipe = popen(command.c_str(), "r");
  for (char piece[512]; const size_t n = fread(piece, 1, sizeof piece, pipe);) run.output.append(piece, n);
  run.code = WEXITSTATUS(pclose(pipe));
  return run;
}

AtcRun compile(const Folder& folder, const onnx::ModelProto& model, const std::string& flags) {
  std::ofstream out(folder.path("m.onnx"), std::ios::binary);
  model.SerializeToOstream(&out);
  out.close();
  return run_atc(folder, "--framework=5 --model=m.onnx --output=m --soc_version=Ascend910B4 " + flags);
}

}  // namespace ascend_sim
