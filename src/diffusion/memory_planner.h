// The memory policy: what is given up, cheapest first, until a request or a server's capacity fits into the budget.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "diffusion/memory_plan.h"
#include "diffusion/pipeline.h"
#include "diffusion/resolved_request.h"

namespace inkstone {

struct PlanOptions {
  std::optional<Precision> precision;  // unset: bf16 where the device is faster in it, else fp32
  Choice vae_tiling = Choice::kAuto;
  Choice attention_slicing = Choice::kAuto;
  size_t memory_budget = 0;  // bytes of memory for weights, arenas and scratch; 0: what the machine has free
};

// What a server promises to take, whatever the requests: its memory is planned once, and never again for a single one.
struct Capacity {
  static constexpr int kJobsWithCrossKv = 2;  // jobs that hold what their prompts gave, for each in a call
  int jobs = 1;                               // in one call of the U-Net, at most
  int max_side = 2048;                        // pixels
  int64_t max_pixels = 1024 * 1024;           // of one image

  RequestLimits limits() const;  // what a request may then ask
};

struct PlanKey {  // what a plan depends on
  int width = 0, height = 0;
  bool guided = true;
  bool cached = false;         // a cache interval
  bool partly_guided = false;  // a guidance interval
  auto operator<=>(const PlanKey&) const = default;
};

class MemoryPlanner {
 public:
  static constexpr int kMaxPixels = 16384;  // a side
  static constexpr size_t kDecodersKept = 4;

  MemoryPlanner(const Pipeline& pipeline, Backend& backend, PlanOptions options);
  const PlanOptions& options() const { return options_; }
  void set_budget(size_t bytes);  // for the plans from now on; 0: what the machine has free
  // UsageError where it cannot fit, with the least that can.
  const EnginePlan& plan(const PlanKey& key);
  // One plan for all requests, made for the largest, without approximations. Where memory is too small for so many jobs in
  // a call, there are fewer (EnginePlan::jobs); UsageError where it is too small for one.
  EnginePlan reserve(const Capacity& capacity);

 private:
  class Draft;
  std::vector<std::pair<int, int>> extreme_sizes(const Capacity& capacity) const;

  const Pipeline& pipeline_;
  Backend& backend_;
  PlanOptions options_;
  const size_t program_bytes_, memory_free_;  // when it was made
  std::map<PlanKey, EnginePlan> plans_;
};

}  // namespace inkstone
