// picture_size and read_picture on anything: an Error, or a picture that is as large as its header says and can be
// resized.
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  inkstone::PictureSize said;
  try {
    said = inkstone::picture_size(file, "fuzz");
    if (said.width <= 0) std::abort();
  } catch (const inkstone::Error&) {
  }
  try {
    const inkstone::Picture picture = inkstone::read_picture(file, "fuzz", {.max_pixels = 1 << 16});
    const size_t pixels = static_cast<size_t>(picture.image.width) * static_cast<size_t>(picture.image.height);
    if (pixels == 0 || picture.image.rgb.size() != 3 * pixels) std::abort();
    if (picture.image.width != said.width || picture.image.height != said.height) std::abort();
    if (!picture.alpha.empty() && picture.alpha.size() != pixels) std::abort();
    if (inkstone::resize(inkstone::luma(inkstone::flatten(picture)), 7, 5).values.size() != 35) std::abort();
  } catch (const inkstone::Error&) {
  }
  return 0;
}
