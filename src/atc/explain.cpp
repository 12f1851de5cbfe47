#include "atc/explain.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace inkstone {
namespace {

constexpr size_t kMaxLine = 300, kMaxQuoted = 6, kMaxWarnings = 8;
constexpr const char* kPlog = "more is in ~/ascend/log/debug/plog ($ASCEND_PROCESS_LOG_PATH)";

struct Known {
  const char* code;
  // Of several codes the one with the lowest rank is quoted first: causes before consequences.
  int rank;
  const char* advice;
};

// clang-format off
const Known kKnown[] = {
    {"E10001", 0, "a value on the command line is not of those that this ATC takes: the line says which; for soc_version install the ops package of that chip or choose the chip by --soc; otherwise this CANN differs from what Inkstone knows (7.0 to 9.0)"},
    {"E10002", 0, "the input shapes are not as ATC reads them: the ports of the ONNX file and of manifest.json differ: export the model again"},
    {"E10003", 0, "a value on the command line is not of those that this ATC takes: the line says which"},
    {"E10005", 0, "a value on the command line is not of those that this ATC takes: the line says which"},
    {"E10007", 0, "a flag that this ATC needs is missing: its CANN differs from what Inkstone knows (7.0 to 9.0)"},
    {"E10009", 0, "ATC takes one kind of gears at a time: unset flags that you added to the command"},
    {"E10016", 0, "a node that is to keep fp32 is not in the ONNX file: export the model again, so that the names fit"},
    {"E10501", 1, "ATC finds no operators: ASCEND_OPP_PATH is not set or its package is incomplete: source set_env.sh of the toolkit, install the ops package (CANN-kernels) of the chip"},
    {"E13023", 1, "a part of the model is larger than this ATC's 4 GiB: export with --precision fp16, or with weights outside of the .om (on by itself above 2 GiB)"},
    {"E16002", 1, "ATC has no parser for a node of this opset: export with --opset 17 or less; where it is 17 already, this CANN lacks the operator: update it"},
    {"E16005", 1, "the ONNX file names one domain's opset twice: export the model again"},
    {"E40002", 0, "the python3 that ATC starts is of a version that it cannot use: put one of 3.7 to 3.11 first in PATH"},
    {"E40020", 0, "the python3 that ATC starts lacks a module: pip3 install numpy decorator sympy psutil attrs cffi protobuf scipy, and source set_env.sh, which sets PYTHONPATH"},
    {"E40021", 3, "a kernel failed to compile: plog says why; mostly python3 lacks a module of ATC's (numpy, decorator, sympy, psutil, attrs, cffi)"},
    {"E40023", 0, "ATC may not write where it runs: give --out a folder that you may write to"},
    {"E40024", 0, "the python3 that ATC starts lacks a module or is not the one CANN was installed for: pip3 install numpy decorator sympy psutil attrs cffi, and source set_env.sh"},
    {"E20001", 2, "the chip's kernel does not take this node's form: report the node and the CANN version; another size or --attention-slicing may avoid it"},
    {"E89999", 3, "two inputs of a node differ in type after ATC's own changes: report the node and the CANN version"},
    {"EZ3002", 1, "the chip has no kernel for a node with these types or shapes: export one file for each batch (no gears), or --precision fp16"},
    {"EZ3003", 1, "the chip has no kernel for a node with these types: export with --precision fp16 (310P has no bf16 and few fp32 kernels); the ops package of the chip must be installed"},
    {"EZ9903", 3, "the chip's runtime refused: the chip is not supported by this operator (910 of the first generation), or driver and CANN do not fit each other"},
    {"EZ9999", 4, "an inner error of an operator: plog says more"},
    {"E19999", 4, "an inner error of ATC: the lines after it and plog say more; often the ONNX file has an opset or a domain that it does not know"},
    {"EE1001", 3, "the runtime was given what it does not take; on a machine without a card add the toolkit's <arch>-linux/devlib to LD_LIBRARY_PATH"},
    {"EL0004", 0, "memory ran out: close other programs, or set TE_PARALLEL_COMPILER=1 and MAX_COMPILE_CORE_NUMBER=1"},
};
const Known kGears = {"", 0, "ATC does not take these gears: export one file for each batch, without gears"};
constexpr const char* kSlowNode = "runs on the host's side of the chip (AI CPU), slowly";
// clang-format on

const Known* known(std::string_view code) {
  for (const Known& entry : kKnown)
    if (code == entry.code) return &entry;
  return code >= "E10035" && code <= "E10046" ? &kGears : nullptr;
}

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// E or W, a letter or digit, four digits: the first such word of a line.
std::string_view code_in(std::string_view line, char kind) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  for (size_t at = 0; at + 6 <= line.size(); ++at) {
    if (line[at] != kind || (at > 0 && is_word(line[at - 1]))) continue;
    if (!digit(line[at + 1]) && !(line[at + 1] >= 'A' && line[at + 1] <= 'Z')) continue;
    if (!std::all_of(line.begin() + at + 2, line.begin() + at + 6, digit)) continue;
    if (at + 6 == line.size() || !is_word(line[at + 6])) return line.substr(at, 6);
  }
  return {};
}

std::string clean(std::string_view line) {
  std::string result;
  for (const char c : line.substr(0, kMaxLine)) {
    const bool space = static_cast<unsigned char>(c) <= ' ' || c == 127;
    if (!space || (!result.empty() && result.back() != ' ')) result += space ? ' ' : c;
  }
  const auto back = [&] { return result.empty() ? 0 : static_cast<unsigned char>(result.back()); };
  // not in the middle of a letter
  if (line.size() > kMaxLine) {
    while (back() >= 0x80 && back() < 0xc0) result.pop_back();
    if (back() >= 0xc0) result.pop_back();
  }
  if (back() == ' ') result.pop_back();
  return line.size() > kMaxLine ? result + "..." : result;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of("\r\n"), text.size());
    if (text.substr(0, end).find_first_not_of(" .\t") != std::string_view::npos) lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool is_chatter(std::string_view line) {
  return line.find("ATC start working") != line.npos || line.find("ATC run failed, Please check") != line.npos;
}

// What CANN itself prints under the code's line: causes and solutions.
void quote_from(const std::vector<std::string_view>& lines, size_t at, std::vector<std::string>& quoted) {
  for (size_t i = at; i < lines.size() && quoted.size() < kMaxQuoted; ++i) {
    if (i > at && (!code_in(lines[i], 'E').empty() || lines[i].find("TraceBack") != std::string_view::npos)) break;
    if (std::string line = clean(lines[i]); !line.empty()) quoted.push_back(std::move(line));
  }
}

constexpr const char* kLessMemory =
    "set TE_PARALLEL_COMPILER=1 and MAX_COMPILE_CORE_NUMBER=1, or compile on a larger machine";

// What a signal that ended ATC stands for: 137 is SIGKILL, which the kernel sends where memory ends.
std::optional<std::string> by_signal(int exit_code) {
  constexpr int kSignals = 128, kKilled = 9, kMostSignals = 64;
  const int signal = exit_code - kSignals;
  if (signal == kKilled)
    return std::string("it was killed (signal 9), most likely because memory ran out: ") + kLessMemory;
  if (signal < 1 || signal > kMostSignals) return std::nullopt;
  return "signal " + std::to_string(signal) + " ended it, a fault of its own or the end of memory: " + kLessMemory;
}

// Failures without a code.
std::optional<std::string> without_code(std::string_view output, int exit_code) {
  const auto has = [&](const char* text) { return output.find(text) != std::string_view::npos; };
  if (has("libascend_hal.so"))
    return "the driver's library is missing: install the driver, or on a machine without a card add the toolkit's "
           "<arch>-linux/devlib to LD_LIBRARY_PATH";
  if (has("error while loading shared libraries"))
    return "a library of CANN is not found: source set_env.sh of the toolkit";
  if (has("ModuleNotFoundError") || has("No module named") || has("ImportError"))
    return "the python3 that ATC starts lacks a module: pip3 install numpy decorator sympy psutil attrs cffi protobuf "
           "scipy";
  if (has("No space left on device")) return "the disk is full: make room and run it again";
  if (has("Killed") || has("MemoryError") || has("Cannot allocate memory") || has("bad_alloc"))
    return std::string("memory ran out: ") + kLessMemory;
  return by_signal(exit_code);
}

}  // namespace

std::string AtcExplanation::text() const {
  std::string result;
  for (const std::string& line : quoted) result += (result.empty() ? "\"" : " | ") + line;
  return (result.empty() ? "ATC printed nothing" : result + "\"") + ": " + advice + "; " + kPlog;
}

AtcExplanation explain_atc(std::string_view output, int exit_code) {
  constexpr int kUnknownRank = 5, kNone = 6;
  const std::vector<std::string_view> lines = lines_of(output);
  AtcExplanation result;
  size_t best = 0;
  int best_rank = kNone;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view code = code_in(lines[i], 'E');
    if (code.empty()) continue;
    const Known* entry = known(code);
    const int rank = entry ? entry->rank : kUnknownRank;
    if (rank >= best_rank) continue;
    best = i, best_rank = rank;
    result.code = code;
    result.advice = entry ? entry->advice : "ATC's code " + result.code + " is not one that Inkstone knows";
  }
  if (best_rank < kNone) quote_from(lines, best, result.quoted);
  const std::optional<std::string> plain = without_code(output, exit_code);
  if (plain && best_rank > 2) result.advice = *plain;
  if (result.quoted.empty()) {
    for (size_t i = lines.size() - std::min(lines.size(), kMaxQuoted); i < lines.size(); ++i)
      if (std::string line = clean(lines[i]); !line.empty() && !is_chatter(line))
        result.quoted.push_back(std::move(line));
    if (result.advice.empty()) result.advice = "ATC gave no error code";
  }
  return result;
}

std::vector<std::string> atc_warnings(std::string_view output) {
  std::vector<std::string> result;
  for (const std::string_view line : lines_of(output)) {
    const std::string_view code = code_in(line, 'W');
    if (code.empty() || result.size() == kMaxWarnings) continue;
    std::string text = clean(line);
    if (code == "W11001") text += std::string(": ") + kSlowNode;
    if (std::ranges::find(result, text) == result.end()) result.push_back(std::move(text));
  }
  return result;
}

}  // namespace inkstone
