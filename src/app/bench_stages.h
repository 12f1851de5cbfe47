// The work that bench measures: a first image of one step, from opening the model on, then images whose stages count.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/console.h"
#include "app/measurement.h"
#include "app/progress.h"
#include "app/trace.h"
#include "diffusion/engine.h"

namespace inkstone {

struct Peaks {
  double fp32 = 0, bf16 = 0;  // floating point operations a second; 0: not known
  double of(Precision precision) const { return precision == Precision::kBf16 ? bf16 : fp32; }
};

struct FirstStep {  // seconds, one after another, from opening the model to the end of the first guided step
  double open = 0, plan = 0, prepare = 0, text_encoder = 0, step = 0;
  std::vector<std::pair<std::string, double>> components;  // of prepare
  MemoryPeaks memory;
  double total() const { return open + plan + prepare + text_encoder + step; }
};

struct BenchResult {
  ResolvedRequest request;
  int repeat = 1;
  EnginePlan plan;
  Peaks peaks;  // the highest of the probes
  FirstStep first;
  Measurement text_encoder{"text encoder"}, vae{"VAE"};
  // By what is asked of the U-Net. All but the first are there only with approximations.
  std::array<Measurement, 4> steps{Measurement{"guided step"}, Measurement{"unguided step"},
                                   Measurement{"shallow guided step"}, Measurement{"shallow unguided step"}};
  Measurement whole{"end to end"};  // texts, steps and VAE of an image: its runs and work alone
  int texts = 0;                    // encoded for each image
  MemoryPeaks memory;               // of the whole run
  bool stages_apart = false;        // their MemoryPeaks::resident is their own

  bool guided() const { return texts == 2; }
  size_t kind_of(const UnetEvaluation& call) const;  // of `steps`
  std::optional<double> seconds_of(
      int steps) const;  // of an image, by the medians of its stages; unset where a kind was not run
  double work_of(int steps) const;
};

class Bench {
 public:
  // `opening`: when loading began. The request's steps are those of each image.
  Bench(Engine& engine, const ResolvedRequest& request, int repeat, const Console& console, double opening);
  BenchResult run();
  const Trace& trace() const { return trace_; }

 private:
  using Programs = std::function<std::vector<Program*>()>;  // compiles them where they are not there

  void start_up();
  void image(int number);
  void probe_peaks();
  void timed(Measurement& measurement, const Programs& programs, const std::function<void()>& work);
  void count_work(int texts);
  Measurement& measurement_of(const Job& job) { return result_.steps[result_.kind_of(job.next())]; }
  Programs text_programs();
  Programs step_programs(const Job& job);
  Programs vae_programs();

  Engine& engine_;
  Console console_;
  ProgressView view_;
  MemoryWatch memory_;
  Trace trace_;
  double opening_;
  BenchResult result_;
};

}  // namespace inkstone
