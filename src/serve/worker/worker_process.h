// What makes a process a worker: it dies with its gateway, is killed before it if memory is short,
// and runs at a lower priority.
#pragma once

namespace inkstone::serve {

// The descriptor that a gateway gives its worker.
inline constexpr int kWorkerSocket = 3;

// Whether there is a gateway at the other end of `socket`.
bool is_worker_socket(int socket);

// Of the whole process: signals that stop a gateway are the gateway's to pass on, so they are
// ignored here; where the thread that started this process ends, the kernel kills it.
void become_worker_process(int socket);

}  // namespace inkstone::serve
