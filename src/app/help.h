// The texts that --help shows, made of the table of settings.
#pragma once

#include <string>

#include "app/options.h"

namespace inkstone {

inline constexpr Command kCommands[] = {Command::kGenerate, Command::kPull,  Command::kInfo,
                                        Command::kConvert,  Command::kBench, Command::kExport,
                                        Command::kDevices,  Command::kServe, Command::kWorker};
const char* command_name(Command command);
// Whether a model may stand without --model.
bool takes_model_alone(Command command);

std::string general_help();
std::string command_help(Command command);

}  // namespace inkstone
