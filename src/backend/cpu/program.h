// A graph made ready for the CPU: what it will need (Plan), then the calls with their memory (CpuProgram).
#pragma once

#include <map>
#include <memory>

#include "backend/cpu/lower.h"
#include "backend/cpu/packed.h"

namespace inkstone {

// All that is known without weights: the passes' graph, its calls and where values will lie.
class CpuPlan {
 public:
  CpuPlan(Graph graph, const CompileOptions& options, const dnnl::engine& engine);

  const Graph& graph() const { return *graph_; }
  std::span<const Call> calls() const { return lowering_->calls(); }
  const ArenaPlan& arena() const { return arena_; }
  const MemoryUse& memory() const { return memory_; }

 private:
  std::unique_ptr<const Graph> graph_;  // stays where it is: calls refer to it
  std::unique_ptr<const Lowering> lowering_;
  ArenaPlan arena_;
  MemoryUse memory_;
};

class CpuProgram : public Program {
 public:
  CpuProgram(CpuPlan plan, const Weights& weights, PackedWeights& packed, const dnnl::engine& engine);
  ~CpuProgram() override;
  void run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) override;
  MemoryUse memory() const override { return memory_; }
  void start_profile() override;
  std::vector<CallProfile> take_profile() override;

 private:
  std::byte* weight(const Weights& weights, const Packing& packing, Staging& staging);
  void run_timed(const HostTensors& host);

  CpuPlan plan_;
  PackedWeights& packed_;
  const dnnl::engine& engine_;
  dnnl::stream stream_;
  int threads_;
  size_t inputs_ = 0;
  Memory arena_, scratch_;
  std::vector<std::byte*> used_;  // of packed_
  std::vector<Memory> constants_;
  std::vector<Launch> launches_;  // of plan_.calls()
  MemoryUse memory_;
  bool profiling_ = false;
  std::vector<CallProfile> profile_;
};

}  // namespace inkstone
