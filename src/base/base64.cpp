#include "base/base64.h"

#include <array>
#include <cstdint>

namespace inkstone {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> values() {
  std::array<int8_t, 256> result{};
  for (int8_t& value : result) value = -1;
  for (size_t i = 0; i < kDigits.size(); ++i) result[static_cast<uint8_t>(kDigits[i])] = static_cast<int8_t>(i);
  return result;
}
constexpr std::array<int8_t, 256> kValues = values();

// Of each digit of four, at its place; less than 0: it is none.
constexpr std::array<std::array<int32_t, 256>, 4> shifted() {
  std::array<std::array<int32_t, 256>, 4> result{};
  for (size_t k = 0; k < 4; ++k)
    for (size_t i = 0; i < 256; ++i) result[k][i] = kValues[i] < 0 ? -1 : kValues[i] << (18 - 6 * k);
  return result;
}
constexpr auto kShifted = shifted();

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4, '=');
  size_t to = 0;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t here = bytes.size() - at < 3 ? bytes.size() - at : 3;
    uint32_t bits = 0;
    for (size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < here ? static_cast<uint8_t>(bytes[at + i]) : 0u);
    for (size_t i = 0; i <= here; ++i) text[to + i] = kDigits[bits >> (18 - 6 * i) & 63];
    to += 4;
  }
  return text;
}

std::optional<std::string> unbase64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t digits = text.size();
  while (digits > 0 && text.size() - digits < 2 && text[digits - 1] == '=') --digits;
  const size_t whole = digits / 4;
  std::string bytes(whole * 3, '\0');
  int32_t any = 0;
  for (size_t i = 0; i < whole; ++i) {  // at once, for what may be megabytes
    int32_t four = 0;
    for (size_t k = 0; k < 4; ++k) four |= kShifted[k][static_cast<uint8_t>(text[4 * i + k])];
    any |= four;
    for (size_t k = 0; k < 3; ++k) bytes[3 * i + k] = static_cast<char>(four >> (16 - 8 * k));
  }
  if (any < 0) return std::nullopt;
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text.substr(4 * whole, digits - 4 * whole)) {
    const int8_t value = kValues[static_cast<uint8_t>(c)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held);
    bits &= (1u << held) - 1;
  }
  if (bits != 0) return std::nullopt;
  return bytes;
}

}  // namespace inkstone
