#include "diffusion/process.h"

#include <fstream>
#include <string>

namespace inkstone {
namespace {

size_t status_line(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;)
    if (word == key) {
      size_t kib = 0;
      file >> kib;
      return kib << 10;
    }
  return 0;
}

}  // namespace

size_t resident_bytes() { return status_line("VmRSS:"); }
size_t peak_resident_bytes() { return status_line("VmHWM:"); }
size_t anonymous_bytes() { return status_line("RssAnon:"); }
size_t file_backed_bytes() { return status_line("RssFile:"); }

bool forget_peak() {
  std::ofstream file("/proc/self/clear_refs");
  // proc(5): resets VmHWM to what is resident now
  file << "5" << std::flush;
  return file.good();
}

}  // namespace inkstone
