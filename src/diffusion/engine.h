// The engine: jobs go in, each step advances any mix of them, pictures come out. A picture depends on its request alone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "base/error.h"
#include "base/image.h"
#include "diffusion/course.h"
#include "diffusion/model.h"
#include "diffusion/noise.h"
#include "diffusion/recent.h"
#include "diffusion/request.h"
#include "diffusion/unet_parts.h"

namespace inkstone {

enum class Choice { kAuto, kOn, kOff };

struct EngineOptions {
  std::string device = "cpu";
  std::string compiled;                // the folder of `inkstone export`, for devices whose programs are compiled ahead
  std::optional<Precision> precision;  // unset: bf16 where the device is faster in it, else fp32
  Choice vae_tiling = Choice::kAuto;
  Choice attention_slicing = Choice::kAuto;
  size_t memory_budget = 0;  // bytes of memory for weights, arenas and scratch; 0: what the machine has free
};

// What will be done with the memory for one size, decided before anything runs.
struct EnginePlan {
  Precision precision = Precision::kFp32;
  bool vae_tiling = false, attention_slicing = false;
  bool components_in_turn = false;  // text encoder, U-Net and VAE are not resident together
  bool weight_streaming = false;    // weights pass through memory, call by call, as far as they do not fit
  MemoryUse text_encoder, unet, vae;
  MemoryUse prompt, time;            // the parts of the U-Net that run before its steps
  MemoryUse shallow;                 // the U-Net's shallow part, where a cache interval asks for it
  size_t carried_bytes = 0;          // what is carried between them: for one job, and what is kept for the next
  size_t program_bytes = 0;          // besides the components: code, libraries, tokenizer
  size_t peak_bytes = 0;             // of all of it, by the policy
  int jobs = 1;                      // in one call of the U-Net
  std::vector<std::string> reasons;  // a line for each thing given up, and what it saved
};

// What a server promises to take, whatever the requests: its memory is planned once, and never again for a single one.
struct Capacity {
  static constexpr int kKeyedJobs = 2;  // jobs that are not parked, for each in a call
  int jobs = 1;                         // in one call of the U-Net, at most
  int most_side = 2048;
  int64_t most_pixels = 1024 * 1024;  // of one picture
};

struct Job {  // one image in flight; it ends before its engine
  Request request;
  std::unique_ptr<Scheduler> scheduler;
  SchedulerState state;
  NoiseGenerator noise{0};
  Tensor latent;                      // [1, 4, h, w]
  std::vector<Tensor> keys;           // what the U-Net reads of the text: [rows, 77, c] each, unconditional half first;
                                      // none while it is parked
  Tensor deep;                        // the last whole call's deep feature, a row for each of its copies, if it is read
  Tensor fresh_noise;                 // like latent, for the schedulers that ask
  Tensor output;                      // like latent: the model's, after guidance
  Tensor estimate;                    // like latent: the picture as the last call saw it
  int rows = 2;                       // of the keys: 2 with classifier-free guidance, else 1
  std::vector<UnetCall> course;       // what is asked of the U-Net in each call
  int call = 0;                       // U-Net calls done
  std::vector<std::string> warnings;  // a prompt that was cut
  int calls() const { return static_cast<int>(course.size()); }
  const UnetCall& next() const { return course.at(static_cast<size_t>(call)); }
  bool done() const { return call >= calls(); }
};

struct RowFault {  // what ends one job of a step; it has not moved
  Job* job;
  Error::Kind kind;  // kNotFinite, or kOutOfMemory where others had moved before the memory ran out
  std::string message;
};

std::string not_finite(const std::string& what);  // the error's text

class Engine {
 public:
  Engine(Model model, EngineOptions options);
  ~Engine();
  const Model& model() const { return model_; }
  const EngineOptions& options() const { return options_; }
  DeviceInfo device() const;
  Backend& backend() { return *backend_; }  // to be asked how it fares
  double peak_flops(DType type) { return backend_->peak_flops(type); }

  // Throws UsageError for a request that cannot run (sizes, steps, guidance), and for a budget that cannot be kept, with the least that can.
  void check(const Request& request) const;
  void set_memory_budget(
      size_t bytes);  // for the requests that start from now on, without what was reserved; 0: what the machine
                      // has free
  EnginePlan plan(int width, int height, bool guided = true) const;  // of a request without approximations
  EnginePlan plan(const Request& request) const;
  // From now on one plan for all requests, made for the largest; without approximations. check() refuses what is beyond it. Where
  // the memory is too small for so many jobs in a call, there are fewer (EnginePlan::jobs); UsageError where it is for one.
  const EnginePlan& reserve(const Capacity& capacity);

  // Packs weights and compiles for this size; `on_component` is told before each one. start() does what is left of it.
  void prepare(const Request& request, const std::function<void(const std::string& component)>& on_component = {});

  Job start(const Request& request);  // prompt -> text; seed -> noise
  void step(Job& job);                // U-Net, guidance, one scheduler step; throws Error where the model gave NaN
  // The same for jobs of one size, guided or not: each result as if alone, and a fault is of one job alone. Where it throws
  // Error of kind kOutOfMemory no job has moved.
  std::vector<RowFault> step(std::span<Job* const> jobs);
  Image finish(Job& job);        // latent -> pixels
  Image decode(const Job& job);  // the same, whatever steps are left: then of the estimate
  void park(Job& job);           // what is large of a job that waits leaves memory until its next step

  // For tests and bench: compiled on first use. Sizes in pixels. An even number of rows is that of guided jobs, two each, unless the
  // model was distilled with guidance.
  Program& text_program();
  Program& prompt_program();  // an embedded prompt -> the U-Net's keys and values
  Program& time_program();    // a timestep -> the U-Net's time embeddings
  Program& unet_program(int rows, int width, int height, UnetPart part = UnetPart::kWhole);
  Program& vae_program(int width, int height);
  size_t programs() const { return unets_.size() + vaes_.size(); }  // of steps and VAEs, that are kept
  const Tensor& encode_text(const std::string& prompt,
                            std::string* cut = nullptr);  // [1, 77, context]; the last few are kept

 private:
  static constexpr size_t kTextsKept = 16, kKeysKept = 4, kTimesKept = 128;
  static constexpr size_t kUnetsKept = 24, kVaesKept = 4, kAbsentKept = 4096;

  class Planner;
  struct Built;  // a program with its host tensors
  struct Key {
    int jobs, copies, width, height;
    UnetPart part = UnetPart::kWhole;
    auto operator<=>(const Key&) const = default;
  };
  struct Demand {  // what a plan depends on
    int width, height;
    bool guided;
    bool cached = false;         // a cache interval
    bool partly_guided = false;  // a guidance interval
    bool capacity = false;       // many jobs, of any size up to this
    auto operator<=>(const Demand&) const = default;
  };
  struct Text {
    Tensor embedding;  // [1, 77, context]
    std::string cut;   // what was too long
  };
  bool distilled() const { return model_.unet_config.guidance_channels > 0; }
  bool guided(const Request& request) const { return request.guidance > 1 && !distilled(); }
  EnginePlan plan(const Demand& demand) const;
  std::vector<std::pair<int, int>> extreme_sizes(const Capacity& capacity) const;
  void check_capacity(const Request& request) const;
  UnetParts unet_parts(const Key& key, Precision precision) const;
  UnetParts unet_parts() const;  // of the least size, in the plan's precision
  Built& text();
  Built& prompt();
  Built& time();
  Built& unet(const Key& key);
  Built* find_unet(const Key& key);  // null where there is no program for it
  Built& unet_for(Key key);          // for as many of its jobs as there is one for, else for more
  Built& vae(const Key& key);
  Built* used(Built& built);
  void make_room(std::map<Key, std::unique_ptr<Built>>& programs, size_t most);  // for one more
  void absent(const Key& key);
  bool fewer(Key key, int tried);
  std::unique_ptr<Built> build(const Graph& graph, const Weights& weights, const MemoryUse& planned) const;
  CompileOptions compile_options(const MemoryUse& planned) const;
  void check_guidance_interval(const Request& request) const;
  void settle(const Request& request);    // decides the plan for it
  void adopt(EnginePlan next);            // programs of another plan are dropped
  void keep_only(const char* component);  // when components take turns
  std::vector<Tensor> run_seldom(Built& built);
  const Text& text_of(const std::string& prompt);
  const std::vector<Tensor>& keys_of(const std::string& prompt);                // [1, 77, c] each
  const std::vector<Tensor>& times_of(float timestep, const Request& request);  // [1, c] each
  void give_keys(Job& job);
  // The same is asked of the U-Net for all.
  size_t step_alike(std::span<Job* const> jobs, std::vector<RowFault>& faults);
  void stage(const Key& key);
  void run_step(Built& built, std::span<Job* const> jobs, std::vector<RowFault>& faults);
  void guide(const Job& job, const float* rows, std::span<float> to) const;
  void estimate_picture(Job& job) const;

  Model model_;
  EngineOptions options_;
  std::unique_ptr<Backend> backend_;
  size_t program_bytes_ = 0, memory_free_ = 0;  // when the engine was made
  mutable std::map<Demand, EnginePlan> plans_;
  EnginePlan plan_;
  std::optional<Capacity> capacity_;
  std::string awake_;  // the component whose turn it is
  std::unique_ptr<Built> text_, prompt_, time_;
  std::map<Key, std::unique_ptr<Built>> unets_, vaes_;
  std::optional<Key> staged_;                    // of the call of several jobs whose inputs are there
  uint64_t clock_ = 0;                           // counts what is asked of programs
  std::set<Key> absent_;                         // steps that there is no program for, or no memory
  Recent<std::string, Text> texts_{kTextsKept};  // by prompt, as are keys_
  Recent<std::string, std::vector<Tensor>> keys_{kKeysKept};
  Recent<std::pair<float, float>, std::vector<Tensor>> times_{
      kTimesKept};  // by timestep and, where distilled, guidance
};

}  // namespace inkstone
