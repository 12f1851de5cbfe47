// What ATC printed when it failed, and what to do about it. Pure: text in, text out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct AtcExplanation {
  // "E16002", the one that says most; "": ATC gave none
  std::string code;
  std::string advice;  // what to do; never empty
  // lines of the output, at most 6, each one line of at most 300 bytes
  std::vector<std::string> quoted;
  std::string text() const;  // all of it in one line
};

AtcExplanation explain_atc(std::string_view output);

// What did not stop ATC but will cost something: "W11001: ... : advice", each once, at most 8.
std::vector<std::string> atc_warnings(std::string_view output);

}  // namespace inkstone
