#include "backend/cpu/packed.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/kernels.h"
#include "base/error.h"

namespace inkstone {
namespace {

using dnnl::memory;

DType type_of(const memory::desc& desc) {
  switch (desc.data_type()) {
    case memory::data_type::bf16: return DType::kBF16;
    case memory::data_type::s32: return DType::kI32;
    default: return DType::kF32;
  }
}

bool is_aligned(const void* address, DType type) { return reinterpret_cast<uintptr_t>(address) % size_of(type) == 0; }

std::vector<std::byte> beginning(const WeightView& view) {
  constexpr size_t kEnough = 1024;
  return {view.bytes.begin(), view.bytes.begin() + static_cast<std::ptrdiff_t>(std::min(kEnough, view.bytes.size()))};
}

}  // namespace

size_t packed_bytes(const memory::desc& desc) { return desc.get_size(); }

Memory pack(const dnnl::engine& engine, DType type, std::span<const std::byte> elements, const Packing& packing) {
  const memory::dims sizes = packing.packed.dims();
  const DType wanted = type_of(packing.packed);
  const int64_t number = count(sizes);
  INKSTONE_CHECK(elements.size() == static_cast<size_t>(number) * size_of(type), "cpu: ", elements.size(), " bytes of ",
                 name_of(type), " for a weight of ", to_string(sizes));
  Memory result = allocate(packed_bytes(packing.packed)), realigned, converted;
  const void* source = elements.data();
  if (!is_aligned(source, type)) {
    realigned = allocate(elements.size());
    source = std::memcpy(realigned.get(), source, elements.size());
  }
  const memory::desc plain(sizes, packing.packed.data_type(), packing.strides);
  const bool stays = plain == packing.packed;
  if (type != wanted) {
    if (!stays) converted = allocate(static_cast<size_t>(number) * size_of(wanted));
    void* const to = stays ? result.get() : converted.get();
    kernels().cast(number, type, source, wanted, to);
    source = to;
  } else if (stays) {
    std::memcpy(result.get(), source, elements.size());
  }
  if (stays) return result;
  memory from(plain, engine, const_cast<void*>(source)), to(packing.packed, engine, result.get());
  dnnl::stream stream(engine);
  dnnl::reorder(from, to).execute(stream, from, to);
  stream.wait();
  return result;
}

std::byte* PackedWeights::use(const Weights& weights, const std::string& name, const Packing& packing) {
  const WeightView& view = weights.find(name);
  std::vector<std::byte> start = beginning(view);
  const auto [first, last] = entries_.equal_range(name);
  for (auto at = first; at != last; ++at) {
    Entry& entry = at->second;
    if (entry.weights != &weights || entry.form != packing.packed || entry.beginning != start) continue;
    ++entry.users;
    return entry.memory.get();
  }
  weights.check_finite(name);
  Memory memory = pack(engine_, view.type, view.bytes, packing);
  weights.release(name);
  Entry entry{&weights, std::move(start), packing.packed, std::move(memory), 1};
  return entries_.emplace(name, std::move(entry))->second.memory.get();
}

void PackedWeights::release(const std::byte* packed) {
  for (auto& [name, entry] : entries_)
    if (entry.memory.get() == packed) --entry.users;
}

void PackedWeights::free_unused() {
  std::erase_if(entries_, [](const auto& entry) { return entry.second.users == 0; });
}

}  // namespace inkstone
