// The built program, run as a user runs it: arguments in, exit code and both streams out. Its path is INKSTONE_BINARY, else the one
// beside this test's folder; where there is none the tests are skipped.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/scratch_folder.h"

namespace inkstone {

std::filesystem::path program_path();  // "" where it is not built

struct Outcome {
  int code = -1;  // 1000 + its number where a signal ended it
  std::string output, error;
};

// One run in a folder of its own, which has what it wrote.
class ProgramRun {
 public:
  std::string input;  // standard input
  std::map<std::string, std::string> environment;
  size_t max_file_bytes = 0;  // RLIMIT_FSIZE; 0: none
  ScratchFolder folder;

  Outcome run(const std::vector<std::string>& arguments);
  void start(const std::vector<std::string>& arguments);
  std::string output_so_far() const;
  std::string error_so_far() const;
  void send(int signal) const;
  std::string name() const;  // as ps shows it, with a line's end
  Outcome wait();

 private:
  ScratchFolder streams_;
  pid_t child_ = -1;
};

}  // namespace inkstone
