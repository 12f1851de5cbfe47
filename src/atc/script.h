// compile.sh: ATC's commands for a machine that has it, where this one does not.
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

// For sh. It stands in the folder of the files; checks that ATC is there and the files are whole;
// goes on where it was when it is run again; leaves beside each `.om` its om_info_name(), by which
// inkstone knows it again.
std::string compile_script(const std::vector<ScriptEntry>& entries);

std::string om_info_name(const GraphRecord& graph);

}  // namespace inkstone
