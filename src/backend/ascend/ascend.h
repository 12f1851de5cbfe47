// The backend `ascend`: it runs `.om` files, which ATC made of our graphs, by AscendCL, which is
// opened at run time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "backend/backend.h"

namespace inkstone {

struct AscendCounters {  // since the backend was opened
  uint64_t copies_to_device = 0, copies_to_host = 0, copies_on_device = 0;
  uint64_t bytes_to_device = 0, bytes_to_host = 0, bytes_on_device = 0;
  uint64_t device_allocations = 0, host_allocations = 0;  // aclrtMalloc, aclrtMallocHost
  uint64_t executions = 0, loads = 0, unloads = 0;        // of models
};

struct AscendStatus {
  AscendCounters counters;
  std::string soc, cann;   // as AscendCL says: "Ascend910B4", "8.1.RC1"
  bool simulated = false;  // it says so itself
  // the error that lost the device; empty while it works
  std::string unusable;
  size_t memory_free = 0, memory_total = 0;
  size_t weights = 0, work = 0;  // of the loaded models
  // Memory of tensors and ports. largest_free divided by free tells how fragmented it is.
  size_t tensors_reserved = 0, tensors_used = 0, tensors_free = 0, tensors_largest_free = 0;
};

// Device `index` of those that AscendCL lists. Throws Error if AscendCL or the device is absent,
// UsageError without a folder of compiled files.
std::unique_ptr<Backend> open_ascend_backend(int index, const BackendOptions& options);

// The status of an `ascend` backend; nothing for other backends.
std::optional<AscendStatus> ascend_status(Backend& backend);

}  // namespace inkstone
