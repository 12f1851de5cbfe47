// Checks a model by ONNX's own library before it is written: every node by its schema, every shape
// by inferring it again.
#pragma once

#include <map>
#include <string>

#include "onnx/export.h"

namespace onnx {
class ModelProto;
}

namespace inkstone::onnx_export {

using KnownPorts = std::map<std::string, OnnxPort>;

// Throws Error naming `file` and the node or value that is wrong; `known` are the values whose
// shapes and types are given.
void check_model(const onnx::ModelProto& model, const KnownPorts& known, const std::string& file);

}  // namespace inkstone::onnx_export
