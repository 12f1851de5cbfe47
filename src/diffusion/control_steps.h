// What the ControlNets and T2I-Adapters of a request add to the U-Net: the first anew in each step, the others once for
// each picture.
#pragma once

#include <vector>

#include "diffusion/conditioner.h"
#include "diffusion/job.h"
#include "diffusion/program_cache.h"

namespace inkstone {

class ControlSteps {
 public:
  ControlSteps(const Pipeline& pipeline, ProgramCache& programs, Conditioner& conditioner)
      : pipeline_(pipeline), programs_(programs), conditioner_(conditioner) {}

  // Reads the pictures. Throws RequestError for one that is none.
  void start(Job& job);
  // What the ControlNets of the job's next evaluation read of the texts of job.conditioned.
  void condition(Job& job);
  // Runs the job's ControlNets for a pass of its next evaluation, and binds what the U-Net's step takes of all controls.
  // `program` must run before the next job is bound, if it is for one job.
  void bind(BoundProgram& program, Job& job, size_t pass, size_t place);
  void forget();  // what it keeps between jobs

 private:
  std::vector<size_t> running(const Job& job, bool adapters) const;  // by their index in job.controls
  void run_net(const Job& job, size_t index, size_t pass, bool adds);
  void sum_features(Job& job) const;

  const Pipeline& pipeline_;
  ProgramCache& programs_;
  Conditioner& conditioner_;
  std::vector<Tensor> residuals_[2];  // the last ControlNet's, and those that it adds to
  size_t last_ = 0;
};

}  // namespace inkstone
