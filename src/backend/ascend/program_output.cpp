#include "backend/ascend/program_output.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

extern char** environ;

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  int number() const { return number_; }
  void close() {
    if (number_ >= 0) ::close(number_);
    number_ = -1;
  }

 private:
  int number_;
};

// Starts it in a process group of its own, so that all of it can be killed, and with default signal
// handling, as a shell would.
int start(const std::vector<std::string>& command, int output, pid_t& child) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t reset;
  sigemptyset(&reset);
  for (int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM, SIGHUP}) sigaddset(&reset, signal);
  posix_spawnattr_setsigdefault(&attributes, &reset);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawn(&child, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

int left(Clock::time_point deadline) {
  const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::max<decltype(rest)>(rest, 0));
}

enum class Ending { kClosed, kLate, kLong };

Ending read_to_end(int descriptor, Clock::time_point deadline, size_t max_bytes, std::string& text) {
  char piece[1 << 14];
  for (;;) {
    pollfd ready{descriptor, POLLIN, 0};
    const int count = poll(&ready, 1, left(deadline));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Ending::kLate;
    const ssize_t got = read(descriptor, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Ending::kClosed;
    text.append(piece, std::min(static_cast<size_t>(got), max_bytes - text.size()));
    if (text.size() == max_bytes) return Ending::kLong;
  }
}

// Whether it ended by itself in time.
bool wait_until(pid_t child, Clock::time_point deadline, int& status) {
  constexpr auto kPause = std::chrono::milliseconds(2);
  for (;;) {
    const pid_t ended = waitpid(child, &status, WNOHANG);
    // Where SIGCHLD is ignored, the system forgets how a child ended. What it printed is judged then.
    if (ended == child || (ended < 0 && errno == ECHILD)) return true;
    if ((ended < 0 && errno != EINTR) || left(deadline) == 0) return false;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

ProgramOutput program_output(const std::vector<std::string>& command, int max_milliseconds, size_t max_bytes) {
  ProgramOutput output;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    output.problem = std::string("could not be started: ") + std::strerror(errno);
    return output;
  }
  Descriptor from(ends[0]), to(ends[1]);
  pid_t child = -1;
  if (const int error = start(command, to.number(), child)) {
    output.problem = std::string("could not be started: ") + std::strerror(error);
    return output;
  }
  to.close();
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(max_milliseconds);
  const Ending ending = read_to_end(from.number(), deadline, max_bytes, output.text);
  int status = 0;
  const bool ended = ending == Ending::kClosed && wait_until(child, deadline, status);
  if (ending == Ending::kLong)
    output.problem = "printed more than " + std::to_string(max_bytes) + " bytes and was stopped";
  else if (!ended)
    output.problem = "took more than " + std::to_string(max_milliseconds) + " ms and was stopped";
  if (!ended) {
    kill(-child, SIGKILL);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
  }
  output.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return output;
}

}  // namespace inkstone
