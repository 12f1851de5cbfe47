// In which precisions this machine multiplies as INKSTONE_PRODUCTS asks: oneDNN has bf16 where
// there is AVX-512 alone.
#pragma once

#include <vector>

#include "backend/backend.h"
#include "backend/cpu/product_algorithm.h"

namespace inkstone {

inline std::vector<Precision> runnable_precisions() {
  const bool onednn = cpu::algorithm_of(op::Linear{}, DType::kBF16) == cpu::ProductAlgorithm::kOneDnn;
  if (onednn && !cpu::onednn_multiplies(DType::kBF16)) return {Precision::kFp32};
  return {Precision::kFp32, Precision::kBf16};
}

}  // namespace inkstone
