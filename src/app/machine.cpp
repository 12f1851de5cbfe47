#include "app/machine.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/environment.h"
#include "base/error.h"

namespace inkstone {
namespace {

// A pipe that poll() finds ready takes so many bytes without a wait: PIPE_BUF.
constexpr size_t kPipePiece = 4096;

bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

void open_missing_streams() {
  for (int stream :
       {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})  // open() takes the lowest free number; writing fails still
    if (fcntl(stream, F_GETFD) < 0 && open("/dev/null", O_RDONLY) < 0) return;
}

bool is_terminal(int descriptor) { return isatty(descriptor) == 1; }

int terminal_columns() {
  constexpr int kLeast = 20, kUsual = 80;
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return std::max<int>(kLeast, size.ws_col);
  const int stated = std::atoi(environment(Variable::kColumns).value_or("").c_str());
  return stated > 0 ? std::max(kLeast, stated) : kUsual;
}

TerminalSize terminal_size() {
  TerminalSize size;
  size.columns = terminal_columns();
  winsize told{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &told) != 0 || told.ws_col == 0 || told.ws_row == 0) return size;
  size.rows = told.ws_row;
  const int width = told.ws_xpixel / told.ws_col, height = told.ws_ypixel / told.ws_row;
  if (width > 0 && height > 0) size.cell_width = width, size.cell_height = height;
  return size;
}

void restart_with_short_spins(char** arguments) {
  if (environment(Variable::kGompSpinCount) || environment(Variable::kOmpWaitPolicy)) return;
  setenv("GOMP_SPINCOUNT", "10000", 0);
  execv("/proc/self/exe", arguments);  // where it fails, the long spin stays
}

void return_freed_memory() { mallopt(M_MMAP_THRESHOLD, 256 << 10); }

void name_process(const char* name) { prctl(PR_SET_NAME, name); }

void write_error(std::string_view text) { write_all(STDERR_FILENO, text); }

void write_output_unless_full(std::string_view text) {
  while (!text.empty()) {
    pollfd output{STDOUT_FILENO, POLLOUT, 0};
    if (poll(&output, 1, 0) != 1 || !(output.revents & POLLOUT)) return;
    const std::string_view piece = text.substr(0, kPipePiece);
    if (!write_all(STDOUT_FILENO, piece)) return;
    text.remove_prefix(piece.size());
  }
}

void write_output(std::string_view text) {
  INKSTONE_CHECK(write_all(STDOUT_FILENO, text), "cannot write to standard output: ", std::strerror(errno));
}

std::string read_input(size_t max_bytes) {
  std::string text;
  char piece[1 << 16];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    INKSTONE_CHECK(got >= 0, "cannot read standard input: ", std::strerror(errno));
    if (got == 0) return text;
    text.append(piece, static_cast<size_t>(got));
    INKSTONE_CHECK(text.size() <= max_bytes, "standard input has more than ", max_bytes,
                   " bytes, the most that are read");
  }
}

}  // namespace inkstone
