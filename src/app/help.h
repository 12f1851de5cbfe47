// The texts that --help shows, made of the table of settings.
#pragma once

#include <string>

#include "app/options.h"

namespace inkstone {

inline constexpr Command kCommands[] = {Command::kGenerate, Command::kPull,    Command::kInfo,  Command::kBench,
                                        Command::kExport,   Command::kDevices, Command::kServe, Command::kWorker};
const char* command_name(Command command);

std::string general_help();
std::string command_help(Command command);

}  // namespace inkstone
