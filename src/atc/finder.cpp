#include "atc/finder.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> parts_of(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<fs::path> candidates(const Surroundings& around) {
  std::vector<fs::path> result;
  const auto add_toolkit = [&](const fs::path& toolkit) {
    for (const char* folder : {"bin", "compiler/bin"}) result.push_back(toolkit / folder / "atc");
  };
  // A relative folder would run whatever lies in the folder in which the program is started.
  const auto absolute = [&](Variable name) {
    const fs::path folder = around.variable(name).value_or("");
    return folder.is_absolute() ? std::vector{folder} : std::vector<fs::path>{};
  };
  for (const std::string& folder : parts_of(around.variable(Variable::kPath).value_or(""), ':'))
    result.push_back(fs::path(folder) / "atc");
  for (const Variable name : {Variable::kAscendToolkitHome, Variable::kAscendHomePath})
    for (const fs::path& toolkit : absolute(name)) add_toolkit(toolkit);
  std::vector<fs::path> homes{around.root / "usr/local"};
  for (const fs::path& home : absolute(Variable::kHome)) homes.push_back(home);
  for (const fs::path& home : homes)
    for (const char* toolkit : {"Ascend/cann", "Ascend/ascend-toolkit/latest"}) add_toolkit(home / toolkit);
  return result;
}

// The folders that may be the toolkit, judged by the program's path: bin/atc, compiler/bin/atc,
// x86_64-linux/bin/atc.
std::vector<fs::path> toolkits_of(const fs::path& program) {
  std::vector<fs::path> result;
  std::error_code ignored;
  for (fs::path path : {program, fs::canonical(program, ignored)}) {
    path = path.parent_path();
    for (int up = 0; up < 3 && path.has_relative_path(); ++up) result.push_back(path = path.parent_path());
  }
  return result;
}

std::string text_of(const fs::path& path) {
  constexpr size_t kMax = size_t{1} << 20;
  try {
    return read_file(path, kMax);
  } catch (const Error&) {
    return "";
  }
}

std::string value_of(const std::string& text, std::string_view key) {  // of a line "key=value"
  for (const std::string& line : parts_of(text, '\n'))
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == '=')
      return line.substr(key.size() + 1, line.find_last_not_of(" \r") - key.size());
  return "";
}

// "[7.7.0.1.238:8.1.RC1]" of version.cfg; the second is what people call the version.
std::string public_version(const std::string& value) {
  const size_t colon = value.rfind(':'), end = value.find(']');
  return colon == std::string::npos || end == std::string::npos || end < colon
             ? ""
             : value.substr(colon + 1, end - colon - 1);
}

std::string version_in(const fs::path& toolkit) {
  const std::string config = text_of(toolkit / "version.cfg");
  for (const char* key : {"toolkit_running_version", "compiler_running_version", "runtime_running_version"})
    if (const std::string version = public_version(value_of(config, key)); !version.empty()) return version;
  for (const char* folder : {"", "aarch64-linux", "x86_64-linux"})
    if (const std::string version = value_of(text_of(toolkit / folder / "ascend_toolkit_install.info"), "version");
        !version.empty())
      return version;
  return "";
}

std::string version_of(const std::vector<fs::path>& toolkits) {
  for (const fs::path& toolkit : toolkits)
    if (const std::string version = version_in(toolkit); !version.empty()) return shown(version);
  for (const fs::path& toolkit : toolkits) {  // ascend-toolkit/8.1.RC1, cann-9.0.0
    const std::string name = toolkit.filename().string(), parent = toolkit.parent_path().filename().string();
    if (name.starts_with("cann-")) return shown(name.substr(5));
    if (parent == "ascend-toolkit" && name != "latest" && name != "set_env.sh") return shown(name);
  }
  return "";
}

// A machine without a card has no driver. The toolkit has a stand-in for the driver's library,
// which set_env.sh does not add.
std::vector<std::string> stand_in_driver(const std::vector<fs::path>& toolkits, const Surroundings& around) {
  std::error_code ignored;
  if (fs::exists(around.root / "usr/local/Ascend/driver/lib64", ignored)) return {};
  utsname machine = {};
  uname(&machine);
  for (const fs::path& toolkit : toolkits) {
    const fs::path folder = toolkit / (std::string(machine.machine) + "-linux") / "devlib";
    if (!fs::is_directory(folder, ignored)) continue;
    const std::string paths = around.variable(Variable::kLdLibraryPath).value_or("");
    return {"LD_LIBRARY_PATH=" + paths + (paths.empty() ? "" : ":") + folder.string()};
  }
  return {};
}

AtcTool describe(const fs::path& program, const Surroundings& around) {
  const std::vector<fs::path> toolkits = toolkits_of(program);
  AtcTool tool{program, version_of(toolkits), "", stand_in_driver(toolkits, around)};
  std::error_code ignored;
  if (!around.variable(Variable::kAscendOppPath))
    for (const fs::path& toolkit : toolkits)
      if (tool.set_env.empty() && fs::is_regular_file(toolkit / "set_env.sh", ignored))
        tool.set_env = (toolkit / "set_env.sh").string();
  return tool;
}

}  // namespace

Surroundings Surroundings::ours() { return {nonempty_environment, "/"}; }

std::string AtcTool::stamp() const {
  if (!cann.empty()) return cann;
  struct stat status = {};
  if (stat(program.c_str(), &status) != 0) return program.string();
  return program.string() + " " + std::to_string(status.st_size) + " " + std::to_string(status.st_mtime);
}

std::string AtcSearch::advice() const {
  std::string places;
  for (const std::string& place : looked) places += (places.empty() ? "" : ", ") + place;
  return "there is no ATC on this machine (looked for " + places +
         "): install the CANN toolkit from hiascend.com (no card is needed to compile) and `source` its set_env.sh, or "
         "name the "
         "program by INKSTONE_ATC";
}

AtcSearch find_atc(const Surroundings& around) {
  AtcSearch search;
  if (const auto stated = around.variable(Variable::kAtc)) {
    INKSTONE_CHECK(is_program(*stated), "INKSTONE_ATC is ", shown(*stated), ", which is no program");
    search.tool = describe(fs::absolute(*stated), around);
    return search;
  }
  search.looked = {"$INKSTONE_ATC",     "$PATH",       "$ASCEND_TOOLKIT_HOME", "$ASCEND_HOME_PATH",
                   "/usr/local/Ascend", "$HOME/Ascend"};
  for (const fs::path& path : candidates(around)) {
    if (!is_program(path)) continue;
    search.tool = describe(fs::absolute(path), around);
    return search;
  }
  return search;
}

}  // namespace inkstone
