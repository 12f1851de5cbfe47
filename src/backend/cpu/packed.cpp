#include "backend/cpu/packed.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/pages.h"
#include "base/error.h"
#include "base/parallel.h"

namespace inkstone::cpu {
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

// All 65,536 halves as T, by their bits: faster than arithmetic without an instruction for it.
template <typename T>
std::vector<T> all_halves() {
  std::vector<T> values(size_t{1} << 16);
  for (size_t bits = 0; bits < values.size(); ++bits) {
    const float value = from_f16(static_cast<uint16_t>(bits));
    if constexpr (sizeof(T) == sizeof(float)) {
      values[bits] = value;
    } else {
      values[bits] = to_bf16(value);
    }
  }
  return values;
}

template <typename T>
void convert_halves(int64_t number, const std::byte* from, T* to) {
  static const std::vector<T> values = all_halves<T>();
  for (int64_t i = 0; i < number; ++i) {
    uint16_t bits;
    std::memcpy(&bits, from + 2 * i, sizeof bits);
    to[i] = values[bits];
  }
}

// `from` need not be aligned.
void convert(int64_t number, DType type, const std::byte* from, DType wanted, std::byte* to) {
  constexpr int64_t kGrain = 1 << 14, kPiece = 1 << 10;
  const auto step = static_cast<int64_t>(size_of(type)), to_step = static_cast<int64_t>(size_of(wanted));
  parallel_for(number, kGrain, [&](int64_t begin, int64_t end) {
    alignas(64) std::byte aligned[kPiece * 4];
    for (int64_t i = begin; i < end; i += kPiece) {
      const int64_t piece = std::min(kPiece, end - i);
      std::byte* const out = to + i * to_step;
      const std::byte* in = from + i * step;
      if (type == DType::kF16 && wanted == DType::kF32) {
        convert_halves(piece, in, reinterpret_cast<float*>(out));
      } else if (type == DType::kF16 && wanted == DType::kBF16) {
        convert_halves(piece, in, reinterpret_cast<uint16_t*>(out));
      } else {
        if (!is_aligned(in, type))
          in = static_cast<std::byte*>(std::memcpy(aligned, in, static_cast<size_t>(piece * step)));
        kernels::table().cast(piece, type, in, wanted, out);
      }
    }
  });
}

std::vector<std::byte> beginning(const WeightView& view) {
  constexpr size_t kEnough = 1024;
  return {view.bytes.begin(), view.bytes.begin() + static_cast<std::ptrdiff_t>(std::min(kEnough, view.bytes.size()))};
}

}  // namespace

size_t packed_bytes(const memory::desc& desc) { return desc.get_size(); }

std::byte* Staging::buffer(size_t bytes) {
  if (bytes > bytes_) {
    memory_.reset();
    memory_ = allocate_pages(bytes);
    bytes_ = bytes;
  }
  return memory_.get();
}

size_t Packer::staging_bytes(const Packing& packing) {
  return static_cast<size_t>(count(packing.packed.dims())) * size_of(type_of(packing.packed));
}

Packer::Packer(const dnnl::engine& engine, DType type, std::span<const std::byte> elements, const Packing& packing,
               std::byte* to, std::byte* staging)
    : type_(type), wanted_(type_of(packing.packed)), elements_(elements), number_(count(packing.packed.dims())) {
  const memory::dims sizes = packing.packed.dims();
  INKSTONE_CHECK(elements.size() == static_cast<size_t>(number_) * size_of(type), "cpu: ", elements.size(),
                 " bytes of ", name_of(type), " for a weight of ", to_string(sizes));
  const memory::desc plain(sizes, packing.packed.data_type(), packing.strides);
  const bool stays = plain == packing.packed;
  if (stays)
    converted_ = to;
  else if (type != wanted_ || !is_aligned(elements.data(), type))
    converted_ = staging;
  if (stays) return;
  from_ = memory(plain, engine, converted_ ? converted_ : const_cast<std::byte*>(elements.data()));
  to_ = memory(packing.packed, engine, to);
  reorder_ = dnnl::reorder(from_, to_);
}

void Packer::run(dnnl::stream& stream) const {
  if (converted_) convert(number_, type_, elements_.data(), wanted_, converted_);
  if (!reorder_) return;
  memory from = from_, to = to_;
  reorder_.execute(stream, from, to);
  stream.wait();
}

Memory pack(const dnnl::engine& engine, DType type, std::span<const std::byte> elements, const Packing& packing,
            Staging& staging) {
  Memory result = allocate_pages(packed_bytes(packing.packed));
  dnnl::stream stream(engine);
  Packer(engine, type, elements, packing, result.get(), staging.buffer(Packer::staging_bytes(packing))).run(stream);
  return result;
}

std::byte* PackedWeights::use(const Weights& weights, const std::string& name, const Packing& packing,
                              Staging& staging) {
  const WeightView& view = weights.find(name);
  std::vector<std::byte> start = beginning(view);
  const auto [first, last] = entries_.equal_range(name);
  for (auto at = first; at != last; ++at) {
    Entry& entry = at->second;
    if (entry.weights != &weights || entry.form != packing.packed || entry.beginning != start) continue;
    ++entry.users;
    return entry.memory.get();
  }
  check_finite(weights, name);
  Memory memory = pack(engine_, view.type, view.bytes, packing, staging);
  weights.release(name);
  Entry entry{&weights, std::move(start), packing.packed, std::move(memory), 1};
  return entries_.emplace(name, std::move(entry))->second.memory.get();
}

kernels::MappedWeight PackedWeights::mapped(const Weights& weights, const std::string& name) {
  check_finite(weights, name);
  const WeightView& view = weights.find(name);
  return {view.bytes.data(), view.type};
}

void PackedWeights::check_finite(const Weights& weights, const std::string& name) {
  const WeightView& view = weights.find(name);
  std::vector<std::byte>& seen = finite_[view.bytes.data()];
  std::vector<std::byte> start = beginning(view);
  if (seen == start) return;
  weights.check_finite(name);
  weights.release(name);
  seen = std::move(start);
}

void PackedWeights::release(const std::byte* packed) {
  for (auto& [name, entry] : entries_)
    if (entry.memory.get() == packed) --entry.users;
}

void PackedWeights::free_unused() {
  std::erase_if(entries_, [](const auto& entry) { return entry.second.users == 0; });
  trim_heap();
}

size_t PackedWeights::bytes() const {
  size_t total = 0;
  for (const auto& [name, entry] : entries_) total += packed_bytes(entry.form);
  return total;
}

}  // namespace inkstone::cpu
