// Keeps on disk how long images took, by model, build, machine and threads, so that the next start
// knows it. Without a folder, or with one that cannot be used, nothing is kept.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "serve/wire/wire.h"

namespace inkstone::serve {

class CurveStore {
 public:
  explicit CurveStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  std::vector<ShapeTimes> known(const Hello& hello) const;  // empty: nothing is known
  // Leaves out what is still an estimate.
  void keep(const Hello& hello, std::vector<ShapeTimes> times);

 private:
  std::filesystem::path file_of(const Hello& hello) const;

  std::filesystem::path folder_;
  std::map<std::string, std::string> kept_;  // by file, as it was written last
};

}  // namespace inkstone::serve
