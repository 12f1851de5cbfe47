// Activation functions on vectors.
#pragma once

#include "backend/cpu/kernels/lanes.h"
#include "ir/op.h"

namespace inkstone::INKSTONE_ISA {

INKSTONE_INLINE Vec sigmoid(Vec x) { return inverse(1.0f + exp_of(-x)); }

INKSTONE_INLINE Vec silu(Vec x) { return x * sigmoid(x); }

// x times the normal distribution's integral: erfc by Abramowitz and Stegun 7.1.26, within 2e-7.
INKSTONE_INLINE Vec gelu(Vec x) {
  const Vec magnitude = larger(x, -x) * 0.70710678118654752f;
  const Vec t = inverse(magnitude * 0.3275911f + 1.0f);
  Vec p = t * 1.061405429f - 1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t - 0.284496736f;
  p = p * t + 0.254829592f;
  const Vec half_tail = p * t * exp_of(-magnitude * magnitude) * 0.5f;  // erfc(|x| / sqrt 2) / 2
  return x * (x > 0.0f ? 1.0f - half_tail : half_tail);
}

INKSTONE_INLINE Vec activated(Activation kind, Vec x) {
  switch (kind) {
    case Activation::kNone: return x;
    case Activation::kSilu: return silu(x);
    case Activation::kGelu: return gelu(x);
    case Activation::kQuickGelu: return x * sigmoid(x * 1.702f);
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
  }
}

}  // namespace inkstone::INKSTONE_ISA
