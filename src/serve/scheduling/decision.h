// What a batcher decides: the run that the device makes next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "serve/wire/job_id.h"

namespace inkstone::serve {

struct Decision {
  enum class Kind { kNothing, kStep, kEncode, kDecode };  // kNothing: until something arrives
  Kind kind = Kind::kNothing;
  std::vector<JobId> jobs{};
  double seconds = 0;  // as predicted
};

// A decision with what the batcher needs when its report comes.
struct PlannedRun {
  Decision decision{};
  size_t bucket = 0;  // its number in the table of jobs
  int batch_rows = 0;
  double since = 0;  // when it was decided

  bool is(Decision::Kind kind) const { return decision.kind == kind; }
  // Whether it is a step and the job is in it.
  bool steps(JobId job) const { return is(Decision::Kind::kStep) && std::ranges::count(decision.jobs, job) > 0; }
};

}  // namespace inkstone::serve
