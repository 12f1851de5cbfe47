// The folder for files that Inkstone can make again.
#pragma once

#include <filesystem>
#include <string>

namespace inkstone {

// $INKSTONE_CACHE/NAME, $XDG_CACHE_HOME/inkstone/NAME or ~/.cache/inkstone/NAME, whichever is set
// first; "" if none is.
std::filesystem::path cache_folder(const std::string& name);

}  // namespace inkstone
