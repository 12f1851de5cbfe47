// The engine: requests go in as jobs, each step advances any mix of them, images come out. An image depends on its request
// alone.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/image.h"
#include "diffusion/conditioner.h"
#include "diffusion/denoiser.h"
#include "diffusion/image_upscaler.h"
#include "diffusion/job.h"
#include "diffusion/memory_planner.h"
#include "diffusion/pipeline.h"
#include "diffusion/program_cache.h"
#include "diffusion/vae_codec.h"

namespace inkstone {

struct EngineOptions : PlanOptions {
  std::string device = "cpu";
  std::string compiled;  // the folder of `inkstone export`, for devices whose programs are compiled ahead
};

class Engine {
 public:
  Engine(Pipeline pipeline, EngineOptions options);
  ~Engine();
  const Pipeline& pipeline() const { return pipeline_; }
  const EngineOptions& options() const { return options_; }
  Backend& backend() { return *backend_; }        // to be asked how it fares
  ProgramCache& programs() { return programs_; }  // for measurements and tests

  // RequestError for a request that cannot run here (sizes, steps, guidance), or is beyond what was reserved.
  ResolvedRequest resolve(const ImageRequest& request) const;
  // For the requests that start from now on, and without what was reserved; 0: what the machine has free.
  void set_memory_budget(size_t bytes);
  Precision precision() const { return planner_.precision(); }  // of every plan
  // UsageError for a budget that cannot be kept, with the least that can.
  EnginePlan plan(const ResolvedRequest& request);
  // From now on one plan for all requests (MemoryPlanner::reserve). resolve() refuses what is beyond it.
  const EnginePlan& reserve(const Capacity& capacity);

  // Packs weights and compiles for this size; `on_component` is told before each one. start() does what is left of it.
  void prepare(const ResolvedRequest& request,
               const std::function<void(const std::string& component)>& on_component = {});
  // [1, 77 chunks, context]; the last few are kept.
  const Tensor& encode_text(const PromptText& text, int clip_skip = 1);

  // prompt -> conditioning; seed -> noise, or a picture with noise. `before`: the leg whose latent, and noise yet to be
  // drawn, it goes on from; it may be another engine's.
  Job start(ResolvedRequest request, const Job* before = nullptr);
  void step(Job& job);  // U-Net, guidance, one scheduler step; throws Error where the model gave NaN
  // The same for jobs of one size, guided or not (Denoiser::step).
  std::vector<RowFault> step(std::span<Job* const> jobs);
  Image finish(Job& job);        // latent -> pixels
  Image decode(const Job& job);  // the same, whatever steps are left: then of the estimate
  // Of an unfinished job: its estimate of the image, by the pipeline's preview decoder; nothing without one, or where
  // the device has no program for it.
  std::optional<Image> preview(const Job& job);
  // Gives back all memory but the model's own weights that are in no file. The next job takes it again.
  void leave_memory();
  void offload(Job& job);  // what is large of a job that waits leaves memory until its next step

 private:
  void replace_plan(EnginePlan plan);
  bool encodes(const ResolvedRequest& request) const;  // some picture
  JobPrompts prompts_of(const ResolvedRequest& request) const;
  void prepare_for(const ResolvedRequest& request, int chunks,
                   const std::function<void(const std::string& component)>& on_component);

  const Pipeline pipeline_;
  EngineOptions options_;
  const std::unique_ptr<Backend> backend_;
  MemoryPlanner planner_;
  ProgramCache programs_;
  Conditioner conditioner_;
  Denoiser denoiser_;
  VaeCodec codec_;
  ImageUpscaler upscaler_;
  std::optional<Capacity> capacity_;
};

}  // namespace inkstone
