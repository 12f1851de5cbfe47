// The three transforms of F(4x4, 3x3) at the points 0, +-3/4, +-3/2 and infinity. These points have
// half the error of the usual 0, +-1, +-2, and every factor is exact. The transforms leave out a
// constant factor of each result, by which it is multiplied at the end (kLeft).
#pragma once

#include "backend/cpu/kernels/lanes.h"

namespace inkstone::kernels::INKSTONE_ISA {

inline constexpr int kTileSide = 4;               // a tile of the result
inline constexpr int kPatchSide = kTileSide + 2;  // what it is computed from
// products for one tile and channel
inline constexpr int kPositions = kPatchSide * kPatchSide;

// Points a and b = 2 a.
inline constexpr float kA = 0.75f, kA2 = kA * kA, kB = 2 * kA, kB2 = kB * kB;
// Result [i][j] of a tile must still be multiplied by kLeft[i + j].
inline constexpr float kEach = 1 / (2 * kA2 * (kA2 - kB2)), kFirst = kEach * kEach;
inline constexpr float kLeft[2 * kTileSide - 1] = {
    kFirst, kFirst* kA, kFirst* kA2, kFirst* kA2* kA, kFirst* kA2* kA2, kFirst* kA2* kA2* kA, kFirst* kA2* kA2* kA2};

INKSTONE_INLINE void transform_input(const Vec (&d)[6], Vec (&r)[6]) {
  const Vec p = d[4] - d[2] * kB2, q = d[3] - d[1] * kB2;
  const Vec u = d[4] - d[2] * kA2, v = d[3] - d[1] * kA2;
  r[0] = p + (d[0] * kB2 - d[2]) * kA2;
  r[1] = p + q * kA;
  r[2] = p - q * kA;
  r[3] = u + v * kB;
  r[4] = u - v * kB;
  r[5] = (d[5] - d[3] * kA2) - v * kB2;
}

INKSTONE_INLINE void transform_weights(const Vec (&g)[3], Vec (&r)[6]) {
  const Vec s = g[0] + g[2] * kA2, t = g[0] + g[2] * kB2;
  r[0] = g[0];
  r[1] = s + g[1] * kA;
  r[2] = s - g[1] * kA;
  r[3] = t + g[1] * kB;
  r[4] = t - g[1] * kB;
  r[5] = g[2];
}

INKSTONE_INLINE void transform_result(const Vec (&m)[6], Vec (&r)[4]) {
  const Vec s = m[1] + m[2], d = m[1] - m[2], t = m[3] + m[4], e = m[3] - m[4];
  r[0] = s - t * 0.25f - m[0] * 1.5f;
  r[1] = d - e * 0.5f;
  r[2] = s - t;
  r[3] = d - e * 2.0f - m[5] * (6 * kA);
}

}  // namespace inkstone::kernels::INKSTONE_ISA
