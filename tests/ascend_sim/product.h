// Products of matrices, in fp32, summed in an order that does not depend on the number of threads.
#pragma once

#include <cstdint>

namespace ascend_sim {

// one image and how a kernel walks over it
struct Image {
  const float* data = nullptr;
  int64_t channels = 0, height = 0, width = 0;
  int64_t kernel_height = 1, kernel_width = 1, stride_y = 1, stride_x = 1, pad_top = 0, pad_left = 0;
  int64_t dilation_y = 1, dilation_x = 1;
  int64_t out_height = 0, out_width = 0;
};

// The right side: a matrix [k, n] of any strides or, where `image` is set, the patches of an image
// in place of one.
struct Right {
  const float* data = nullptr;
  int64_t row_stride = 0, column_stride = 1;
  const Image* image = nullptr;
};

// out [m, n] = left [m, k] right [k, n], each row of left and out following the one before it.
void product(const float* left, const Right& right, float* out, int64_t m, int64_t n, int64_t k);

}  // namespace ascend_sim
