// Weights in the form that calls read: mapped from the model's file, or packed. A weight that
// several programs read in the same form is packed once. The store counts its users; a weight
// without users stays until free_unused().
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backend/cpu/call.h"
#include "weights/weights.h"

namespace inkstone::cpu {

size_t packed_bytes(const dnnl::memory::desc& desc);  // as the store counts them

// A buffer for one tensor while it is converted from the file's type to a primitive's form. Kept
// while a program is compiled.
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

  // The weight's elements in the form of `packing`. Throws Error naming the element if one is NaN
  // or infinite. The file's pages leave resident memory; at most one tensor is in memory twice.
  // Call release() once for every use().
  std::byte* use(const Weights& weights, const std::string& name, const Packing& packing, Staging& staging);
  // The weight where the file holds it, for our own products. Throws Error if an element is NaN or
  // infinite.
  kernels::MappedWeight mapped(const Weights& weights, const std::string& name);
  void release(const std::byte* packed);
  void free_unused();
  size_t bytes() const;  // of all packed weights

 private:
  struct Entry {
    const Weights* weights;
    // The file's first bytes: they tell that another model is at the same address.
    std::vector<std::byte> beginning;
    dnnl::memory::desc form;
    Memory memory;
    int users = 0;
  };

  void check_finite(const Weights& weights, const std::string& name);

  const dnnl::engine& engine_;
  std::multimap<std::string, Entry> entries_;
  // Weights that were checked, by address, with their first bytes.
  std::map<const std::byte*, std::vector<std::byte>> finite_;
};

// Turns a tensor's elements, in row-major order and of any type, into a form; in parallel. The
// elements and both places stay where they are.
class Packer {
 public:
  // `staging` has staging_bytes(packing); it holds the elements while they are converted.
  Packer(const dnnl::engine& engine, DType type, std::span<const std::byte> elements, const Packing& packing,
         std::byte* to, std::byte* staging);
  static size_t staging_bytes(const Packing& packing);
  void run(dnnl::stream& stream) const;

 private:
  DType type_, wanted_;
  std::span<const std::byte> elements_;
  int64_t number_;
  std::byte* converted_ = nullptr;  // where the elements go in the wanted type; null: they have it
  dnnl::memory from_, to_;
  dnnl::reorder reorder_;  // none if the form is row-major
};

Memory pack(const dnnl::engine& engine, DType type, std::span<const std::byte> elements, const Packing& packing,
            Staging& staging);

}  // namespace inkstone::cpu
