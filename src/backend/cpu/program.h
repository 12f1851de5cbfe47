// A graph compiled for the CPU: CpuPlan has its calls and the memory they will need, CpuProgram
// runs them.
#pragma once

#include <map>
#include <memory>

#include "backend/cpu/lower.h"
#include "backend/cpu/packed.h"
#include "backend/cpu/workspace.h"

namespace inkstone::cpu {

// Everything that is known without the weights: the graph after the passes, its calls, and the
// offset of each value.
class CpuPlan {
 public:
  // `weights` gives the sizes in the model's files; without it, weights are assumed to have the
  // type in which the program computes.
  CpuPlan(Graph graph, const CompileOptions& options, const dnnl::engine& engine, const Weights* weights = nullptr,
          compile::ArenaPlanner* planner = nullptr);

  const Graph& graph() const { return *graph_; }
  std::span<const Call> calls() const { return lowering_->calls(); }
  const compile::ArenaPlan& arena() const { return arena_; }
  // What passes through memory with a call: mapped weights, which leave when it is done, and which of
  // Call::weights are packed for it each time, into a place that all calls share.
  struct Passing {
    std::vector<MappedRead> mapped;
    std::vector<size_t> packed;
  };
  std::span<const Passing> passing() const { return passing_; }  // for each call
  size_t passing_offset() const { return scratch_; }             // of that place in the scratch memory
  const MemoryUse& memory() const { return memory_; }

 private:
  struct Fresh;
  std::vector<Fresh> fresh_weights(const CompileOptions& options, const Weights* weights);
  void plan_weights(const CompileOptions& options, const Weights* weights);

  // On the heap, because calls refer to it.
  std::unique_ptr<const Graph> graph_;
  std::unique_ptr<const Lowering> lowering_;
  compile::ArenaPlan arena_;
  std::vector<Passing> passing_;
  size_t scratch_ = 0;  // of the calls themselves
  MemoryUse memory_;
};

// shared by all programs of a backend
struct CpuShared {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  PackedWeights packed{engine};
  Workspace workspace;
  compile::ArenaPlanner planner;
};

class CpuProgram : public Program {
 public:
  CpuProgram(CpuPlan plan, const Weights& weights, CpuShared& shared);
  ~CpuProgram() override;
  void run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) override;
  MemoryUse memory() const override { return memory_; }
  void release_pages() override;
  void start_profile() override;
  std::vector<CallProfile> take_profile() override;

 private:
  std::byte* weight(const Packing& packing, Staging& staging);
  std::byte* constant(const Node& node, const Packing& packing, Staging& staging);
  kernels::MappedWeight mapped(int node, Staging& staging);
  void release(std::span<const MappedRead> reads) const;
  void run_timed(const HostTensors& host);

  CpuPlan plan_;
  const Weights& weights_;
  CpuShared& shared_;
  dnnl::stream stream_;
  int threads_;
  size_t inputs_ = 0;
  std::vector<std::byte*> used_;  // of packed_
  std::vector<Memory> constants_;
  struct PassingWeight {
    const std::string* name;
    Packer packer;
  };
  std::vector<std::byte*> passing_weights(size_t call, std::byte* place);
  void launch(size_t call, const HostTensors& host);

  std::vector<Launch> launches_;                            // of plan_.calls()
  std::vector<std::vector<PassingWeight>> passing_packed_;  // before each of them
  // Bytes that each of them reads and writes.
  std::vector<double> bytes_;
  MemoryUse memory_;
  bool profiling_ = false;
  std::vector<CallProfile> profile_;
};

}  // namespace inkstone::cpu
