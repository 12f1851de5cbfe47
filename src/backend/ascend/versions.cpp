// ascend_toolkit_install.info: "version=8.5.0". version.cfg:
// "toolkit_running_version=[1.84.22.1.220:8.1.RC1]". driver/version.info: "Version=25.0.rc1.1".
#include "backend/ascend/versions.h"

#include <algorithm>
#include <cctype>
#include <vector>

#include "backend/ascend/npu_chip.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/file.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

std::string trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\"");
  if (begin == text.npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\"") - begin + 1));
}

std::string text_of(const fs::path& file) {
  constexpr size_t kMaxBytes = size_t{1} << 16;
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return "";
  try {
    return read_file(file, kMaxBytes);
  } catch (const Error&) {  // not readable: as if it were not there
    return "";
  }
}

fs::path below(const fs::path& root, const fs::path& path) { return root / path.relative_path(); }

std::vector<fs::path> toolkit_homes(const fs::path& root) {
  std::vector<fs::path> homes;
  for (const Variable variable : {Variable::kAscendHomePath, Variable::kAscendToolkitHome})
    if (const auto home = nonempty_environment(variable)) homes.emplace_back(*home);
  std::vector<fs::path> places{below(root, "/usr/local/Ascend")};
  if (const auto home = nonempty_environment(Variable::kHome)) places.push_back(fs::path(*home) / "Ascend");
  for (const fs::path& place : places)
    for (const char* folder : {"cann", "ascend-toolkit/latest", "nnrt/latest", "nnae/latest"})
      homes.push_back(place / folder);
  return homes;
}

InstalledVersion version_of(const fs::path& home) {
  for (const char* system : {"aarch64-linux", "x86_64-linux", "arm64-linux"})
    for (const char* package : {"toolkit", "nnrt", "nnae"}) {
      const fs::path file = home / system / (std::string("ascend_") + package + "_install.info");
      if (std::string version = version_in(text_of(file), {"version"}); !version.empty())
        return {std::move(version), file, home};
    }
  const fs::path file = home / "version.cfg";
  std::string version = version_in(text_of(file), {"toolkit_running_version", "runtime_running_version"});
  std::erase_if(version, [](char c) { return c == '[' || c == ']'; });
  version.erase(0, version.rfind(':') + 1);  // npos + 1 is 0
  if (version.empty()) return {};
  return {std::move(version), file, home};
}

}  // namespace

std::string version_in(std::string_view text, std::initializer_list<std::string_view> keys) {
  for (std::string_view key : keys)
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      begin = end + 1;
      const size_t equals = line.find('=');
      if (equals == line.npos) continue;
      std::string name = trimmed(line.substr(0, equals));
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      if (name == key) return plain_text(trimmed(line.substr(equals + 1)));
    }
  return "";
}

InstalledVersion installed_cann(const fs::path& root) {
  for (const fs::path& home : toolkit_homes(root))
    if (InstalledVersion found = version_of(home); !found.version.empty()) return found;
  return {};
}

InstalledVersion installed_driver(const fs::path& root) {
  const fs::path file = below(root, "/usr/local/Ascend/driver/version.info");
  return {version_in(text_of(file), {"version", "package_version"}), file, {}};
}

}  // namespace inkstone
