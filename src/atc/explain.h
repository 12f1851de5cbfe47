// Explains ATC's output when it failed, and says what to do. A pure function of text and exit code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct AtcExplanation {
  // The most telling code, "E16002"; "" if ATC gave none.
  std::string code;
  std::string advice;  // what to do; never empty
  // At most 6 lines of the output, each cut at 300 bytes.
  std::vector<std::string> quoted;
  std::string text() const;  // all of it in one line
};

// `exit_code` is a shell's: 128 + its number where a signal ended ATC.
AtcExplanation explain_atc(std::string_view output, int exit_code = 1);

// Warnings about things that did not stop ATC but will cost something: "W11001: ... : advice", each
// once, at most 8.
std::vector<std::string> atc_warnings(std::string_view output);

}  // namespace inkstone
