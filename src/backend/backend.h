// The interface to a device: a graph goes in, a program comes out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "ir/graph.h"
#include "weights/weights.h"

namespace inkstone {

// fp16 and mixed (products in fp16): of compiled files
enum class Precision { kFp32, kBf16, kFp16, kMixed };

constexpr const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32: return "fp32";
    case Precision::kBf16: return "bf16";
    case Precision::kFp16: return "fp16";
    case Precision::kMixed: return "mixed";
  }
  return "?";
}

struct DeviceInfo {
  std::string name;         // "cpu", "reference"
  std::string description;  // "AMD EPYC, 2 threads, AVX-512 BF16"
  size_t memory_total = 0;  // bytes
  size_t memory_free = 0;
  // runs bf16 at more than fp32's rate
  bool bf16 = false;
  // the only one that its programs have
  std::optional<Precision> precision;
  // memory apart from the host's; the sizes above and every MemoryUse are of it
  bool own_memory = false;
};

struct MemoryUse {  // bytes, known before the first run
  // as packed for the device; shared between programs of one backend that use the same weights
  size_t weights = 0;
  // of the model's files, read where they lie: shared with every process, and the system may take
  // them back; tensors that no file holds are not among them (Weights::owned_bytes)
  size_t mapped = 0;
  size_t arena = 0;    // activations, by the plan
  size_t scratch = 0;  // inside kernels
  // Arena and scratch are the same bytes for all programs of a backend: of several, the largest
  // counts.
  size_t work() const { return arena + scratch; }
  size_t total() const { return weights + mapped + work(); }
};

// of now, told without asking the device
struct BackendState {
  // of the memory kept for tensors: 1 - largest free piece / all that is free
  double fragmentation = 0;
  // the error that lost the device; empty while it works
  std::string unusable;
};

struct BackendOptions {
  // the folder that `inkstone export` wrote, for devices whose programs are compiled ahead
  std::string compiled;
};

struct CompileOptions {
  Precision precision = Precision::kFp32;
  // one head of one row at a time
  bool attention_slicing = false;
  // wide convolutions in row bands (exact: see compile/tile.h)
  bool vae_tiling = false;
  // bytes of the model's files in memory at a time: what is beyond passes through, call by call
  size_t mapped_limit = SIZE_MAX;
};

// Where a run's time went, one entry a call, filled only when asked for.
struct CallProfile {
  std::string op;      // class: "conv2d", "attention", ...
  std::string detail;  // shapes
  double seconds = 0;
  double flops = 0;  // 2 per multiply-add; 0: not counted
  // of the values and weights that it reads and writes, each counted once
  double bytes = 0;
  double begin = 0;  // seconds of std::chrono::steady_clock since its epoch
};

// a graph compiled for one device: fixed shapes, fixed memory
class Program {
 public:
  virtual ~Program() = default;
  // inputs in the order of inputs_of(graph), outputs in that of graph.outputs(); host tensors of
  // the graph's shapes and types (fp32, int32; bf16 where an input or output is declared so).
  // Allocates nothing. Programs of one backend run one at a time.
  virtual void run(std::span<const Tensor* const> inputs, std::span<Tensor* const> outputs) = 0;
  virtual MemoryUse memory() const = 0;
  // The pages of the model's files that it reads leave this process's memory; the next run maps
  // them again.
  virtual void release_pages() {}
  // The next runs are timed call by call until the profile is taken with take_profile().
  virtual void start_profile() {}
  virtual std::vector<CallProfile> take_profile() { return {}; }
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual DeviceInfo info() const = 0;
  // The weights outlive the program, which may read them whenever it runs.
  virtual std::unique_ptr<Program> compile(const Graph& graph, const Weights& weights,
                                           const CompileOptions& options) = 0;
  // Whether there is a program for this graph: always, unless programs are compiled ahead.
  virtual bool has(const Graph&, const CompileOptions&) { return true; }
  // Memory that stays on the device between runs, for what one program makes and another reads; the
  // host's where they are one. Freed before the backend. A program takes host tensors and these
  // alike.
  virtual Tensor tensor(const Shape& shape, DType type) { return Tensor(shape, type); }
  // Of tensors on the host or here; between two of the device nothing passes through the host. Done
  // before the next run begins.
  virtual void copy(const Tensor& from, size_t from_byte, Tensor& to, size_t to_byte, size_t bytes);
  // What compile() would ask for, without asking for it.
  virtual MemoryUse plan(const Graph& graph, const Weights& weights, const CompileOptions& options) = 0;
  // FLOP/s at most, measured now in well under a second; 0 where the device does not multiply the
  // type or cannot tell.
  virtual double peak_flops(DType) { return 0; }
  // Memory that no run needs now: the programs' work, and packed weights that only programs now
  // destroyed used.
  virtual void trim() {}
  virtual BackendState state() { return {}; }
};

// "cpu", "reference" or "npu:N"; throws UsageError listing the known devices for another name, and
// Error where a device is absent, with what is missing and how to get it.
std::unique_ptr<Backend> open_backend(const std::string& device, const BackendOptions& options = {});
std::vector<std::string> known_devices();

}  // namespace inkstone
