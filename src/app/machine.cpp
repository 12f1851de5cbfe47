#include "app/machine.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace inkstone {
namespace {

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
  const char* columns = std::getenv("COLUMNS");
  const int stated = columns ? std::atoi(columns) : 0;
  return stated > 0 ? std::max(kLeast, stated) : kUsual;
}

uint32_t random_seed() {
  uint32_t seed = 0;
  ssize_t got = 0;
  do got = getrandom(&seed, sizeof seed, 0);
  while (got < 0 && errno == EINTR);
  INKSTONE_CHECK(got == sizeof seed, "cannot draw a seed: ", std::strerror(errno), ": give one with --seed");
  return seed;
}

void restart_with_short_spins(char** arguments) {
  if (std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  setenv("GOMP_SPINCOUNT", "10000", 0);
  execv("/proc/self/exe", arguments);  // where it fails, the long spin stays
}

void write_error(std::string_view text) { write_all(STDERR_FILENO, text); }

void write_output(std::string_view text) {
  INKSTONE_CHECK(write_all(STDOUT_FILENO, text), "cannot write to standard output: ", std::strerror(errno));
}

std::string read_input(size_t most_bytes) {
  std::string text;
  char piece[1 << 16];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    INKSTONE_CHECK(got >= 0, "cannot read standard input: ", std::strerror(errno));
    if (got == 0) return text;
    text.append(piece, static_cast<size_t>(got));
    INKSTONE_CHECK(text.size() <= most_bytes, "standard input has more than ", most_bytes,
                   " bytes, the most that are read");
  }
}

}  // namespace inkstone
