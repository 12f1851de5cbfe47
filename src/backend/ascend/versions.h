// Reads the versions of CANN and of the Ascend driver from files that their installers leave,
// without asking a library.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace inkstone {

struct InstalledVersion {
  std::string version;         // "8.1.RC1"; "" where nothing is installed
  std::filesystem::path file;  // where it stands
  // The toolkit's folder, which has set_env.sh in it or beside it.
  std::filesystem::path home;
};

// Looks where set_env.sh points to (ASCEND_HOME_PATH, ASCEND_TOOLKIT_HOME), then where installers
// put it. Absolute paths that the installers chose are read below `root`.
InstalledVersion installed_cann(const std::filesystem::path& root = "/");
InstalledVersion installed_driver(const std::filesystem::path& root = "/");

// "Version = 8.1" -> "8.1": the value of the first of these keys, in letters of any case, that a
// line gives.
std::string version_in(std::string_view text, std::initializer_list<std::string_view> keys);

}  // namespace inkstone
