// What this machine multiplies as INKSTONE_PRODUCTS asks: oneDNN has bf16 where there is AVX-512
// alone.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/cpu/product_algorithm.h"

namespace inkstone {

inline bool uses_onednn(DType type) { return cpu::algorithm_of(op::Linear{}, type) == cpu::ProductAlgorithm::kOneDnn; }

inline bool multiplies_bf16() { return !uses_onednn(DType::kBF16) || cpu::onednn_multiplies(DType::kBF16); }

inline std::vector<Precision> runnable_precisions() {
  if (!multiplies_bf16()) return {Precision::kFp32};
  return {Precision::kFp32, Precision::kBf16};
}

// oneDNN's fp32 matmuls without AVX-512: made for another number of threads, they give other bits.
// None of them is ever chosen by default.
inline bool bits_depend_on_threads() { return uses_onednn(DType::kF32) && !multiplies_bf16(); }

}  // namespace inkstone
