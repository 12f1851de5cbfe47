// What makes a process a worker: it dies with its gateway, before it where memory is short, and gives way to it.
#pragma once

namespace inkstone::serve {

inline constexpr int kWorkerSocket = 3;  // the descriptor that a gateway gives its worker

// Whether there is a gateway at the other end of `socket`.
bool is_worker_socket(int socket);

// Of the whole process: signals that stop a gateway are the gateway's to pass on, so they are ignored here; where the thread that
// started this process ends, the kernel kills it.
void become_worker_process(int socket);

}  // namespace inkstone::serve
