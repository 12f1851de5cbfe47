#include "backend/ascend/om_check.h"

#include <algorithm>
#include <cctype>
#include <compare>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "atc/om_file.h"
#include "base/environment.h"
#include "base/error.h"

namespace inkstone::ascend {
namespace {

namespace fs = std::filesystem;

// One part of a version: alpha < beta < RC < nothing more < a number.
struct Part {
  int kind = 0;
  long number = 0;
  auto operator<=>(const Part&) const = default;
};

std::vector<Part> parts_of(const std::string& version) {
  constexpr int kEnd = 3, kNumber = 4;
  std::vector<Part> parts;
  size_t at = 0;
  while (at < version.size()) {
    const size_t end = std::min(version.find('.', at), version.size());
    const std::string text = version.substr(at, end - at);
    at = end + 1;
    const size_t digits =
        static_cast<size_t>(std::ranges::find_if(text, [](unsigned char c) { return std::isdigit(c); }) - text.begin());
    std::string word = text.substr(0, digits);
    std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
    const int kind = word.empty() ? kNumber : word == "alpha" ? 0 : word == "beta" ? 1 : word == "rc" ? 2 : -1;
    if (kind < 0) break;
    parts.push_back({kind, std::strtol(text.c_str() + digits, nullptr, 10)});
    if (text.find_first_of("-(") != std::string::npos) break;  // "8.1.RC1-simulated"
  }
  parts.push_back({kEnd, 0});
  return parts;
}

void check_file(const fs::path& path, const Compiled& compiled, const Target& target) {
  std::error_code error;
  const uint64_t size = fs::file_size(path, error);
  INKSTONE_CHECK(!error, path.string(), ": ", error.message(), "; the manifest beside it names it: run `",
                 export_command(target), "` again");
  INKSTONE_CHECK(size == compiled.om.bytes, path.string(), " has ", size, " bytes, and ", compiled.om.bytes,
                 " by the manifest: it was cut short or replaced; copy the folder again, or run `",
                 export_command(target), "`");
  const OmHeader header = read_om_header(path);
  INKSTONE_CHECK(!header.is_dynamic, path.string(),
                 " was compiled for any shape (is_unknow_model); only fixed shapes and gears run here: run `",
                 export_command(target), "`");
  if (environment(Variable::kVerify) != "1") return;
  INKSTONE_CHECK(record_of(path).sha256 == compiled.om.sha256, path.string(),
                 " is not what the manifest says (SHA-256): it is damaged; copy the folder again, or run `",
                 export_command(target), "`");
}

}  // namespace

std::string bare_soc(const std::string& soc) { return soc.substr(0, soc.find('(')); }

int compare_cann(const std::string& a, const std::string& b) {
  const auto order = parts_of(a) <=> parts_of(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

std::string export_command(const Target& target) {
  return "inkstone export --model " + (target.model.empty() ? "MODEL" : target.model) + " --out " + target.folder +
         " --soc " + bare_soc(target.soc);
}

void check_fits(const GraphRecord& record, const Target& target) {
  INKSTONE_CHECK(record.compiled.has_value(), target.folder, ": ", record.onnx.file,
                 " was exported and not compiled: run the script that stands beside it where ATC is, or `",
                 export_command(target), " --compile require`");
  const Compiled& compiled = *record.compiled;
  const fs::path path = fs::path(target.folder) / compiled.om.file;
  INKSTONE_CHECK(bare_soc(compiled.soc) == bare_soc(target.soc), path.string(), " was compiled for ", compiled.soc,
                 ", and ", target.device, " is ", target.soc, ": run `", export_command(target), "`");
  INKSTONE_CHECK(target.cann.empty() || compare_cann(compiled.cann, target.cann) <= 0, path.string(),
                 " was compiled by CANN ", compiled.cann, ", and this machine has the older ", target.cann,
                 ": install that CANN here, or compile it with this one: `", export_command(target), "`");
  check_file(path, compiled, target);
}

}  // namespace inkstone::ascend
