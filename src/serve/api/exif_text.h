// The parameters of an image that other programs, and this one, write into the EXIF of JPEG and WebP files.
#pragma once

#include <string>
#include <string_view>

namespace inkstone::serve {

// UserComment of an EXIF block, as UTF-8, at most 1 MiB of it; "": there is none that can be read.
std::string exif_user_comment(std::string_view exif);

}  // namespace inkstone::serve
