#include "app/program.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

namespace inkstone {
namespace {

namespace fs = std::filesystem;

void redirect(const fs::path& file, int flags, int descriptor) {
  const int opened = open(file.c_str(), flags, 0600);
  if (opened < 0 || dup2(opened, descriptor) < 0) _exit(126);
}

}  // namespace

fs::path program_path() {
  if (const char* stated = std::getenv("INKSTONE_BINARY")) return stated;
  std::error_code error;
  const fs::path test = fs::read_symlink("/proc/self/exe", error);
  for (const fs::path& folder : {test.parent_path().parent_path(), test.parent_path()})
    if (fs::is_regular_file(folder / "inkstone", error)) return folder / "inkstone";
  return "";
}

void ProgramRun::start(const std::vector<std::string>& arguments) {
  const std::string program = program_path().string();
  std::vector<char*> values{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) values.push_back(const_cast<char*>(argument.c_str()));
  values.push_back(nullptr);
  streams_.write("in", input);
  for (const char* stream : {"out", "error"}) streams_.write(stream, "");
  child_ = fork();
  if (child_ < 0) throw std::runtime_error("cannot fork");
  if (child_ > 0) return;

  redirect(streams_.path() / "in", O_RDONLY, STDIN_FILENO);
  redirect(streams_.path() / "out", O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
  redirect(streams_.path() / "error", O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
  if (chdir(folder.path().c_str()) != 0) _exit(126);
  for (const auto& [name, value] : environment) setenv(name.c_str(), value.c_str(), 1);
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE})
    signal(number, SIG_DFL);  // a test in the background inherits SIG_IGN
  if (max_file_bytes) {
    const rlimit limit{max_file_bytes, max_file_bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  execv(program.c_str(), values.data());
  _exit(127);
}

std::string ProgramRun::output_so_far() const { return text_of(streams_.path() / "out"); }

std::string ProgramRun::error_so_far() const { return text_of(streams_.path() / "error"); }

std::string ProgramRun::name() const { return text_of("/proc/" + std::to_string(child_) + "/comm"); }

void ProgramRun::send(int signal) const { kill(child_, signal); }

Outcome ProgramRun::wait() {
  int status = 0;
  if (waitpid(child_, &status, 0) != child_) throw std::runtime_error("cannot wait for the program");
  child_ = -1;
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), text_of(streams_.path() / "out"),
          error_so_far()};
}

Outcome ProgramRun::run(const std::vector<std::string>& arguments) {
  start(arguments);
  return wait();
}

}  // namespace inkstone
