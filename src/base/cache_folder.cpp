#include "base/cache_folder.h"

#include "base/environment.h"

namespace inkstone {

std::filesystem::path cache_folder(const std::string& name) {
  namespace fs = std::filesystem;
  if (const auto folder = nonempty_environment(Variable::kCache)) return fs::path(*folder) / name;
  if (const auto folder = nonempty_environment(Variable::kXdgCacheHome)) return fs::path(*folder) / "inkstone" / name;
  if (const auto folder = nonempty_environment(Variable::kHome)) return fs::path(*folder) / ".cache/inkstone" / name;
  return "";
}

}  // namespace inkstone
