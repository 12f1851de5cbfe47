// Between images and what a network reads and writes.
#pragma once

#include "base/image.h"
#include "base/tensor.h"

namespace inkstone {

// [1, 3 k k, h, w], values 0 to 1: channel c k k + y k + x is that of the pixel (x, y) of each square
// of k x k pixels. An image that does not divide into such squares is continued by its mirror image
// at the right and below, as spandrel does it.
Tensor unshuffled(const Image& image, int k);

// The first `width` columns and `height` rows of [1, 3, h, w], rounded to 8 bits. Throws Error for
// NaN, naming `source`.
Image image_of(const Tensor& pixels, int width, int height, const std::string& source);

}  // namespace inkstone
