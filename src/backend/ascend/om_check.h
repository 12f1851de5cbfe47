// Checks that a compiled file fits this device, by its header, size, chip and CANN, before the
// device is touched.
#pragma once

#include <filesystem>
#include <string>

#include "atc/manifest.h"

namespace inkstone::ascend {

struct Target {
  // This machine's; `cann` may be empty (unknown).
  std::string device, soc, cann;
  // For the command that would make the right file.
  std::string model, folder;
};

// Throws Error with what the file was made for and the command that makes one that fits.
// INKSTONE_VERIFY=1 in the environment compares the whole file's SHA-256 too.
void check_fits(const GraphRecord& record, const Target& target);

std::string bare_soc(const std::string& soc);  // without "(simulated)"
// < 0, 0, > 0, as `a` is older, as old as or newer than `b`: "8.0.RC3.alpha001" < "8.0.RC3" <
// "8.0.0" < "8.1.RC1".
int compare_cann(const std::string& a, const std::string& b);
// The command that exports and compiles: "inkstone export --model ... --soc ...".
std::string export_command(const Target& target);

}  // namespace inkstone::ascend
