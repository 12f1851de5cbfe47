// The backend itself: looks a graph up in the manifest of an export folder, checks the file it
// names, and makes it a program.
#pragma once

#include <string>

#include "backend/ascend/om_check.h"
#include "backend/ascend/program.h"

namespace inkstone::ascend {

class AscendBackend : public Backend {
 public:
  AscendBackend(Library library, int index, const std::string& folder, Manifest manifest);
  DeviceInfo info() const override;
  bool has(const Graph& graph, const CompileOptions& options) override;
  MemoryUse plan(const Graph& graph, const Weights& weights, const CompileOptions& options) override;
  std::unique_ptr<Program> compile(const Graph& graph, const Weights& weights, const CompileOptions& options) override;
  Tensor tensor(const Shape& shape, DType type) override;
  void copy(const Tensor& from, size_t from_byte, Tensor& to, size_t to_byte, size_t bytes) override;
  void trim() override;
  BackendState state() override;
  AscendStatus status() const;

 private:
  struct Found {
    const GraphRecord* record = nullptr;
    const Gear* gear = nullptr;
  };
  Found find(const Graph& graph, const CompileOptions& options) const;  // nothing where there is none
  Found need(const Graph& graph, const CompileOptions& options) const;  // throws with what there is
  std::filesystem::path path_of(const GraphRecord& record) const;
  MemoryUse memory_of(const Found& found);
  Target target() const;

  std::string folder_;
  // outlives the programs, which refer to it
  Manifest manifest_;
  DType floating_ = DType::kF32;
  mutable Shared shared_;
};

}  // namespace inkstone::ascend
