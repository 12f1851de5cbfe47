// Keeps on disk how long images took, by the shape of the model, build, machine and threads, so that
// the next start knows it. Without a folder, or with one that cannot be used, nothing is kept.
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
  // Of a model on the machine that says hello; empty: nothing is known.
  std::vector<ShapeTimes> known(const Hello& hello, const ModelCard& model) const;
  // Images in a step, of at most so many, that a worker is to plan its memory for: those that pay by what is
  // known, and one more, which shows whether more do by now. All where no batch was too large yet.
  int jobs_that_pay(const Hello& hello, int max_jobs) const;
  // Leaves out what is still an estimate.
  void keep(const Hello& hello, const ModelCard& model, std::vector<ShapeTimes> times);

 private:
  std::filesystem::path file_of(const Hello& hello, const ModelCard& model) const;

  std::filesystem::path folder_;
  std::map<std::string, std::string> kept_;  // by file, as it was written last
};

}  // namespace inkstone::serve
