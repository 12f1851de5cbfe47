#include "atc/soc.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

constexpr const char* kPrefix = "Ascend";
constexpr const char* kHowToSee = "`npu-smi info` shows the chip's name on the machine that has it";
// A chip of 2019. The chips that are called "910B" since 2023 have other kernels, and do not load
// files that were compiled under this name.
constexpr const char* kMistakenName = "Ascend910B";

const Soc kSocs[] = {
    {"Ascend310P1", "Ascend310P", 24, false, "Atlas 300I/300V variants"},
    {"Ascend310P3", "Ascend310P", 24, false, "Atlas 300I Pro, 300V; two in a 300I Duo"},
    {"Ascend310P5", "Ascend310P", 24, false, "Atlas 300I/300V variants"},
    {"Ascend310P7", "Ascend310P", 24, false, "Atlas 300I/300V variants"},
    {"Ascend910B1", "Ascend910B", 64, true, "Atlas A2"},
    {"Ascend910B2", "Ascend910B", 64, true, "Atlas A2"},
    {"Ascend910B2C", "Ascend910B", 64, true, "Atlas A2"},
    {"Ascend910B3", "Ascend910B", 64, true, "Atlas 800T A2, 800I A2 (64 GB)"},
    {"Ascend910B4", "Ascend910B", 32, true, "Atlas 800I A2 (32 GB)"},
    {"Ascend910B4-1", "Ascend910B", 32, true, "Atlas 800I A2 (32 GB)"},
    {"Ascend910_9391", "Ascend910_93", 64, true, "Atlas A3"},
    {"Ascend910_9392", "Ascend910_93", 64, true, "Atlas A3"},
    {"Ascend910_9381", "Ascend910_93", 64, true, "Atlas A3"},
    {"Ascend910_9382", "Ascend910_93", 64, true, "Atlas A3"},
    {"Ascend910_9372", "Ascend910_93", 64, true, "Atlas A3"},
    {"Ascend910_9362", "Ascend910_93", 32, true, "Atlas A3"},
    {"Ascend910_9363", "Ascend910_93", 64, true, "Atlas A3"},
    {"Ascend310B1", "Ascend310B", 32, true, "Atlas 200I DK A2, OrangePi AIpro"},
    {"Ascend310B2", "Ascend310B", 32, true, "Atlas 200I A2"},
    {"Ascend310B3", "Ascend310B", 32, true, "Atlas 200I A2"},
    {"Ascend310B4", "Ascend310B", 32, true, "Atlas 200I A2, OrangePi AIpro"},
    {"Ascend910A", "Ascend910", 32, false, "Atlas 800 of the first generation"},
    {"Ascend910B", "Ascend910", 32, false, "Atlas 800 of the first generation"},
    {"Ascend910ProA", "Ascend910", 32, false, "Atlas 800 of the first generation"},
    {"Ascend910ProB", "Ascend910", 32, false, "Atlas 800 of the first generation"},
    {"Ascend910PremiumA", "Ascend910", 32, false, "Atlas 800 of the first generation"},
};

// npu-smi and the driver show all chips of Atlas A3 by this name. ATC wants their NPU name as well.
constexpr const char* kShortName = "Ascend910";

// Keeps letters and digits, in lower case, so that "ascend_910b4" equals "Ascend910B4".
std::string plain(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c >= 'A' && c <= 'Z') result += static_cast<char>(c - 'A' + 'a');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) result += c;
  }
  return result;
}

size_t differences(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t corner = row[0]++;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1])});
      corner = above;
    }
  }
  return row[b.size()];
}

// The chip with this name in another spelling, or the nearest few.
std::string suggestion(std::string_view asked) {
  constexpr size_t kLongest = 32, kMax = 4;
  const std::string word = plain(asked.substr(0, kLongest));
  std::string near;
  size_t found = 0;
  for (const size_t distance : {0, 1, 2}) {
    for (const Soc& soc : kSocs) {
      const std::string name = plain(soc.name), short_name = name.substr(std::string_view(kPrefix).size());
      if (found == kMax || soc.name == std::string_view(kMistakenName)) continue;
      if (std::min(differences(word, name), differences(word, short_name)) != distance) continue;
      near += (near.empty() ? "" : ", ") + std::string(soc.name);
      ++found;
    }
    if (found) return "did you mean " + near + "? ";
  }
  return "";
}

// "Ascend910B1, Ascend910B2": all, or those of one family.
std::string names_of(std::string_view family = {}) {
  std::string names;
  for (const Soc& soc : kSocs)
    if (family.empty() || family == soc.family) names += (names.empty() ? "" : ", ") + std::string(soc.name);
  return names;
}

bool is_short(const std::string& asked) {
  const std::string name = plain(asked);
  return name == plain(kShortName) || name == "910" || name == "910c" || name == "ascend910c" || name == "a3";
}

[[noreturn]] void refuse(const std::string& asked) {
  INKSTONE_CHECK_USAGE(!is_short(asked), "--soc ", shown(asked),
                       " is how the chips of Atlas A3 are called, which ATC takes by their whole names: one of ",
                       names_of("Ascend910_93"),
                       "; `npu-smi info -t board -i 0 -c 0` shows the number behind the _ as NPU Name");
  fail<UsageError>(INKSTONE_HERE, {"--soc ", shown(asked), " is no chip that ATC knows: ", suggestion(asked), kHowToSee,
                                   "; known are ", names_of()});
}

bool is_mistaken(const std::string& asked) {
  const std::string name = plain(asked);
  return name == plain(kMistakenName) || kPrefix + asked == kMistakenName || name == "910b" || name == "a2";
}

}  // namespace

std::span<const Soc> known_socs() { return kSocs; }

const Soc* soc_named(std::string_view name) {
  const auto found = std::ranges::find_if(kSocs, [&](const Soc& soc) { return soc.name == name; });
  return found == std::end(kSocs) ? nullptr : &*found;
}

const Soc& choose_soc(const std::string& asked, const std::string& detected) {
  if (asked == "auto") {
    INKSTONE_CHECK_USAGE(!detected.empty(),
                         "--soc auto: no Ascend chip is seen on this machine: name the one that the files are for, "
                         "such as --soc Ascend910B4; ",
                         kHowToSee);
    const std::string name = detected.substr(0, detected.find_first_of(" ("));  // "Ascend910B4(simulated)"
    if (const Soc* soc = soc_named(name)) return *soc;
    if (const Soc* soc = soc_named(kPrefix + name)) return *soc;
    refuse(detected);
  }
  INKSTONE_CHECK_USAGE(!is_mistaken(asked), "--soc ", shown(asked),
                       " is a chip of the first generation to ATC; the cards that are called 910B are Ascend910B1, "
                       "Ascend910B2, Ascend910B2C, Ascend910B3, Ascend910B4 or Ascend910B4-1: ",
                       kHowToSee);
  if (const Soc* soc = soc_named(asked)) return *soc;
  refuse(asked);
}

}  // namespace inkstone
