// Where ATC is, what CANN it belongs to, and whether its environment is set; where there is none,
// where was looked and how to get it.
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
  // "8.1.RC1" of the toolkit's files; "": they say nothing
  std::string cann;
  // the script that has not been sourced; "": it has, or there is none
  std::string set_env;
  // "NAME=value" that ATC needs more than we have
  std::vector<std::string> environment;
  // the version, or what else tells two compilers apart
  std::string stamp() const;
};

struct AtcSearch {
  std::optional<AtcTool> tool;
  std::vector<std::string> looked;  // in this order
  std::string advice() const;       // one line for who has none
};

// what a search depends on; a test has others
struct Surroundings {
  std::function<std::optional<std::string>(Variable)> variable;  // of the environment
  std::filesystem::path root = "/";
  static Surroundings ours();
};

// Throws Error where $INKSTONE_ATC names no program.
AtcSearch find_atc(const Surroundings& around = Surroundings::ours());

}  // namespace inkstone
