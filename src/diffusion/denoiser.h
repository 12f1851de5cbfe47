// Advances a batch of jobs by one step. Jobs with the same kind of evaluation run together, as many
// at a time as there is a program and memory for. Each gets the result that it would have alone,
// and a fault of one job ends only that job.
#pragma once

#include <span>
#include <vector>

#include "diffusion/conditioner.h"
#include "diffusion/control_steps.h"
#include "diffusion/job.h"
#include "diffusion/program_cache.h"

namespace inkstone {

class Denoiser {
 public:
  Denoiser(const Pipeline& pipeline, ProgramCache& programs, Conditioner& conditioner)
      : programs_(programs), conditioner_(conditioner), controls_(pipeline, programs, conditioner) {}

  // The jobs have one image size, and may be guided or not. Each makes one evaluation, in one pass or
  // several, applies guidance and takes one scheduler step; at most `max_jobs` share a call. If
  // it throws Error of kind kOutOfMemory, no job has advanced.
  std::vector<RowFault> step(std::span<Job* const> jobs, size_t max_jobs);
  // What the pass of the job's next evaluation reads of its prompts; step() asks for it by itself.
  void condition(Job& job, size_t pass = 0);
  ControlSteps& controls() { return controls_; }

 private:
  struct Outcome {
    std::vector<RowFault> faults;
    bool moved = false;  // a job has advanced
  };
  void run_pass(std::span<Job* const> jobs, size_t pass, size_t max_jobs, Outcome& outcome);
  size_t step_alike(std::span<Job* const> jobs, size_t pass, size_t max_jobs, Outcome& outcome);
  void run_step(BoundProgram& program, std::span<Job* const> jobs, size_t pass, Outcome& outcome);
  void bind_job(BoundProgram& program, Job& job, size_t pass, size_t place);
  void advance(Job& job, std::vector<RowFault>& faults) const;

  ProgramCache& programs_;
  Conditioner& conditioner_;
  ControlSteps controls_;
};

}  // namespace inkstone
