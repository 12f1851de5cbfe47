#include "serve/worker/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

namespace inkstone::serve {
namespace {

constexpr int kNicer = 5;
constexpr const char kFirstToGo[] = "500";  // of oom_score_adj, -1000 to 1000

bool gateway_is_gone(int socket) {
  pollfd asked{socket, POLLIN, 0};
  return poll(&asked, 1, 0) > 0 && (asked.revents & (POLLHUP | POLLERR | POLLNVAL));
}

void write_text(const char* file, const char* text, size_t size) {
  const int opened = open(file, O_WRONLY | O_CLOEXEC);
  if (opened < 0) return;
  if (write(opened, text, size) < 0) {  // not allowed everywhere, and not needed
  }
  close(opened);
}

}  // namespace

bool is_worker_socket(int socket) {
  int type = 0;
  socklen_t size = sizeof type;
  return getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

void become_worker_process(int socket) {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
  fcntl(socket, F_SETFD, FD_CLOEXEC);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  INKSTONE_CHECK(!gateway_is_gone(socket), "the gateway was gone before its worker began");  // no signal comes any more
  write_text("/proc/self/oom_score_adj", kFirstToGo, sizeof kFirstToGo - 1);
  setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + kNicer);
}

}  // namespace inkstone::serve
