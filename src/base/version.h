// The version of the program, as --version, the images and the JSON results write it.
#pragma once

namespace inkstone {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace inkstone
