#include "app/byte_size.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/spelling.h"

namespace inkstone {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 7> kUnits{{
    {"", 1.0},
    {"kib", 1024.0},
    {"mib", 1024.0 * 1024},
    {"gib", 1024.0 * 1024 * 1024},
    {"kb", 1e3},
    {"mb", 1e6},
    {"gb", 1e9},
}};

}  // namespace

ByteSize parse_byte_size(std::string_view text, const std::string& subject) {
  double amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (error == std::errc() && std::isfinite(amount)) {
    for (const auto& [name, scale] : kUnits) {
      if (lower(unit) != name) continue;
      const double bytes = std::floor(amount * scale);
      if (bytes >= 1 && bytes < 0x1p63) return {static_cast<uint64_t>(bytes)};
    }
  }
  fail<UsageError>(
      INKSTONE_HERE,
      {subject, ": must be an amount of memory, such as 2GiB, 512MiB, 65536KiB, 2GB, 500MB, 64000KB or plain bytes"});
}

std::string larger_size(std::string_view text) {
  constexpr double kMostGib = 64, kMostMib = 65536;
  double amount = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), amount, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || amount > kMostMib) return "";
  return std::string(text) + (amount <= kMostGib ? "GiB" : "MiB");
}

std::string byte_text(uint64_t bytes) {
  constexpr uint64_t kKib = 1024, kMib = kKib * 1024, kGib = kMib * 1024;
  const auto amount = [&](uint64_t unit, const char* name) {
    const double value = static_cast<double>(bytes) / static_cast<double>(unit);
    return fmt::format("{:.{}f} {}", value, value < 10 ? 2 : value < 100 ? 1 : 0, name);
  };
  if (bytes >= kGib) return amount(kGib, "GiB");
  if (bytes >= kMib) return amount(kMib, "MiB");
  if (bytes >= kKib) return amount(kKib, "KiB");
  return fmt::format("{} bytes", bytes);
}

}  // namespace inkstone
