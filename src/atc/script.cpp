#include "atc/script.h"

#include <set>

namespace inkstone {
namespace {

constexpr const char* kHead = R"sh(#!/bin/sh
# Written by inkstone export: compiles the graphs of this folder by ATC. Run it on a machine with the CANN toolkit (no card is
# needed), copy the folder back, and run inkstone export --compile auto on it again: it takes in what was made.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
atc=${INKSTONE_ATC:-atc}
if ! command -v "$atc" >/dev/null; then
  echo "compile.sh: there is no atc here: install the CANN toolkit and source its set_env.sh" >&2
  exit 1
fi
if [ -z "${ASCEND_OPP_PATH:-}" ]; then
  echo "compile.sh: ASCEND_OPP_PATH is not set: source the set_env.sh of the CANN toolkit first" >&2
  exit 1
fi
cann=$(sed -n 's/^toolkit_running_version=\[.*:\(.*\)\].*/\1/p' "$ASCEND_OPP_PATH/../version.cfg" 2>/dev/null | head -n 1)

whole() {  # sha256 file
  echo "$1  $here/$2" | sha256sum -c - >/dev/null || { echo "compile.sh: $2 is not as it was exported" >&2; exit 1; }
}

compile() {  # name recipe onnx-file flags...
  name=$1 recipe=$2 onnx=$3
  shift 3
  if grep -qx "recipe $recipe" "$here/$name.om.txt" 2>/dev/null; then
    echo "$name: made already"
    return
  fi
  echo "$name: compiling"
  rm -f "$here/$name.om.txt" "$here/$name.om" "$here/$name"_linux_*.om
  mkdir -p "$here/atc-build"
  if [ -f "$here/$name.keep_dtype.cfg" ]; then set -- "$@" "--keep_dtype=$here/$name.keep_dtype.cfg"; fi
  (cd "$here/atc-build" && "$atc" "--model=$here/$onnx" "--output=$here/$name" "$@")
  for om in "$here/$name.om" "$here/$name"_linux_*.om; do
    if [ -f "$om" ]; then break; fi
  done
  [ -f "$om" ] || { echo "compile.sh: ATC said that all is well and left no $name.om" >&2; exit 1; }
  echo "recipe $recipe" >"$here/$name.om.tmp"
  echo "cann $cann" >>"$here/$name.om.tmp"
  (cd "$here/atc-build" && "$atc" --mode=6 "--om=$om") >>"$here/$name.om.tmp" || true
  mv "$here/$name.om.tmp" "$here/$name.om.txt"
}

)sh";

constexpr const char* kTail = R"sh(
rm -rf "$here/atc-build"
echo "all is compiled"
)sh";

}  // namespace

std::string om_info_name(const GraphRecord& graph) { return graph.name + ".om.txt"; }

std::string compile_script(const std::vector<ScriptEntry>& entries) {
  std::string text = kHead;
  std::set<std::string> checked;
  for (const ScriptEntry& entry : entries)
    for (const FileRecord& file : {entry.weights, entry.graph->onnx})
      if (checked.insert(file.file).second) text += "whole " + file.sha256 + " " + quoted(file.file) + "\n";
  for (const ScriptEntry& entry : entries) {
    text += "compile " + quoted(entry.graph->name) + " " + entry.recipe + " " + quoted(entry.graph->onnx.file);
    for (const std::string& flag : entry.command.flags) text += " " + quoted(flag);
    text += "\n";
  }
  return text + kTail;
}

}  // namespace inkstone
