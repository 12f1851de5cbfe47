// Blocks of the right side are laid out as strips of 16 columns, and 6 rows of the left side run
// down each strip. The inner loop is compiled once for each instruction set that a processor may
// have.
#include "product.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace ascend_sim {
namespace {

constexpr int64_t kRows = 6, kStrip = 16, kDepth = 256, kColumns = 128, kTall = 192;

typedef float Strip __attribute__((vector_size(kStrip * sizeof(float)), aligned(4), may_alias));

// out [rows, 16] (+)= left [rows, depth] strip [depth, 16]
template <int Rows>
[[gnu::always_inline]] inline void tile(const float* left, int64_t left_stride, const float* strip, int64_t depth,
                                        float* out, bool first) {
  Strip sum[Rows];
  for (int r = 0; r < Rows; ++r) {
    if (first)
      sum[r] = Strip{};
    else
      sum[r] = *reinterpret_cast<const Strip*>(out + r * kStrip);
  }
  for (int64_t k = 0; k < depth; ++k) {
    const Strip row = *reinterpret_cast<const Strip*>(strip + k * kStrip);
    for (int r = 0; r < Rows; ++r) sum[r] += left[r * left_stride + k] * row;
  }
  for (int r = 0; r < Rows; ++r) *reinterpret_cast<Strip*>(out + r * kStrip) = sum[r];
}

[[gnu::always_inline]] inline void tile_of(int64_t rows, const float* left, int64_t left_stride, const float* strip,
                                           int64_t depth, float* out, bool first) {
  switch (rows) {
    case 1: return tile<1>(left, left_stride, strip, depth, out, first);
    case 2: return tile<2>(left, left_stride, strip, depth, out, first);
    case 3: return tile<3>(left, left_stride, strip, depth, out, first);
    case 4: return tile<4>(left, left_stride, strip, depth, out, first);
    case 5: return tile<5>(left, left_stride, strip, depth, out, first);
    default: return tile<6>(left, left_stride, strip, depth, out, first);
  }
}

using Kernel = void (*)(int64_t, const float*, int64_t, const float*, int64_t, float*, bool);

void plain(int64_t rows, const float* left, int64_t stride, const float* strip, int64_t depth, float* out, bool first) {
  tile_of(rows, left, stride, strip, depth, out, first);
}

#ifdef __x86_64__
[[gnu::target("avx2,fma")]] void avx2(int64_t rows, const float* left, int64_t stride, const float* strip,
                                      int64_t depth, float* out, bool first) {
  tile_of(rows, left, stride, strip, depth, out, first);
}
[[gnu::target("avx512f,fma")]] void avx512(int64_t rows, const float* left, int64_t stride, const float* strip,
                                           int64_t depth, float* out, bool first) {
  tile_of(rows, left, stride, strip, depth, out, first);
}
Kernel choose() {
  if (__builtin_cpu_supports("avx512f")) return avx512;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2 : plain;
}
#else
Kernel choose() { return plain; }
#endif

// One row k of a strip of patches: what the kernel's place (y, x) of a channel meets at 16 places
// of the result.
void patch_row(const Image& image, int64_t k, int64_t n0, int64_t n1, float* to) {
  const int64_t area = image.kernel_height * image.kernel_width, place = k % area;
  const float* plane = image.data + k / area * image.height * image.width;
  const int64_t dy = place / image.kernel_width * image.dilation_y - image.pad_top;
  const int64_t dx = place % image.kernel_width * image.dilation_x - image.pad_left;
  int64_t oy = n0 / image.out_width, ox = n0 % image.out_width;
  for (int64_t n = n0; n < n1;) {
    const int64_t run = std::min(n1 - n, image.out_width - ox), y = oy * image.stride_y + dy;
    const int64_t x0 = ox * image.stride_x + dx;
    if (y < 0 || y >= image.height) {
      std::fill_n(to, run, 0.0f);
    } else {
      const float* row = plane + y * image.width;
      if (image.stride_x == 1 && x0 >= 0 && x0 + run <= image.width) {
        std::copy_n(row + x0, run, to);
      } else {
        for (int64_t i = 0; i < run; ++i) {
          const int64_t x = x0 + i * image.stride_x;
          to[i] = x >= 0 && x < image.width ? row[x] : 0.0f;
        }
      }
    }
    to += run;
    n += run;
    ox = 0;
    ++oy;
  }
}

void matrix_row(const Right& right, int64_t k, int64_t n0, int64_t n1, float* to) {
  const float* from = right.data + k * right.row_stride;
  for (int64_t n = n0; n < n1; ++n) *to++ = from[n * right.column_stride];
}

void lay_out(const Right& right, int64_t k0, int64_t depth, int64_t n0, int64_t n1, float* strips) {
  for (int64_t n = n0; n < n1; n += kStrip) {
    const int64_t end = std::min(n + kStrip, n1);
    for (int64_t k = 0; k < depth; ++k, strips += kStrip) {
      if (right.image)
        patch_row(*right.image, k0 + k, n, end, strips);
      else
        matrix_row(right, k0 + k, n, end, strips);
      std::fill(strips + (end - n), strips + kStrip, 0.0f);
    }
  }
}

struct Place {
  int64_t m0, m1, n0, n1;
};

void block(Kernel kernel, const float* left, const Right& right, float* out, int64_t n, int64_t k, const Place& p) {
  thread_local std::vector<float> strips(kDepth * kColumns), sums(kTall * kColumns);
  for (int64_t k0 = 0; k0 < k; k0 += kDepth) {
    const int64_t depth = std::min(kDepth, k - k0);
    lay_out(right, k0, depth, p.n0, p.n1, strips.data());
    for (int64_t column = p.n0; column < p.n1; column += kStrip) {
      const float* strip = strips.data() + (column - p.n0) * depth;
      float* sum = sums.data() + (column - p.n0) * kTall;
      for (int64_t m = p.m0; m < p.m1; m += kRows)
        kernel(std::min(kRows, p.m1 - m), left + m * k + k0, k, strip, depth, sum + (m - p.m0) * kStrip, k0 == 0);
    }
  }
  for (int64_t column = p.n0; column < p.n1; column += kStrip)
    for (int64_t m = p.m0; m < p.m1; ++m)
      std::memcpy(out + m * n + column, sums.data() + (column - p.n0) * kTall + (m - p.m0) * kStrip,
                  static_cast<size_t>(std::min(kStrip, p.n1 - column)) * sizeof(float));
}

}  // namespace

void product(const float* left, const Right& right, float* out, int64_t m, int64_t n, int64_t k) {
  static const Kernel kernel = choose();
  if (k == 0) std::fill_n(out, m * n, 0.0f);
  if (k == 0) return;
  const int64_t tall = (m + kTall - 1) / kTall, wide = (n + kColumns - 1) / kColumns;
#pragma omp parallel for schedule(dynamic) if (m * n * k > 100000)
  for (int64_t task = 0; task < tall * wide; ++task) {
    const int64_t m0 = task % tall * kTall, n0 = task / tall * kColumns;
    block(kernel, left, right, out, n, k, {m0, std::min(m, m0 + kTall), n0, std::min(n, n0 + kColumns)});
  }
}

}  // namespace ascend_sim
