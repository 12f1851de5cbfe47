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

// fp16 and mixed (products in fp16) are for files that are compiled ahead.
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
  // bf16 is faster than fp32
  bool bf16 = false;
  // Set if all its programs have this precision.
  std::optional<Precision> precision;
  // The device has memory of its own; the sizes above and every MemoryUse are about it.
  bool own_memory = false;
};

struct MemoryUse {  // bytes, known before the first run
  // Weights packed for the device; programs of one backend share them.
  size_t weights = 0;
  // Weights read where the model's files hold them. Processes share them, and the system may take
  // them back. Tensors that are in no file do not count (Weights::owned_bytes).
  size_t mapped = 0;
  size_t arena = 0;    // activations, by the plan
  size_t scratch = 0;  // inside kernels
  // All programs of a backend use the same bytes for arena and scratch, so of several only the
  // largest counts.
  size_t work() const { return arena + scratch; }
  size_t total() const { return weights + mapped + work(); }
};

// The present state, known without asking the device.
struct BackendState {
  // Of the memory kept for tensors: 1 - largest free piece / all free bytes.
  double fragmentation = 0;
  // The error by which the device was lost; empty while it works.
  std::string unusable;
};

struct BackendOptions {
  // For devices whose programs are compiled ahead: the folder that `inkstone export` wrote.
  std::string compiled;
};

struct CompileOptions {
  Precision precision = Precision::kFp32;
  // one head of one row at a time
  bool attention_slicing = false;
  // wide convolutions in row bands (exact: see compile/passes.h)
  bool vae_tiling = false;
  // Bytes of weights, mapped or packed, that are in memory at a time; what is beyond passes through,
  // call by call.
  size_t weights_limit = SIZE_MAX;
  // Of the bands, about; 0: as the backend finds best. In a deep graph fewer take less memory.
  int band_rows = 0;
};

// The time of one call of a run. Recorded only on request.
struct CallProfile {
  std::string op;      // class: "conv2d", "attention", ...
  std::string detail;  // shapes
  double seconds = 0;
  double flops = 0;  // 2 per multiply-add; 0: not counted
  // Values and weights that it reads and writes, each counted once.
  double bytes = 0;
  double begin = 0;  // seconds of std::chrono::steady_clock since its epoch
};

// A graph compiled for one device, with fixed shapes and fixed memory.
class Program {
 public:
  virtual ~Program() = default;
  // `inputs` are in the order of inputs_of(graph), `outputs` in that of graph.outputs(). They are
  // host tensors of the graph's shapes and types (fp32, int32; bf16 if declared so), or tensors
  // from tensor(). Allocates nothing. Programs of one backend run one at a time.
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
  // Whether there is a program for this graph. Always true unless programs are compiled ahead.
  virtual bool has(const Graph&, const CompileOptions&) { return true; }
  // A tensor that stays on the device between runs, for values that one program makes and another
  // reads. It is on the host if the device has no memory of its own. Must be freed before the
  // backend. A program takes host tensors and these alike.
  virtual Tensor tensor(const Shape& shape, DType type) { return Tensor(shape, type); }
  // Copies between tensors of the host or of this device; between two of the device nothing passes
  // through the host. Done before the next run begins.
  virtual void copy(const Tensor& from, size_t from_byte, Tensor& to, size_t to_byte, size_t bytes);
  // The memory that compile() would take, without taking it.
  virtual MemoryUse plan(const Graph& graph, const Weights& weights, const CompileOptions& options) = 0;
  // The peak in FLOP/s, measured now: the best of so many tries, of some milliseconds each. 0 if the
  // device does not multiply the type or cannot tell.
  virtual double peak_flops(DType, int /*tries*/) { return 0; }
  // Gives back memory that is not needed between runs: the programs' work memory, and packed
  // weights whose programs are destroyed.
  virtual void trim() {}
  virtual BackendState state() { return {}; }
};

// "cpu", "reference" or "npu:N"; throws UsageError listing the known devices for another name, and
// Error if the device is absent, with what is missing and how to get it.
std::unique_ptr<Backend> open_backend(const std::string& device, const BackendOptions& options = {});
std::vector<std::string> known_devices();

}  // namespace inkstone
