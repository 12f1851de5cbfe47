// --config: a TOML file of settings. Keys are the flags' names, in one flat table or in a table [generate] or [serve], whose keys
// are for that command alone.
#pragma once

#include <filesystem>
#include <string_view>

#include "app/options.h"

namespace inkstone {

// Sets what the options do not have yet: flags are nearer. Throws UsageError "file:line:column: ..." for malformed TOML, unknown
// keys, wrong types and values that are not allowed. Flat keys of other commands are passed over.
void apply_config(std::string_view toml, const std::string& source, Options& options,
                  Command command = Command::kGenerate);
void apply_config_file(const std::filesystem::path& path, Options& options, Command command = Command::kGenerate);

}  // namespace inkstone
