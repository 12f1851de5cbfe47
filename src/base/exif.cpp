#include "base/exif.h"

#include <algorithm>

namespace inkstone {
namespace {

constexpr uint32_t kOrientation = 0x0112, kExifFolder = 0x8769, kUserComment = 0x9286;
constexpr size_t kFirstFolder = 4, kEntry = 12, kCount = 4, kValue = 8;

}  // namespace

Exif::Exif(std::string_view block) : bytes_(block) {
  if (bytes_.starts_with("Exif")) bytes_.remove_prefix(std::min<size_t>(6, bytes_.size()));
  big_endian_ = bytes_.starts_with("MM");
  if (!big_endian_ && !bytes_.starts_with("II")) bytes_ = {};
}

uint32_t Exif::number(size_t at, size_t size) const {
  if (at > bytes_.size() || bytes_.size() - at < size) return 0;
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i)
    value = value << 8 | static_cast<uint8_t>(bytes_[at + (big_endian_ ? i : size - 1 - i)]);
  return value;
}

std::optional<size_t> Exif::entry(size_t folder, uint32_t tag) const {
  const size_t count = number(folder, 2);
  for (size_t i = 0; i < count; ++i)
    if (const size_t at = folder + 2 + kEntry * i; number(at, 2) == tag) return at;
  return std::nullopt;
}

int Exif::orientation() const {
  const auto found = entry(number(kFirstFolder, 4), kOrientation);
  const uint32_t value = found ? number(*found + kValue, 2) : 1;
  return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

std::string_view Exif::user_comment() const {
  const auto folder = entry(number(kFirstFolder, 4), kExifFolder);
  const auto comment = folder ? entry(number(*folder + kValue, 4), kUserComment) : std::nullopt;
  const size_t at = comment ? number(*comment + kValue, 4) : bytes_.size();
  return at < bytes_.size() ? bytes_.substr(at, number(*comment + kCount, 4)) : std::string_view();
}

}  // namespace inkstone
