// run_onnx MODEL.onnx INPUT... OUTPUT-PREFIX: runs a model, weights inside it, on raw files of its
// inputs' bytes; writes each output's bytes to PREFIX0, PREFIX1 ... For tools/check_ascend_sim.py.
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include "interpreter.h"

int main(int argc, char** argv) {
  using namespace ascend_sim;
  onnx::ModelProto model;
  std::ifstream file(argc > 2 ? argv[1] : "", std::ios::binary);
  if (!file || !model.ParseFromIstream(&file)) return std::cerr << "usage: run_onnx MODEL INPUT... PREFIX\n", 1;
  try {
    const Interpreter interpreter(model.graph(), default_opset(model), tensor_of, {});
    std::vector<Tensor> inputs;
    for (size_t i = 0; i < interpreter.inputs().size(); ++i) {
      std::ifstream in(argv[2 + i], std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(in), {}};
      const auto& type = model.graph().input(static_cast<int>(i)).type().tensor_type();
      Shape dims;
      for (const auto& d : type.shape().dim()) dims.push_back(d.dim_value());
      if (bytes.size() != static_cast<size_t>(count(dims)) * bytes_of(type.elem_type()))
        return std::cerr << argv[2 + i] << ": " << bytes.size() << " bytes for " << to_string(dims) << "\n", 1;
      inputs.push_back(from_bytes(type.elem_type(), dims, reinterpret_cast<const std::byte*>(bytes.data())));
    }
    const auto outputs = interpreter.run(inputs);
    for (size_t i = 0; i < outputs.size(); ++i) {
      std::string bytes(outputs[i].bytes(), '\0');
      to_bytes(outputs[i], reinterpret_cast<std::byte*>(bytes.data()));
      std::ofstream(argv[argc - 1] + std::to_string(i), std::ios::binary) << bytes;
    }
  } catch (const std::exception& error) {
    return std::cerr << error.what() << "\n", 1;
  }
}
