#include "backend/ascend/library.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/environment.h"
#include "base/error.h"

namespace inkstone::ascend {
namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "libascendcl.so";
constexpr const char* kHowToGet =
    "install CANN (toolkit or nnrt, from hiascend.com), run `source /usr/local/Ascend/ascend-toolkit/set_env.sh` (CANN "
    "8.5 "
    "and later: /usr/local/Ascend/cann/set_env.sh) in this shell and start again; in a container mount "
    "/usr/local/Ascend/driver from the host as well (docs/ascend.md)";

struct Opened {
  void* handle = nullptr;
  std::string error;  // of the loader, on one line
};

Opened open(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_LAZY | RTLD_GLOBAL);
  if (handle) return {handle, {}};
  const char* error = dlerror();
  return {nullptr, error ? error : "cannot be opened"};
}

// The loader says "cannot open shared object file" both if a file is missing and if a library that
// it needs is missing.
std::string reason(const std::string& error) {
  if (error.find("libascend_hal.so") != std::string::npos)
    return error + " (that is the driver's: it is not installed, or not mounted in this container)";
  if (!nonempty_environment(Variable::kAscendOppPath))
    return error + " (ASCEND_OPP_PATH is unset: set_env.sh was not sourced)";
  return error;
}

// CANN 8.5 and later split the library. Functions that the first file lacks are looked for in the
// files beside it, then by name.
struct Symbols {
  std::vector<void*> handles;
  std::string folder;
  size_t tried = 0;

  void* find(const char* name) {
    for (;;) {
      for (void* handle : handles)
        if (void* symbol = dlsym(handle, name)) return symbol;
      if (!open_next()) return nullptr;
    }
  }

  bool open_next() {
    static constexpr const char* kSplit[] = {"libacl_rt.so", "libacl_mdl.so"};
    while (tried < std::size(kSplit)) {
      const std::string name = kSplit[tried++];
      for (const std::string& path : {folder + name, name}) {
        if (path != name && folder.empty()) continue;
        if (const Opened opened = open(path); opened.handle) return handles.push_back(opened.handle), true;
      }
    }
    return false;
  }
};

template <typename Function>
bool bind(Symbols& symbols, const char* name, Function*& function) {
  void* symbol = symbols.find(name);
  static_assert(sizeof symbol == sizeof function);
  std::memcpy(&function, &symbol, sizeof symbol);
  return symbol;
}

Api bind_all(Symbols& symbols, const std::string& path) {
  Api api;
  std::string missing;
  size_t count = 0;
#define INKSTONE_ACL_BIND(name, result, arguments) \
  if (!bind(symbols, #name, api.name) && ++count <= 5) missing += (missing.empty() ? "" : ", ") + std::string(#name);
  INKSTONE_ACL_REQUIRED(INKSTONE_ACL_BIND)
#undef INKSTONE_ACL_BIND
  if (count > 5) missing += " and " + std::to_string(count - 5) + " more";
  INKSTONE_CHECK(missing.empty(), "AscendCL is incomplete: ", path, ", libacl_rt.so and libacl_mdl.so lack ", missing,
                 "; CANN 7 or later is needed: ", kHowToGet);
#define INKSTONE_ACL_BIND(name, result, arguments) bind(symbols, #name, api.name);
  INKSTONE_ACL_OPTIONAL(INKSTONE_ACL_BIND)
#undef INKSTONE_ACL_BIND
  return api;
}

struct Opening {
  void* handle = nullptr;
  std::string path;    // as it was opened
  std::string broken;  // a file that is there and cannot be opened: why
};

Opening open_first_candidate() {
  // Otherwise CANN's tracer replaces this program's handlers for SIGINT and SIGTERM.
  setenv("ASCEND_COREDUMP_SIGNAL", "none", 0);
  Opening result;
  for (const std::string& path : library_candidates()) {
    const Opened opened = open(path);
    if (opened.handle) return {opened.handle, path, ""};
    // For a plain name only the loader knows whether the file is missing or one that it needs.
    std::error_code ignored;
    const bool there = path == kName ? opened.error.rfind(kName, 0) != 0 : fs::exists(path, ignored);
    if (there && result.broken.empty()) result.broken = reason(opened.error);
  }
  return result;
}

// What a child process says, to its end, and how it ended.
std::string said_by(pid_t child, int output, int& status) {
  std::string text;
  char piece[4096];
  for (ssize_t got; (got = read(output, piece, sizeof piece)) > 0;) text.append(piece, static_cast<size_t>(got));
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return text;
}

}  // namespace

std::optional<NpuAbsence> library_absence() {
  int ends[2];
  if (pipe(ends) != 0) return {};  // whoever opens it will see
  const pid_t child = fork();
  if (child == 0) {
    const Opening opening = open_first_candidate();
    if (write(ends[1], opening.broken.data(), opening.broken.size()) < 0) _exit(2);
    _exit(opening.handle ? 0 : 1);
  }
  close(ends[1]);
  int status = 0;
  const std::string broken = child < 0 ? "" : said_by(child, ends[0], status);
  close(ends[0]);
  if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return {};
  NpuAbsence absence;
  absence.way_out = kHowToGet;
  absence.because = !WIFEXITED(status) ? "AscendCL ends the process that opens it"
                    : broken.empty()   ? "there is no AscendCL (" + std::string(kName) + ") on this machine"
                                       : "AscendCL cannot be opened: " + broken;
  return absence;
}

std::vector<std::string> library_candidates() {
  if (const auto only = nonempty_environment(Variable::kAscendCl)) return {*only};
  std::vector<std::string> paths{kName};
  // A relative root would load whatever lies in the folder in which the program is started.
  const auto add = [&](const std::string& root, const char* below) {
    if (root.starts_with('/')) paths.push_back(root + below + kName);
  };
  add(environment(Variable::kAscendToolkitHome).value_or(""), "/lib64/");
  add(environment(Variable::kAscendHomePath).value_or(""), "/lib64/");
  const std::string home = environment(Variable::kHome).value_or("");
  for (const std::string& root : {std::string("/usr/local"), home}) {
    add(root, "/Ascend/cann/lib64/");
    add(root, "/Ascend/ascend-toolkit/latest/lib64/");
    add(root, "/Ascend/nnrt/latest/lib64/");
  }
  return paths;
}

Library open_library() {
  const Opening opening = open_first_candidate();
  if (opening.handle) {
    const size_t slash = opening.path.rfind('/');
    Symbols symbols{{opening.handle}, slash == std::string::npos ? "" : opening.path.substr(0, slash + 1)};
    return {bind_all(symbols, opening.path), opening.path};
  }
  if (!opening.broken.empty()) fail(INKSTONE_HERE, {"AscendCL cannot be opened: ", opening.broken, "; ", kHowToGet});
  std::string looked;
  for (const std::string& path : library_candidates()) looked += (looked.empty() ? "" : ", ") + path;
  fail(INKSTONE_HERE, {"no AscendCL on this machine: ", kName, " was looked for as ", looked, "; ", kHowToGet});
}

}  // namespace inkstone::ascend
