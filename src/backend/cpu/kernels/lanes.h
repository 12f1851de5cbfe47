// A vector of floats as wide as the instruction set that this file is compiled for, in the
// compilers' own vector types. kernels.cmake compiles the variant sources once for each instruction
// set, each time in a namespace of its own (INKSTONE_ISA) and with its own number of lanes.
// Everything here is inlined: a function that the linker could share between variants would carry
// one's instructions into another, so variant sources call nothing of the standard library or of
// base/ that is inline and not sure to be inlined.
#pragma once

#include <cstdint>
#include <cstring>

#define INKSTONE_INLINE inline __attribute__((always_inline))
#define INKSTONE_INLINE_LAMBDA __attribute__((always_inline))
#ifdef __clang__
#define INKSTONE_UNROLL _Pragma("unroll")  // the whole of the short loop that follows, so that arrays stay in registers
#else
#define INKSTONE_UNROLL _Pragma("GCC unroll 16")
#endif

namespace inkstone::kernels::INKSTONE_ISA {

inline constexpr int kLanes = INKSTONE_LANES;
using Bf16 = uint16_t;

typedef float Vec __attribute__((vector_size(4 * kLanes)));
typedef uint32_t BitVec __attribute__((vector_size(4 * kLanes)));
typedef uint16_t HalfVec __attribute__((vector_size(2 * kLanes)));

INKSTONE_INLINE Vec splat(float value) { return value - Vec{}; }

INKSTONE_INLINE BitVec bits_of(Vec v) { return reinterpret_cast<BitVec>(v); }
INKSTONE_INLINE Vec floats_of(BitVec v) { return reinterpret_cast<Vec>(v); }

}  // namespace inkstone::kernels::INKSTONE_ISA
#include INKSTONE_LANES_HEADER
namespace inkstone::kernels::INKSTONE_ISA {

INKSTONE_INLINE Vec load(const float* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
INKSTONE_INLINE Vec load(const Bf16* from) {
  HalfVec half;
  std::memcpy(&half, from, sizeof half);
  return widen(half);
}
INKSTONE_INLINE void store(float* to, Vec v) { std::memcpy(to, &v, sizeof v); }
INKSTONE_INLINE void store(Bf16* to, Vec v) {
  const HalfVec half = narrow(v);
  std::memcpy(to, &half, sizeof half);
}

// One element.
INKSTONE_INLINE float value_of(float value) { return value; }
INKSTONE_INLINE float value_of(Bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}
INKSTONE_INLINE void put(float* to, float value) { *to = value; }
INKSTONE_INLINE void put(Bf16* to, float value) { *to = narrow(splat(value))[0]; }

// The first `count` lanes (fewer than kLanes); the others are 0 and are not written.
template <typename T>
INKSTONE_INLINE Vec load_some(const T* from, int64_t count) {
  T values[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) values[i] = from[i];
  return load(values);
}
template <typename T>
INKSTONE_INLINE void store_some(T* to, Vec v, int64_t count) {
  T values[kLanes];
  store(values, v);
  for (int64_t i = 0; i < count; ++i) to[i] = values[i];
}

INKSTONE_INLINE float sum_of(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
inline constexpr float kRounder = 12582912.0f;

// 2^x within 1e-7 for x in [-126, 127], which it must be in; NaN stays NaN.
INKSTONE_INLINE Vec exp2_within(Vec x) {
  const Vec shifted = x + kRounder;
  const Vec r = x - (shifted - kRounder);
  Vec p = r * 0.00015353361959569156f + 0.0013398875016719103f;
  p = p * r + 0.00961843691766262f;
  p = p * r + 0.055503323674201965f;
  p = p * r + 0.24022647738456726f;
  p = p * r + 0.6931471824645996f;
  p = p * r + 1.0f;
  return floats_of(bits_of(p) + (bits_of(shifted) << 23));
}

// The same with x clamped to that range.
INKSTONE_INLINE Vec exp2_of(Vec x) { return exp2_within(smaller(splat(127.0f), larger(splat(-126.0f), x))); }

// e^x within 1e-7 for x in [-87, 88], clamped to that range; NaN stays NaN.
INKSTONE_INLINE Vec exp_of(Vec x) {
  x = larger(splat(-87.0f), x);
  x = smaller(splat(88.0f), x);
  const Vec shifted = x * 1.44269504088896341f + kRounder;
  const Vec n = shifted - kRounder;
  // ln 2 in two parts: the first product is exact
  const Vec r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Vec p = r * 0.0013843646738678217f + 0.008374162018299103f;
  p = p * r + 0.04166800156235695f;
  p = p * r + 0.16666431725025177f;
  p = p * r + 0.4999999403953552f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return floats_of(bits_of(p) + (bits_of(shifted) << 23));
}

}  // namespace inkstone::kernels::INKSTONE_ISA
