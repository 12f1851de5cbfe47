// The target of a request, "/jobs/7?wait=1", split into its parts. A target that is not clearly one
// path is refused, not corrected: bad escapes, text that is not UTF-8, NUL and control characters,
// "." and ".." segments, escaped slashes, backslashes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace inkstone::http {

struct Target {
  std::string authority;  // of "http://authority/path", else empty
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
};

Target parse_target(std::string_view raw);  // throws Refusal
bool valid_utf8(std::string_view text);

}  // namespace inkstone::http
