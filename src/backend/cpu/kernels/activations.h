// Activation functions on vectors.
#pragma once

#include "backend/cpu/kernels/lanes.h"
#include "ir/op.h"

namespace inkstone::kernels::INKSTONE_ISA {

INKSTONE_INLINE Vec sigmoid(Vec x) { return inverse(1.0f + exp_of(-x)); }

INKSTONE_INLINE Vec silu(Vec x) { return x * sigmoid(x); }

// x times the normal distribution's integral, within 2e-7: the tail's base 2 logarithm is a
// polynomial of |x|.
INKSTONE_INLINE Vec gelu(Vec x) {
  const Vec magnitude = smaller(splat(12.0f), floats_of(bits_of(x) & 0x7fffffff));
  Vec p = magnitude * 2.766518809949048e-05f - 0.0007205047295428813f;
  p = p * magnitude + 0.00791636947542429f;
  p = p * magnitude - 0.053151145577430725f;
  p = p * magnitude - 0.4589698016643524f;
  p = p * magnitude - 1.1511367559432983f;
  p = p * magnitude - 0.9999993443489075f;
  return larger(Vec{}, x) - magnitude * exp2_within(p);
}

// NaN stays NaN.
INKSTONE_INLINE Vec relu(Vec x) { return larger(Vec{}, x); }
INKSTONE_INLINE Vec leaky_relu(Vec x) { return larger(x * kLeakyReluSlope, x); }

INKSTONE_INLINE Vec activated(Activation kind, Vec x) {
  switch (kind) {
    case Activation::kNone: return x;
    case Activation::kSilu: return silu(x);
    case Activation::kGelu: return gelu(x);
    case Activation::kQuickGelu: return x * sigmoid(x * 1.702f);
    case Activation::kRelu: return relu(x);
    case Activation::kLeakyRelu: return leaky_relu(x);
  }
  return x;
}

// f with the function that `kind` names.
template <typename F>
INKSTONE_INLINE void with_activation(Activation kind, const F& f) {
  switch (kind) {
    case Activation::kNone: return f([](Vec v) INKSTONE_INLINE_LAMBDA { return v; });
    case Activation::kSilu: return f([](Vec v) INKSTONE_INLINE_LAMBDA { return silu(v); });
    case Activation::kGelu: return f([](Vec v) INKSTONE_INLINE_LAMBDA { return gelu(v); });
    case Activation::kQuickGelu: return f([](Vec v) INKSTONE_INLINE_LAMBDA { return v * sigmoid(v * 1.702f); });
    case Activation::kRelu: return f([](Vec v) INKSTONE_INLINE_LAMBDA { return relu(v); });
    case Activation::kLeakyRelu: return f([](Vec v) INKSTONE_INLINE_LAMBDA { return leaky_relu(v); });
  }
}

}  // namespace inkstone::kernels::INKSTONE_ISA
