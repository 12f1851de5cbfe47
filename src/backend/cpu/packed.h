// Weights as calls want them: where the model's file holds them, or packed. A weight that several
// programs read in the same form is packed once; the store counts its users, and what nobody uses
// stays until free_unused().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backend/cpu/call.h"
#include "weights/weights.h"

namespace inkstone::cpu {

size_t packed_bytes(const dnnl::memory::desc& desc);  // as the store counts them

// Room for one tensor on its way from a file's type to a primitive's form; kept while a program is
// being compiled.
class Staging {
 public:
  std::byte* buffer(size_t bytes);

 private:
  Memory memory_;
  size_t bytes_ = 0;
};

class PackedWeights {
 public:
  explicit PackedWeights(const dnnl::engine& engine) : engine_(engine) {}

  // The weight's elements in the form of `packing`. Throws Error where one is NaN or infinite
  // (naming it). The file's pages leave resident memory; at most one tensor is in memory twice.
  // Call release() once for every use().
  std::byte* use(const Weights& weights, const std::string& name, const Packing& packing, Staging& staging);
  // The weight in place, for our own products. Throws Error where an element is NaN or infinite.
  kernels::MappedWeight mapped(const Weights& weights, const std::string& name);
  void release(const std::byte* packed);
  void free_unused();
  size_t bytes() const;  // of all that is held

 private:
  struct Entry {
    const Weights* weights;
    // of the file's data: another model at the same address differs here
    std::vector<std::byte> beginning;
    dnnl::memory::desc form;
    Memory memory;
    int users = 0;
  };

  void check_finite(const Weights& weights, const std::string& name);

  const dnnl::engine& engine_;
  std::multimap<std::string, Entry> entries_;
  // what was looked at: where it lies, its beginning
  std::map<const std::byte*, std::vector<std::byte>> finite_;
};

// Elements in row-major order, of any type, into a form; in parallel.
Memory pack(const dnnl::engine& engine, DType type, std::span<const std::byte> elements, const Packing& packing,
            Staging& staging);

}  // namespace inkstone::cpu
