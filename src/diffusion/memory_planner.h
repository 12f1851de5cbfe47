// The memory policy: it gives things up, cheapest first, until a request or a server's capacity
// fits into the budget.
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
  // unset: bf16 if it is faster, else fp32
  std::optional<Precision> precision;
  Choice vae_tiling = Choice::kAuto;
  Choice attention_slicing = Choice::kAuto;
  // Bytes for weights, arenas and scratch; 0: what the machine has free.
  size_t memory_budget = 0;
  // Of the process besides its engines; 0: what it has when the engine is made.
  size_t program_bytes = 0;
};

// What a server must be able to run. Its memory is planned once for this, and not again for single
// requests.
struct Capacity {
  // Jobs that hold their cross_kv, for each job in a step.
  static constexpr int kJobsWithCrossKv = 2;
  int jobs = 1;                      // in one step, at most
  int max_side = 2048;               // pixels
  int64_t max_pixels = 1024 * 1024;  // of one image
  int prompt_chunks = 3;             // of text, each of 75 tokens

  RequestLimits limits() const;  // what a request may then ask
};

struct PlanKey {  // what a plan depends on
  int width = 0, height = 0;
  bool guided = true;
  bool cached = false;             // a cache interval
  bool partly_guided = false;      // a guidance interval
  int chunks = 1;                  // of text
  bool encodes = false;            // begins with a picture
  std::vector<int> controls{};     // that it uses, each once
  bool several_nets = false;       // in one evaluation
  std::vector<int> upscalers{};    // of Pipeline::upscalers, that it uses
  std::pair<int, int> upscaled{};  // the size of what they enlarge; 0: the sizes that are planned for
  auto operator<=>(const PlanKey&) const = default;
};

class MemoryPlanner {
 public:
  static constexpr size_t kDecodersKept = 4, kPreviewDecodersKept = 2;

  MemoryPlanner(const Pipeline& pipeline, Backend& backend, PlanOptions options);
  // for later plans; 0: what is free
  void set_budget(size_t bytes);
  Precision precision() const;  // of every plan
  // Whether there is a VAE encoder for images of that width and height: none in some models, and none that is compiled
  // ahead where it was not exported.
  bool encodes(std::pair<int, int> size) const;
  bool upscales(int upscaler, std::pair<int, int> size) const;  // the same of an upscaler, and what it enlarges
  // Throws UsageError naming the smallest budget that works if it cannot fit.
  const EnginePlan& plan(const PlanKey& key);
  // One plan for all requests, made for the largest, without approximations. If memory is too small
  // for that many jobs in a step, the plan has fewer (EnginePlan::jobs). Throws UsageError if it is
  // too small for one.
  EnginePlan reserve(const Capacity& capacity);

 private:
  class Draft;
  std::vector<std::pair<int, int>> extreme_sizes(const Capacity& capacity) const;
  int chunks_that_run(const Capacity& capacity, std::pair<int, int> size) const;

  const Pipeline& pipeline_;
  Backend& backend_;
  PlanOptions options_;
  const size_t owned_bytes_, made_bytes_;     // of the weights: in all, and there already
  const size_t program_bytes_, memory_free_;  // when the planner was made, without those
  std::map<PlanKey, EnginePlan> plans_;
};

}  // namespace inkstone
