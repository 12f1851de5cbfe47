// compile.sh: ATC's commands, to be run on a machine that has ATC.
#pragma once

#include <string>
#include <vector>

#include "atc/command.h"

namespace inkstone {

inline constexpr const char* kScriptName = "compile.sh";

struct ScriptEntry {
  const GraphRecord* graph = nullptr;
  FileRecord weights;
  AtcCommand command;
  std::string recipe;
};

// A script for sh, in the folder of the files. It checks that ATC is there and that the files are
// complete. If it is run again it continues where it was. Beside each `.om` it leaves a file
// om_info_name(), by which inkstone recognises it.
std::string compile_script(const std::vector<ScriptEntry>& entries);

std::string om_info_name(const GraphRecord& graph);

}  // namespace inkstone
