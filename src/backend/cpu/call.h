// A call is one launch of a kernel or a primitive. What it reads, writes and needs is known when a
// graph is lowered. bind() makes it runnable when the memory has been allocated.
#pragma once

#include <dnnl.hpp>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "backend/cpu/kernels/kernels.h"
#include "base/tensor.h"
#include "compile/memory.h"

namespace inkstone::cpu {

// A weight or constant in the form in which a call reads it.
struct Packing {
  int node;  // a Weight or a Constant
  // Strides of its row-major elements, in the order of the sizes of `packed`.
  dnnl::memory::dims strides;
  dnnl::memory::desc packed;
};

// A Weight that is read where the model's file holds it, or a Constant.
struct MappedRead {
  int node;
  // The most bytes of it that one run reads.
  size_t max_bytes = SIZE_MAX;
};

struct Binding {
  std::span<std::byte* const> values;             // by node
  std::span<std::byte* const> weights;            // in the order of Call::weights
  std::span<const kernels::MappedWeight> mapped;  // in the order of Call::mapped
  // Shared by all calls; aligned to 64.
  std::byte* scratch;
  const dnnl::engine* engine;
  const dnnl::stream* stream;
};

struct HostTensors {
  std::span<const Tensor* const> inputs;
  std::span<Tensor* const> outputs;
};
using Launch = std::function<void(const HostTensors&)>;  // allocates nothing when called

struct Call {
  std::string op, detail;  // for the profile
  double flops = 0;
  // For the profile. If 0, Lowering::add() sums the bytes that are read and written.
  double bytes = 0;
  compile::ArenaCall arena;
  size_t scratch = 0;
  std::vector<Packing> weights;
  std::vector<MappedRead> mapped;
  std::function<Launch(const Binding&)> bind;
};

// What a call reads: a value in the arena, or one of its weights.
struct Operand {
  int value = -1, weight = -1;
  bool there() const { return value >= 0 || weight >= 0; }
  std::byte* at(const Binding& b) const { return value >= 0 ? b.values[value] : b.weights[weight]; }
};

inline dnnl::memory::data_type dnnl_type(DType type) {
  using Type = dnnl::memory::data_type;
  switch (type) {
    case DType::kF32: return Type::f32;
    case DType::kF16: return Type::f16;
    case DType::kBF16: return Type::bf16;
    case DType::kI32: return Type::s32;
  }
  return Type::undef;
}

}  // namespace inkstone::cpu
