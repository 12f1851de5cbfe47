#include "serve/support/process_figures.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

namespace inkstone::serve {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Pages {
  int64_t all = 0, resident = 0;
};

Pages pages_of(const std::string& process) {
  Pages pages;
  std::ifstream("/proc/" + process + "/statm") >> pages.all >> pages.resident;
  return pages;
}

int64_t page_bytes() { return sysconf(_SC_PAGESIZE); }

int64_t count_descriptors() {
  std::error_code error;
  int64_t count = 0;
  for (fs::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end; entry.increment(error))
    ++count;
  return count > 0 ? count - 1 : 0;  // without the folder's own
}

double seconds_on(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The 22nd field of /proc/self/stat says it in ticks since the system started; the second is a name in brackets.
double find_start_time() {
  std::ifstream file("/proc/self/stat");
  std::string line, field;
  std::getline(file, line);
  const size_t after_name = line.rfind(')');
  if (after_name == line.npos) return 0;
  constexpr int kFieldsAfterName = 20;
  size_t at = after_name + 1;
  for (int i = 1; i < kFieldsAfterName && at != line.npos; ++i) at = line.find(' ', at + 1);
  const double boot = seconds_on(CLOCK_REALTIME) - seconds_on(CLOCK_BOOTTIME);
  return at == line.npos ? 0 : boot + std::stod(line.substr(at)) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

int64_t counted_descriptors() {
  static std::mutex mutex;
  static Clock::time_point counted_at;
  static int64_t counted = 0;
  const std::lock_guard lock(mutex);
  if (counted == 0 || Clock::now() - counted_at > std::chrono::seconds(1)) {
    counted = count_descriptors();
    counted_at = Clock::now();
  }
  return counted;
}

}  // namespace

ProcessFigures own_process() {
  static const double start_time = find_start_time();
  ProcessFigures figures;
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) == 0) figures.cpu_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  figures.start_time = start_time;
  const Pages pages = pages_of("self");
  figures.resident_bytes = pages.resident * page_bytes();
  figures.virtual_bytes = pages.all * page_bytes();
  figures.open_fds = counted_descriptors();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_fds = static_cast<int64_t>(limit.rlim_cur);
  return figures;
}

int64_t resident_bytes_of(int pid) { return pid > 0 ? pages_of(std::to_string(pid)).resident * page_bytes() : 0; }

}  // namespace inkstone::serve
