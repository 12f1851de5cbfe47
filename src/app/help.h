// The texts that --help shows, made of the table of settings.
#pragma once

#include <string>

#include "app/options.h"

namespace inkstone {

inline constexpr Command kCommands[] = {Command::kGenerate, Command::kUpscale, Command::kPull,   Command::kInfo,
                                        Command::kConvert,  Command::kBench,   Command::kExport, Command::kDevices,
                                        Command::kServe,    Command::kWorker};
const char* command_name(Command command);
// The name of the setting whose value may stand without its flag; "" where all need theirs.
std::string_view positional_of(Command command);

std::string general_help();
std::string command_help(Command command);

}  // namespace inkstone
