#include "base/image.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace inkstone {

double psnr(const Image& a, const Image& b) {
  INKSTONE_CHECK(a.width == b.width && a.height == b.height && a.rgb.size() == b.rgb.size(), "psnr: an image of ",
                 a.width, "x", a.height, " against one of ", b.width, "x", b.height);
  // exact: 255 squared times 2^48 bytes fits
  uint64_t squares = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const int difference = int{a.rgb[i]} - int{b.rgb[i]};
    squares += static_cast<uint64_t>(difference * difference);
  }
  if (squares == 0) return std::numeric_limits<double>::infinity();
  return 10.0 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / static_cast<double>(squares));
}

}  // namespace inkstone
