// The `.om` files of an export folder: taken from the cache, made by ATC, or left to compile.sh if
// there is no ATC.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "atc/finder.h"
#include "atc/manifest.h"

namespace inkstone {

enum class CompilePolicy {
  // If there is no ATC, compile.sh is written.
  kAuto,
  kNever,  // nothing is done
  kRequire
};
CompilePolicy compile_policy(const std::string& name);  // "auto", "never", "require"; throws UsageError

struct AtcOptions {
  CompilePolicy policy = CompilePolicy::kAuto;
  std::string soc = "auto";  // a chip's name
  // The chip that "auto" stands for, from AscendCL or npu-smi; "": none was found.
  std::string detected_soc;
  // The processor of the target machine, if it differs from this one: "x86_64", "aarch64".
  std::string host_cpu;
  std::filesystem::path cache;  // see default_om_cache(); "": none
  Surroundings around = Surroundings::ours();
};

struct AtcProgress {
  // Reports each step, its result, and warnings.
  std::function<void(const std::string& line)> say;
  std::function<void(std::string_view line)> atc_line;                        // ATC's own output
  std::function<bool(const GraphRecord& graph, double seconds)> still_going;  // twice a second; false: stop
};

struct CompileSummary {
  // Numbers of graphs; taken_in: made by compile.sh.
  int had = 0, from_cache = 0, taken_in = 0, made = 0;
  int left = 0;  // to compile.sh
};

// Fills `compiled` of every graph of `manifest`, whose files are in `folder`, and writes the
// manifest after each, so that an interrupted run continues where it was. Everything is checked
// before the first graph is compiled. Throws UsageError for an unknown chip or precision; Error if
// ATC is missing and required, or fails: with what to do, the exact command, and the file of its
// output.
CompileSummary compile_for_ascend(Manifest& manifest, const std::filesystem::path& folder, const AtcOptions& options,
                                  const AtcProgress& progress = {});

}  // namespace inkstone
