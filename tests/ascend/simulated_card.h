// The simulated Ascend card as these tests use it: what it counted, the faults it is told to have,
// and the demo model compiled for it (by the test named ascend_export, which runs before the
// others).
#pragma once

#include <memory>
#include <string>

#include "base/image.h"
#include "base/json.h"
#include "diffusion/engine.h"

namespace inkstone {

// as new when it is made; one at a time
class SimulatedCard {
 public:
  explicit SimulatedCard(const std::string& settings = "");
  ~SimulatedCard();
  void set(const std::string& settings);  // "fault=aclrtMalloc:1:207001;slow=..."; see tests/ascend_sim/README.md
  JsonObject report() const;
  int64_t copies(const std::string& kind) const;  // "h2d", "d2h", "d2d"
  int64_t device_allocations() const;
  // Empty where nothing of the card's is held and no rule was broken.
  std::string left_behind() const;
};

std::string compiled_demo(const std::string& name = "fp32");  // the folder
std::unique_ptr<Engine> npu_engine(const std::string& compiled = compiled_demo(), size_t memory_budget = 0);
std::unique_ptr<Engine> host_engine(const std::string& device = "cpu");  // fp32

// Of any model, on "npu:0" with what was compiled, or elsewhere in fp32.
std::unique_ptr<Engine> engine_of(Pipeline model, const std::string& device, const std::string& compiled = "");

ImageRequest demo_request(const Engine& engine, const std::string& prompt, uint64_t seed,
                          SchedulerKind kind = SchedulerKind::kDdim, int steps = 4);
Image draw(Engine& engine, const ImageRequest& request);

}  // namespace inkstone
