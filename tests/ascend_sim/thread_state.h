// What each thread of the user has of its own.
#pragma once

#include <atomic>
#include <string>

#include "world.h"

namespace ascend_sim {

struct ThreadState {
  Context* context = nullptr;
  std::string message, returned;  // for aclGetRecentErrMsg; what it gave last
  aclError last_error = 0;
  // of the call that is under way, for the work that it queues
  Outcome outcome;

  // changes when what hangs is to end
  static std::atomic<uint64_t> hang_generation;
};
ThreadState& thread_state();

}  // namespace ascend_sim
