// The environment variables that the program reads. Only environment.cpp reads them; its table says
// what each one does and which files use it.
#pragma once

#include <optional>
#include <span>
#include <string>

namespace inkstone {

enum class Variable {
  kIsa,
  kProducts,
  kCache,
  kAtc,
  kAscendCl,
  kDcmiLibrary,
  kNpuSmi,
  kStepTimeout,
  kVerify,
  kAscendToolkitHome,
  kAscendHomePath,
  kAscendOppPath,
  kHfHubCache,
  kHuggingfaceHubCache,
  kHfHome,
  kHfEndpoint,
  kHfHubOffline,
  kHfToken,
  kHuggingFaceHubToken,
  kHfTokenPath,
  kXdgCacheHome,
  kHome,
  kPath,
  kLdLibraryPath,
  kTerm,
  kTermProgram,
  kLcTerminal,
  kKittyWindowId,
  kTmux,
  kColumns,
  kGompSpinCount,
  kOmpWaitPolicy,
};

struct VariableInfo {
  Variable variable;
  const char* name;  // "INKSTONE_ISA"
  // The end of a sentence that begins with the name: "is the folder ..."
  const char* effect;
  const char* readers;  // files below src/
};
std::span<const VariableInfo> environment_variables();  // in the order of Variable
const char* name_of(Variable variable);

// The variable's value, which may be empty; nothing if it is not set.
std::optional<std::string> environment(Variable variable);
// As environment(), but an empty value counts as not set.
std::optional<std::string> nonempty_environment(Variable variable);
// As environment(), for a variable that stands for a flag: INKSTONE_MAX_QUEUE for --max-queue.
std::optional<std::string> flag_environment(const std::string& name);

}  // namespace inkstone
