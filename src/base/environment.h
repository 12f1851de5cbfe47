// The environment: every variable that the program reads, and the only place that reads one.
// environment.cpp has the table: what each variable does, and who asks for it.
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
  kHfHome,
  kXdgCacheHome,
  kHome,
  kPath,
  kLdLibraryPath,
  kTerm,
  kColumns,
  kGompSpinCount,
  kOmpWaitPolicy,
};

struct VariableInfo {
  Variable variable;
  const char* name;  // "INKSTONE_ISA"
  // what it does, in a sentence's end
  const char* effect;
  const char* readers;  // files below src/
};
std::span<const VariableInfo> environment_variables();  // in the order of Variable
const char* name_of(Variable variable);

// The value as it is set, perhaps to nothing; none where it is not set.
std::optional<std::string> environment(Variable variable);
// The same, and set to nothing counts as not set.
std::optional<std::string> nonempty_environment(Variable variable);
// The same as environment() for a variable that is named after a flag: INKSTONE_MAX_QUEUE stands
// for --max-queue.
std::optional<std::string> flag_environment(const std::string& name);

}  // namespace inkstone
