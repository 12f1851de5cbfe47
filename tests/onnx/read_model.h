// Exported files, read back with protobuf, and the table of what ATC takes.
#pragma once

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"

namespace inkstone {

inline onnx::ModelProto read_model(const std::filesystem::path& path) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(read_file(path, size_t{1} << 30))) << path;
  return model;
}

// "8-16,19" -> 8 to 16 and 19
inline std::set<int> opsets_of(const std::string& text) {
  std::set<int> opsets;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t dash = part.find('-');
    const int first = std::stoi(part), last = dash == std::string::npos ? first : std::stoi(part.substr(dash + 1));
    for (int opset = first; opset <= last; ++opset) opsets.insert(opset);
  }
  return opsets;
}

inline std::map<std::string, std::set<int>> ops_of_atc() {
  std::map<std::string, std::set<int>> ops;
  std::istringstream lines(read_file(INKSTONE_SOURCE_DIR "/tests/onnx/atc_ops.tsv", size_t{1} << 20));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#")) continue;
    std::istringstream cells(line);
    std::string op, domain, opsets;
    std::getline(cells, op, '\t');
    std::getline(cells, domain, '\t');
    std::getline(cells, opsets, '\t');
    ops[op].merge(opsets_of(opsets));
  }
  return ops;
}

// Every node's op is registered for the file's one opset, in the default domain, and no node has
// two results of one name.
inline void expect_atc_takes(const onnx::ModelProto& model) {
  static const std::map<std::string, std::set<int>> known = ops_of_atc();
  ASSERT_EQ(model.opset_import_size(), 1);
  EXPECT_EQ(model.opset_import(0).domain(), "");
  EXPECT_LE(model.ir_version(), 9);
  const int opset = static_cast<int>(model.opset_import(0).version());
  std::set<std::string> names, results;
  for (const onnx::NodeProto& node : model.graph().node()) {
    const auto found = known.find(node.op_type());
    ASSERT_TRUE(found != known.end() && found->second.contains(opset)) << node.op_type() << " of opset " << opset;
    EXPECT_EQ(node.domain(), "");
    EXPECT_TRUE(names.insert(node.name()).second) << node.name() << " stands twice";
    for (const std::string& result : node.output()) EXPECT_TRUE(results.insert(result).second) << result;
  }
}

}  // namespace inkstone
