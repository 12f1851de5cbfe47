#include "serve/gateway/worker_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"

namespace inkstone::serve {
namespace {

constexpr int kItsEnd = 3;  // descriptor
// A packet must fit; the system may allow less.
constexpr int kSocketBytes = 4 << 20;
constexpr int kMaxAtOnce = 32;  // reports, before others have their turn

struct Spawning {  // what posix_spawn is told
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  Spawning() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~Spawning() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
};

// A group of its own, so that Ctrl-C reaches the gateway alone; no signal blocked or ignored; no
// descriptor of ours but the standard ones and its end of the pair.
pid_t spawn(const std::vector<std::string>& program, int its_end) {
  Spawning spawning;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&spawning.attributes, &none);
  posix_spawnattr_setsigdefault(&spawning.attributes, &all);
  posix_spawnattr_setpgroup(&spawning.attributes, 0);
  posix_spawnattr_setflags(&spawning.attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  posix_spawn_file_actions_adddup2(&spawning.files, its_end, kItsEnd);
  posix_spawn_file_actions_addclosefrom_np(&spawning.files, kItsEnd + 1);
  std::vector<char*> arguments;
  for (const std::string& argument : program) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, arguments[0], &spawning.files, &spawning.attributes, arguments.data(), environ);
  INKSTONE_CHECK(error == 0, "cannot start the worker ", program[0], ": ", std::strerror(error));
  return pid;
}

}  // namespace

WorkerProcess::WorkerProcess(boost::asio::io_context& events, const std::vector<std::string>& program,
                             WorkerListener& listener)
    : socket_(events), listener_(listener) {
  INKSTONE_CHECK(!program.empty(), "a worker without a program");
  int ends[2];
  INKSTONE_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0,
                 "no socket pair for a worker: ", std::strerror(errno));
  socket_.assign(ends[0]);
  socket_.non_blocking(true);
  for (const int end : ends) setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kSocketBytes, sizeof kSocketBytes);
  try {
    pid_ = spawn(program, ends[1]);
  } catch (...) {
    close(ends[1]);
    throw;
  }
  close(ends[1]);
  listen();
}

WorkerProcess::~WorkerProcess() {
  kill();
  // Longer only where the kernel cannot end it.
  for (int i = 0; i < 5000 && !reaped(); i++) usleep(1000);
}

void WorkerProcess::listen() {
  socket_.async_wait(socket_.wait_read, [this, alive = std::weak_ptr(alive_)](const boost::system::error_code& error) {
    if (!error && !alive.expired() && !killed_) hear();
  });
}

void WorkerProcess::hear() noexcept {
  const std::weak_ptr alive(alive_);
  try {
    for (int i = 0; i < kMaxAtOnce; i++) {
      bool closed = false;
      std::optional<WorkerReport> report = receive_report(socket_.native_handle(), &closed, max_pixel_bytes_);
      if (closed) return listener_.exited("its socket closed");
      if (!report) break;
      listener_.reported(std::move(*report));
      if (alive.expired() || killed_) return;
    }
    listen();
  } catch (const std::exception& error) {
    listener_.exited(error.what());
  }
}

void WorkerProcess::send(const WorkerCommand& command, size_t max_pixel_bytes) {
  if (!std::holds_alternative<DropCommand>(command)) max_pixel_bytes_ = max_pixel_bytes;
  send_command(socket_.native_handle(), command);
}

void WorkerProcess::kill() {
  if (killed_) return;
  killed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  if (!reaped()) ::kill(pid_, SIGKILL);
}

bool WorkerProcess::reaped() {
  if (!reaped_) reaped_ = waitpid(pid_, nullptr, WNOHANG) != 0;
  return reaped_;
}

}  // namespace inkstone::serve
