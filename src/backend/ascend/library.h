// Finds and opens AscendCL at run time, so that every build carries this backend and none needs
// CANN to be built.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backend/ascend/acl_api.h"
#include "backend/ascend/npu_chip.h"

namespace inkstone::ascend {

struct Library {
  Api api;
  std::string path;  // of libascendcl.so, as it was opened
};

// Where libascendcl.so is looked for, in this order: INKSTONE_ASCENDCL (a file; then nowhere else),
// the loader's own path, the folders that CANN's set_env.sh names, the folders that CANN is usually
// installed into.
std::vector<std::string> library_candidates();

// Throws Error with what is missing, where it was looked for and how to get it. It stays open until
// the process ends, because CANN's threads go on.
Library open_library();

// Why it cannot be opened; nothing where it can. A child process tries, so that none of CANN's threads
// and memory stay in this one.
std::optional<NpuAbsence> library_absence();

}  // namespace inkstone::ascend
