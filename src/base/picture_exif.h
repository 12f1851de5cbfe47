// The EXIF block of a picture's file, without a decoder.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace inkstone {

// The first one, for Exif (base/exif.h); empty: there is none. Throws Error for another format and a header that is cut
// off.
std::string_view exif_block(std::span<const std::byte> file);

}  // namespace inkstone
