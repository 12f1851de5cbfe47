// Twelve independent multiply-adds in each iteration, in the registers of AVX2 and AVX-512.
#include "backend/cpu/kernels/processor.h"

namespace inkstone::kernels {
namespace {

// clang-format off
#define INKSTONE_TWELVE(op, a, b, r) \
  op " " a "," b "," r "0\n" op " " a "," b "," r "1\n" op " " a "," b "," r "2\n" op " " a "," b "," r "3\n" \
  op " " a "," b "," r "4\n" op " " a "," b "," r "5\n" op " " a "," b "," r "6\n" op " " a "," b "," r "7\n" \
  op " " a "," b "," r "8\n" op " " a "," b "," r "9\n" op " " a "," b "," r "10\n" op " " a "," b "," r "11\n"
// clang-format on
#define INKSTONE_CLOBBERED \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13"

void fma512(int64_t iterations) {
  asm volatile("vpxor %%xmm12,%%xmm12,%%xmm12\nvpxor %%xmm13,%%xmm13,%%xmm13" ::: INKSTONE_CLOBBERED);
  for (; iterations > 0; --iterations)
    asm volatile(INKSTONE_TWELVE("vfmadd231ps", "%%zmm12", "%%zmm13", "%%zmm")::: INKSTONE_CLOBBERED);
}
void dot512(int64_t iterations) {
  asm volatile("vpxor %%xmm12,%%xmm12,%%xmm12\nvpxor %%xmm13,%%xmm13,%%xmm13" ::: INKSTONE_CLOBBERED);
  for (; iterations > 0; --iterations)
    asm volatile(INKSTONE_TWELVE("vdpbf16ps", "%%zmm12", "%%zmm13", "%%zmm")::: INKSTONE_CLOBBERED);
}
void fma256(int64_t iterations) {
  asm volatile("vpxor %%xmm12,%%xmm12,%%xmm12\nvpxor %%xmm13,%%xmm13,%%xmm13" ::: INKSTONE_CLOBBERED);
  for (; iterations > 0; --iterations)
    asm volatile(INKSTONE_TWELVE("vfmadd231ps", "%%ymm12", "%%ymm13", "%%ymm")::: INKSTONE_CLOBBERED);
}

}  // namespace

PeakLoop peak_loop(std::string_view isa, DType type) {
  const bool bf16 = type == DType::kBF16;
  if (isa == "avx512") return bf16 ? PeakLoop{12 * 64, dot512} : PeakLoop{12 * 32, fma512};
  return isa == "avx2" && !bf16 ? PeakLoop{12 * 16, fma256} : PeakLoop{};
}

}  // namespace inkstone::kernels
