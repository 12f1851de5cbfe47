#include "redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

namespace inkstone::serve {
namespace {

// One program is server and checker, by the name that it is started with. Debian's redis-tools has it, and no service that
// would start.
constexpr const char* kProgram = "/usr/bin/redis-check-rdb";

}  // namespace

bool RedisServer::there_is_one() { return access(kProgram, X_OK) == 0; }

RedisServer::RedisServer(const std::vector<std::string>& more) : more_(more) { start(); }
RedisServer::~RedisServer() { kill(); }

RedisAddress RedisServer::address() const {
  RedisAddress address;
  address.socket = folder() / "socket";
  return address;
}

void RedisServer::start() {
  std::vector<std::string> words{"redis-server",
                                 "--port",
                                 "0",
                                 "--unixsocket",
                                 (folder() / "socket").string(),
                                 "--dir",
                                 folder().string(),
                                 "--save",
                                 "",
                                 "--daemonize",
                                 "no"};
  words.insert(words.end(), more_.begin(), more_.end());
  std::filesystem::remove((folder() / "socket").string());
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int log = open((folder() / "log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(log, 1);
    dup2(log, 2);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execv(kProgram, arguments.data());
    _exit(127);
  }
  for (int i = 0; i < 1000 && !std::filesystem::exists((folder() / "socket").string()); i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

void RedisServer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void RedisServer::stop_for_now() { ::kill(pid_, SIGSTOP); }
void RedisServer::go_on() { ::kill(pid_, SIGCONT); }

}  // namespace inkstone::serve
