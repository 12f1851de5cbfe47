#include "atc/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/error.h"

extern char** environ;

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kStops[] = {SIGINT, SIGTERM, SIGHUP};
constexpr int kPollMs = 100, kGraceMs = 2000;
constexpr auto kTick = std::chrono::milliseconds(500);
constexpr size_t kLongestLine = 4096;

std::mutex one_at_a_time;
// The group whose leader is our child, which is not yet reaped.
std::atomic<pid_t> running_group{0};
struct sigaction before[std::size(kStops)];
static_assert(std::atomic<pid_t>::is_always_lock_free);

bool has_ended(pid_t child) {
  siginfo_t info = {};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == child;
}

// Async-signal-safe. The leader stays a zombie, so that the group's number can't be reused.
void stop_group(pid_t group) {
  kill(-group, SIGTERM);
  for (int waited = 0; waited < kGraceMs && !has_ended(group); waited += 20) {
    const timespec moment = {0, 20'000'000};
    nanosleep(&moment, nullptr);
  }
  kill(-group, SIGKILL);
}

void on_stop(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  if (const pid_t group = running_group.exchange(0)) stop_group(group);
  for (size_t i = 0; i < std::size(kStops); ++i) {
    if (kStops[i] != signal) continue;
    if (before[i].sa_flags & SA_SIGINFO) {
      before[i].sa_sigaction(signal, info, context);
    } else if (before[i].sa_handler == SIG_DFL) {
      sigaction(signal, &before[i], nullptr);
      raise(signal);
    } else {
      before[i].sa_handler(signal);
    }
  }
  errno = error;
}

class StopsPassedOn {
 public:
  StopsPassedOn() {
    for (size_t i = 0; i < std::size(kStops); ++i) {
      sigaction(kStops[i], nullptr, &before[i]);
      if (!(before[i].sa_flags & SA_SIGINFO) && before[i].sa_handler == SIG_IGN) continue;  // nohup keeps its word
      struct sigaction action = {};
      action.sa_sigaction = on_stop;
      action.sa_flags = SA_RESTART | SA_SIGINFO;
      sigfillset(&action.sa_mask);
      sigaction(kStops[i], &action, nullptr);
    }
  }
  ~StopsPassedOn() {
    for (size_t i = 0; i < std::size(kStops); ++i) sigaction(kStops[i], &before[i], nullptr);
  }
};

// Where SIGCHLD is ignored, as some supervisors hand it down, the system forgets how a child ended.
class EndingsKept {
 public:
  EndingsKept() {
    sigaction(SIGCHLD, nullptr, &before_);
    const bool ignored = !(before_.sa_flags & SA_SIGINFO) && before_.sa_handler == SIG_IGN;
    if (!ignored && !(before_.sa_flags & SA_NOCLDWAIT)) return;
    struct sigaction usual = {};
    usual.sa_handler = SIG_DFL;
    changed_ = sigaction(SIGCHLD, &usual, nullptr) == 0;
  }
  ~EndingsKept() {
    if (changed_) sigaction(SIGCHLD, &before_, nullptr);
  }
  EndingsKept(const EndingsKept&) = delete;

 private:
  struct sigaction before_ = {};
  bool changed_ = false;
};

class Pipe {
 public:
  Pipe() { INKSTONE_CHECK(pipe2(ends_.data(), O_CLOEXEC) == 0, "cannot make a pipe: ", std::strerror(errno)); }
  ~Pipe() {
    for (int& end : ends_) close(end);
  }
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_write_end() { close(ends_[1]); }

 private:
  static void close(int& end) {
    if (end >= 0) ::close(std::exchange(end, -1));
  }
  std::array<int, 2> ends_ = {-1, -1};
};

// Keeps the beginning and the end of a long text.
class Kept {
 public:
  explicit Kept(size_t max_bytes) : half_(max_bytes / 2) {}
  void add(std::string_view text) {
    const size_t room = half_ - std::min(half_, first_.size());
    first_ += text.substr(0, room);
    last_ += text.substr(std::min(room, text.size()));
    if (last_.size() <= 2 * half_) return;
    left_out_ += last_.size() - half_;
    last_.erase(0, last_.size() - half_);
  }
  std::string text() const {
    return left_out_ ? first_ + "\n[" + std::to_string(left_out_) + " bytes left out]\n" + last_ : first_ + last_;
  }

 private:
  size_t half_ = 0, left_out_ = 0;
  std::string first_, last_;
};

class Lines {
 public:
  explicit Lines(const std::function<void(std::string_view)>& take) : take_(take) {}
  void add(std::string_view text) {
    if (!take_) return;
    for (const char c : text) {
      if (c == '\n' || c == '\r') {
        end();
      } else if (line_.size() < kLongestLine) {
        line_ += static_cast<unsigned char>(c) < ' ' || c == 127 ? ' ' : c;
      }
    }
  }
  void end() {
    if (take_ && !line_.empty()) take_(std::exchange(line_, {}));
    line_.clear();
  }

 private:
  const std::function<void(std::string_view)>& take_;
  std::string line_;
};

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const std::string& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_of(const ProcessCommand& command) {
  std::vector<std::string> result = command.environment;
  for (char** entry = environ; *entry; ++entry) {
    const std::string_view text = *entry, name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const std::string& other : command.environment) replaced = replaced || other.starts_with(name);
    if (!replaced) result.emplace_back(text);
  }
  return result;
}

// The child. The destructor ends and reaps it.
class Child {
 public:
  Child(const ProcessCommand& command, const Pipe& pipe) {
    std::vector<std::string> words{command.program.string()};
    words.insert(words.end(), command.arguments.begin(), command.arguments.end());
    const std::vector<std::string> environment = environment_of(command);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, pipe.write_end(), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, pipe.write_end(), STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&files, command.folder.c_str());
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) sigaddset(&usual, signal);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int error = posix_spawn(&id_, command.program.c_str(), &files, &attributes, pointers(words).data(),
                                  pointers(environment).data());
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    INKSTONE_CHECK(error == 0, "cannot start ", command.program.string(), " in ", command.folder.string(), ": ",
                   std::strerror(error));
    running_group = id_;
  }
  ~Child() {
    if (id_ > 0) wait();
  }
  bool ended() const { return has_ended(id_); }
  void stop() const { stop_group(id_); }
  // also ends what is left of the group
  int wait() {
    if (!ended()) stop();
    running_group = 0;
    kill(-id_, SIGKILL);
    int status = 0;
    pid_t ended = -1;
    do ended = waitpid(id_, &status, 0);
    while (ended < 0 && errno == EINTR);
    const bool known = ended == id_;
    id_ = -1;
    if (!known) return ProcessResult::kUnknown;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t id_ = -1;
};

}  // namespace

ProcessResult run_process(const ProcessCommand& command, const ProcessWatch& watch) {
  const std::lock_guard lock(one_at_a_time);
  const StopsPassedOn stops;
  const EndingsKept endings;
  Pipe pipe;
  Child child(command, pipe);
  pipe.close_write_end();
  fcntl(pipe.read_end(), F_SETFL, O_NONBLOCK);

  ProcessResult result;
  Kept kept(command.max_output);
  Lines lines(watch.line);
  const Clock::time_point start = Clock::now();
  Clock::time_point next_tick = start + kTick;
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  for (bool open = true, ended = false; open && !(ended && result.told_to_stop);) {
    if (!ended) ended = child.ended();
    pollfd wait = {pipe.read_end(), POLLIN, 0};
    const bool readable = poll(&wait, 1, ended ? 0 : kPollMs) > 0;
    std::array<char, 65536> buffer;
    const ssize_t got = readable ? read(pipe.read_end(), buffer.data(), buffer.size()) : -1;
    if (got > 0) {
      kept.add({buffer.data(), static_cast<size_t>(got)});
      lines.add({buffer.data(), static_cast<size_t>(got)});
    }
    // A grandchild that still holds the pipe must not keep us waiting.
    if (got == 0 || (got < 0 && ended)) open = false;
    if (Clock::now() < next_tick || !open) continue;
    next_tick = Clock::now() + kTick;
    if (watch.tick && !result.told_to_stop && !watch.tick(seconds())) {
      result.told_to_stop = true;
      child.stop();
    }
  }
  // The program closed its streams and still runs.
  while (!child.ended() && !result.told_to_stop) {
    poll(nullptr, 0, kPollMs / 10);
    if (Clock::now() < next_tick) continue;
    next_tick = Clock::now() + kTick;
    if (watch.tick && !watch.tick(seconds())) result.told_to_stop = true;
  }
  lines.end();
  result.code = child.wait();
  result.seconds = seconds();
  result.output = kept.text();
  return result;
}

}  // namespace inkstone
