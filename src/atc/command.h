// The command line by which ATC makes an `.om` of one graph. Graphs that ATC would refuse are
// refused here, with what to do.
#pragma once

#include <string>
#include <vector>

#include "atc/manifest.h"
#include "atc/soc.h"

namespace inkstone {

struct AtcTarget {
  const Soc* soc = nullptr;
  std::string precision = "fp16";  // "mixed", "fp32"
  std::string host_cpu;            // "x86_64", "aarch64"; "": ATC's own
};

struct AtcCommand {
  // All flags except those that name files.
  std::vector<std::string> flags;
  // Nodes that keep fp32, one a line in the file of --keep_dtype. Empty: no such file.
  std::vector<std::string> keep;
  // The weights are in a folder `weight` beside the `.om`.
  bool has_external_weights = false;
};

// `weight_bytes` is the size of the graph's weight file. Throws UsageError for a precision that the
// chip or this program does not support, Error for ports or gears that ATC would not take.
AtcCommand atc_command(const GraphRecord& graph, const AtcTarget& target, uint64_t weight_bytes);

struct AtcPaths {
  std::string model, output;  // `output` without ".om"
  // Used only if the command has nodes to keep.
  std::string keep_dtype;
};
std::vector<std::string> arguments(const AtcCommand& command, const AtcPaths& paths);

// The name of the file of --keep_dtype, beside the graph's.
std::string keep_dtype_name(const GraphRecord& graph);
// Quotes a word for a shell's command line.
std::string quoted(const std::string& word);

}  // namespace inkstone
