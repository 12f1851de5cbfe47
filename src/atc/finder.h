// Finds ATC, the CANN that it belongs to, and whether its environment is set. If there is none, it
// tells where it looked and how to get it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/environment.h"

namespace inkstone {

struct AtcTool {
  std::filesystem::path program;
  // The version from the toolkit's files, "8.1.RC1"; "" if they do not say.
  std::string cann;
  // The script that should be sourced; "" if it was, or if there is none.
  std::string set_env;
  // Variables that ATC needs besides ours, as "NAME=value".
  std::vector<std::string> environment;
  // The version, or something else that differs between two compilers.
  std::string stamp() const;
};

struct AtcSearch {
  std::optional<AtcTool> tool;
  std::vector<std::string> looked;  // in this order
  // one line on how to get ATC
  std::string advice() const;
};

// What a search depends on, so that tests can replace it.
struct Surroundings {
  std::function<std::optional<std::string>(Variable)> variable;  // of the environment
  std::filesystem::path root = "/";
  static Surroundings ours();
};

// Throws Error if $INKSTONE_ATC names no program.
AtcSearch find_atc(const Surroundings& around = Surroundings::ours());

}  // namespace inkstone
