// What ONNX's own library says of a model before it is written: every node against its schema,
// every shape inferred anew.
#pragma once

#include <map>
#include <string>

#include "onnx/export.h"

namespace onnx {
class ModelProto;
}

namespace inkstone::onnx_export {

using KnownPorts = std::map<std::string, OnnxPort>;

// Throws Error naming `file` and the node or value that is wrong; `known` are values whose shapes
// and types are sure.
void check_model(const onnx::ModelProto& model, const KnownPorts& known, const std::string& file);

}  // namespace inkstone::onnx_export
