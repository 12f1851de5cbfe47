// What the system says of a process: for metrics, under the names that Prometheus' clients use.
#pragma once

#include <cstdint>

namespace inkstone::serve {

struct ProcessFigures {  // 0 where unknown
  double cpu_seconds = 0;
  double start_time = 0;  // seconds since 1970
  int64_t resident_bytes = 0, virtual_bytes = 0;
  int64_t open_fds = 0, max_fds = 0;
};

// Of this process. Descriptors are counted once a second at most, because that takes a while where
// there are many.
ProcessFigures own_process();
// 0 where there is no such process.
int64_t resident_bytes_of(int pid);

}  // namespace inkstone::serve
