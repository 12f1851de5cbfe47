// The backend `cpu`: it runs the passes, then makes plan and program.
#include "backend/cpu/cpu.h"
#include "backend/cpu/device.h"
#include "backend/cpu/kernels/peak.h"
#include "backend/cpu/program.h"
#include "base/error.h"
#include "compile/passes.h"

namespace inkstone::cpu {
namespace {

// A map with fewer pixels would save too little memory in bands. A band of kBandRows rows keeps
// every core busy.
constexpr int64_t kTiledPixels = 128 * 128, kBandRows = 32;

class CpuBackend : public Backend {
 public:
  DeviceInfo info() const override { return describe_cpu(); }

  std::unique_ptr<Program> compile(const Graph& graph, const Weights& weights, const CompileOptions& options) override {
    return std::make_unique<CpuProgram>(planned(graph, weights, options), weights, shared_);
  }

  MemoryUse plan(const Graph& graph, const Weights& weights, const CompileOptions& options) override {
    return planned(graph, weights, options).memory();
  }

  double peak_flops(DType type, int tries) override { return kernels::probe_peak(type, tries); }
  void trim() override {
    shared_.packed.free_unused();
    shared_.workspace.trim();
  }

 private:
  CpuPlan planned(const Graph& graph, const Weights& weights, const CompileOptions& options) {
    INKSTONE_CHECK_USAGE(options.precision == Precision::kFp32 || options.precision == Precision::kBf16, "precision ",
                         name_of(options.precision),
                         ": the cpu computes in fp32 or bf16; fp16 and mixed are for Ascend");
    const DType type = options.precision == Precision::kBf16 ? DType::kBF16 : DType::kF32;
    Graph better = compile::choose_precision(compile::fuse(compile::fold(graph)), type);
    if (options.vae_tiling)
      better = compile::tile_rows(better, kTiledPixels, options.band_rows ? options.band_rows : kBandRows);
    return CpuPlan(std::move(better), options, shared_.engine, &weights, &shared_.planner);
  }

  CpuShared shared_;
};

}  // namespace
}  // namespace inkstone::cpu

namespace inkstone {

std::unique_ptr<Backend> open_cpu_backend() { return std::make_unique<cpu::CpuBackend>(); }

}  // namespace inkstone
