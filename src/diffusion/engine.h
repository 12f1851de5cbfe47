// The engine: jobs go in, each step advances any mix of them, pictures come out. A picture depends on its request alone.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backend/backend.h"
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
  std::vector<std::string> reasons;  // a line for each thing given up, and what it saved
};

struct Job {  // one image in flight; it ends before its engine
  Request request;
  std::unique_ptr<Scheduler> scheduler;
  SchedulerState state;
  NoiseGenerator noise{0};
  Tensor latent;                      // [1, 4, h, w]
  std::vector<Tensor> keys;           // what the U-Net reads of the text: [rows, 77, c] each, unconditional half first
  Tensor deep;                        // the last whole call's deep feature, a row for each of its copies, if it is read
  Tensor fresh_noise;                 // like latent, for the schedulers that ask
  Tensor output;                      // like latent: the model's, after guidance
  int rows = 2;                       // of the keys: 2 with classifier-free guidance, else 1
  std::vector<UnetCall> course;       // what is asked of the U-Net in each call
  int call = 0;                       // U-Net calls done
  std::vector<std::string> warnings;  // a prompt that was cut
  int calls() const { return static_cast<int>(course.size()); }
  const UnetCall& next() const { return course.at(static_cast<size_t>(call)); }
  bool done() const { return call >= calls(); }
};

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
  void set_memory_budget(size_t bytes);  // for the requests that start from now on; 0: what the machine has free
  EnginePlan plan(int width, int height, bool guided = true) const;  // of a request without approximations
  EnginePlan plan(const Request& request) const;
  // Packs weights and compiles for this size; `on_component` is told before each one. start() does what is left of it.
  void prepare(const Request& request, const std::function<void(const std::string& component)>& on_component = {});

  Job start(const Request& request);      // prompt -> text; seed -> noise
  void step(Job& job);                    // U-Net, guidance, one scheduler step; throws Error where the model gave NaN
  void step(std::span<Job* const> jobs);  // the same for jobs of one size, guided or not: each result as if alone
  Image finish(Job& job);                 // latent -> pixels

  // For tests and bench: compiled on first use. Sizes in pixels. An even number of rows is that of guided jobs, two each, unless the
  // model was distilled with guidance.
  Program& text_program();
  Program& prompt_program();  // an embedded prompt -> the U-Net's keys and values
  Program& time_program();    // a timestep -> the U-Net's time embeddings
  Program& unet_program(int rows, int width, int height, UnetPart part = UnetPart::kWhole);
  Program& vae_program(int width, int height);
  const Tensor& encode_text(const std::string& prompt,
                            std::string* cut = nullptr);  // [1, 77, context]; the last few are kept

 private:
  static constexpr size_t kTextsKept = 16, kKeysKept = 4, kTimesKept = 128;

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
    auto operator<=>(const Demand&) const = default;
  };
  struct Text {
    Tensor embedding;  // [1, 77, context]
    std::string cut;   // what was too long
  };
  bool distilled() const { return model_.unet_config.guidance_channels > 0; }
  bool guided(const Request& request) const { return request.guidance > 1 && !distilled(); }
  EnginePlan plan(const Demand& demand) const;
  UnetParts unet_parts(const Key& key, Precision precision) const;
  UnetParts unet_parts() const;  // of the least size, in the plan's precision
  Built& text();
  Built& prompt();
  Built& time();
  Built& unet(const Key& key);
  Built* find_unet(const Key& key);  // null where there is no program for it
  Built& unet_for(Key key);          // for as many of its jobs as there is one for, else for more
  Built& vae(const Key& key);
  std::unique_ptr<Built> build(const Graph& graph, const Weights& weights, const MemoryUse& planned) const;
  CompileOptions compile_options(const MemoryUse& planned) const;
  void check_guidance_interval(const Request& request) const;
  void settle(const Request& request);    // decides the plan for it; programs of another plan are dropped
  void keep_only(const char* component);  // when components take turns
  std::vector<Tensor> run_seldom(Built& built);
  const Text& text_of(const std::string& prompt);
  const std::vector<Tensor>& keys_of(const std::string& prompt);                // [1, 77, c] each
  const std::vector<Tensor>& times_of(float timestep, const Request& request);  // [1, c] each
  void step_alike(std::span<Job* const> jobs);  // the same is asked of the U-Net for all
  void run_step(Built& built, std::span<Job* const> jobs);
  void guide(const Job& job, const float* rows, std::span<float> to) const;

  Model model_;
  EngineOptions options_;
  std::unique_ptr<Backend> backend_;
  size_t program_bytes_ = 0, memory_free_ = 0;  // when the engine was made
  mutable std::map<Demand, EnginePlan> plans_;
  EnginePlan plan_;
  std::string awake_;  // the component whose turn it is
  std::unique_ptr<Built> text_, prompt_, time_;
  std::map<Key, std::unique_ptr<Built>> unets_, vaes_;
  std::set<Key> absent_;                         // steps that there is no program for, or no memory
  Recent<std::string, Text> texts_{kTextsKept};  // by prompt, as are keys_
  Recent<std::string, std::vector<Tensor>> keys_{kKeysKept};
  Recent<std::pair<float, float>, std::vector<Tensor>> times_{
      kTimesKept};  // by timestep and, where distilled, guidance
};

}  // namespace inkstone
