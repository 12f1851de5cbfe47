#include "app/signals.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "app/machine.h"
#include "base/file.h"

namespace inkstone {
namespace {

// All that a handler reads. Lock-free, so it may.
std::atomic<bool> json_wanted{false}, json_log_wanted{false}, on_terminal{false};
std::atomic<const char*> stop_line{"inkstone: interrupted\n"};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<const char*>::is_always_lock_free);

// What a full pipe does not take is lost: the program must end.
void write_text(int descriptor, const char* text) {
  pollfd output{descriptor, POLLOUT, 0};
  if (poll(&output, 1, 0) != 1 || !(output.revents & POLLOUT)) return;
  if (write(descriptor, text, std::strlen(text)) < 0) return;
}

[[noreturn]] void leave(const char* line, const char* json, int code) {
  if (const char* file = unfinished_file()) unlink(file);
  if (json_log_wanted) {
    write_text(STDERR_FILENO, json);
  } else {
    if (on_terminal) write_text(STDERR_FILENO, "\n");
    write_text(STDERR_FILENO, line);
  }
  if (json_wanted) write_text(STDOUT_FILENO, json);
  _exit(code);
}

void on_stop(int signal) { leave(stop_line, "{\"error\":\"interrupted\"}\n", 128 + signal); }

void on_bus_error(int) {
  leave("inkstone: a file of the model was cut off by another program while it was being read: get the model anew\n",
        "{\"error\":\"a file of the model was cut off while it was being read\"}\n", 1);
}

void handle(int signal, void (*handler)(int)) {
  struct sigaction before {};
  // A program started to outlive its terminal (nohup) keeps its orders.
  if (signal != SIGBUS && sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = handler;
  sigfillset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

void install_signal_handlers(bool json, bool json_log) {
  json_wanted = json;
  json_log_wanted = json_log;
  on_terminal = is_terminal(STDERR_FILENO);
  for (int failed_write : {SIGPIPE, SIGXFSZ}) signal(failed_write, SIG_IGN);
  for (int stop : {SIGINT, SIGTERM, SIGHUP}) handle(stop, on_stop);
  handle(SIGBUS, on_bus_error);
}

void say_when_stopped(const char* line) { stop_line = line; }

void result_is_printed() { json_wanted = false; }

}  // namespace inkstone
