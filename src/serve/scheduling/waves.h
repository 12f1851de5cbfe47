// What runs next with Batching::kOff and kStatic: a wave of jobs is chosen, and nothing else runs
// until it has ended. The table of jobs knows who is in the wave.
#pragma once

#include "serve/scheduling/job_table.h"

namespace inkstone::serve {

PlannedRun next_of_wave(JobTable& table, bool one_job);
// The run did not fit: whoever has no room in its bucket any more waits for a wave to come.
void leave_wave(JobTable& table, const PlannedRun& run);

}  // namespace inkstone::serve
