// A step of a batch: jobs that run the same evaluation go together, as many at a time as there is a program and memory for,
// and each goes on as if it were alone. What is wrong with one of them ends that one.
#pragma once

#include <span>
#include <vector>

#include "diffusion/conditioner.h"
#include "diffusion/job.h"
#include "diffusion/program_cache.h"

namespace inkstone {

class Denoiser {
 public:
  Denoiser(ProgramCache& programs, Conditioner& conditioner) : programs_(programs), conditioner_(conditioner) {}

  // Jobs of one size, guided or not, each with its cross_kv: one evaluation, guidance and scheduler step of each, with the
  // result it would have alone. At most `max_jobs` in a call. Where it throws Error of kind kOutOfMemory no job has moved.
  std::vector<RowFault> step(std::span<Job* const> jobs, size_t max_jobs);

 private:
  size_t step_alike(std::span<Job* const> jobs, size_t max_jobs, std::vector<RowFault>& faults);
  void run_step(BoundProgram& program, std::span<Job* const> jobs, std::vector<RowFault>& faults);
  void bind_job(BoundProgram& program, const Job& job, size_t place);
  void advance(Job& job, const float* rows, std::vector<RowFault>& faults) const;

  ProgramCache& programs_;
  Conditioner& conditioner_;
};

}  // namespace inkstone
