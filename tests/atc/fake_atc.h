// A folder for one test, and in it a stand-in for ATC: a shell script that prints what ATC prints,
// leaves an `.om` with a good header, and fails on demand.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "atc/finder.h"
#include "atc/manifest.h"
#include "support/scratch_folder.h"

namespace inkstone {

class TestFolder {
 public:
  const std::filesystem::path& path() const { return scratch_.path(); }
  std::filesystem::path operator/(const std::string& name) const { return path() / name; }
  std::filesystem::path write(const std::string& name, const std::string& text, bool program = false) const {
    scratch_.write(name, text);
    if (program) std::filesystem::permissions(path() / name, std::filesystem::perms(0755));
    return path() / name;
  }
  std::string read(const std::string& name) const { return text_of(path() / name); }
  bool has(const std::string& name) const { return std::filesystem::exists(path() / name); }

 private:
  ScratchFolder scratch_;
};

// An `.om` of `payload` bytes behind its header.
inline std::string om_bytes(size_t payload) {
  std::string text(256 + payload, '\0');
  const auto put = [&](size_t offset, size_t size, uint64_t value) {
    for (size_t i = 0; i < size; ++i) text[offset + i] = static_cast<char>(value >> (8 * i));
  };
  put(0, 4, 0x444F4D49);
  put(4, 4, 256);
  put(8, 4, 0x20000000);
  put(76, 4, payload);
  put(184, 8, payload);
  text.replace(84, 4, "step");
  text.replace(160, 5, "7.7.0");
  return text;
}

inline constexpr const char* kFakeAtc = R"sh(#!/bin/sh
here=$(dirname "$0")
echo "$PWD|$*" >>"$here/calls"
echo "ATC start working now, please wait for a moment."
mode=0
for word in "$@"; do
  case $word in
    --output=*) output=${word#--output=} ;;
    --mode=*) mode=${word#--mode=} ;;
    --soc_version=*) soc=${word#--soc_version=} ;;
    --external_weight=1) weights=1 ;;
  esac
done
if [ "$mode" = 6 ]; then
  echo "============ Display Model Info start ============"
  echo "Original Atc command line: /opt/atc.bin --soc_version=x"
  echo "system   info: atc_version[7.7.0.1.238], soc_version[$(cat "$here/soc")], framework_type[Onnx]."
  echo "resource info: memory_size[24123392 B], weight_size[5170176 B], stream_num[1], event_num[0]."
  echo "============ Display Model Info end   ============"
else
  echo "$soc" >"$here/soc"
  if [ -f "$here/before" ]; then . "$here/before"; fi
  cp "$here/good.om" "$output$(cat "$here/ending")"
  if [ -n "$weights" ]; then mkdir -p "$(dirname "$output")/weight"; echo w >"$(dirname "$output")/weight/weight_1f"; fi
fi
echo "ATC run success, welcome to the next use."
)sh";

class FakeAtc {
 public:
  explicit FakeAtc(const std::string& version = "8.1.RC1") {
    toolkit.write("bin/atc", kFakeAtc, true);
    toolkit.write("bin/good.om", om_bytes(64));
    toolkit.write("bin/ending", ".om");
    toolkit.write("version.cfg", "# version: 1.0\ntoolkit_running_version=[7.7.0.1.238:" + version + "]\n");
  }
  void before(const std::string& shell) const { toolkit.write("bin/before", shell); }  // it compiles
  int calls(const std::string& word = "--model=") const {                              // with this word
    std::istringstream lines(toolkit.read("bin/calls"));
    int count = 0;
    for (std::string line; std::getline(lines, line);) count += line.find(word) != std::string::npos;
    return count;
  }
  Surroundings around() const {
    return {[program = (toolkit / "bin/atc").string()](Variable variable) -> std::optional<std::string> {
              return variable == Variable::kAtc ? std::optional(program) : std::nullopt;
            },
            toolkit.path()};
  }

  TestFolder toolkit;
};

inline Surroundings nothing_around(const TestFolder& root) {
  return {[](Variable) { return std::optional<std::string>(); }, root.path()};
}

inline GraphRecord step_record() {
  GraphRecord graph;
  graph.name = "unet_step_64x64_b1";
  graph.component = "unet";
  graph.part = "step";
  graph.width = graph.height = 64;
  graph.onnx = {"unet_step_64x64_b1.onnx", 5, "aa"};
  graph.weights = "unet.bin";
  graph.fingerprint = "cc";
  graph.inputs = {{"latent", {1, 4, 8, 8}, DType::kF32}, {"timestep", {1}, DType::kI32}};
  graph.outputs = {{"noise", {1, 4, 8, 8}, DType::kF32}};
  graph.gears = {{1, "g1", {{1, 4, 8, 8}, {1}}, {{1, 4, 8, 8}}}};
  return graph;
}

}  // namespace inkstone
