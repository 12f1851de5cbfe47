// decode_png on anything: an Error or an image that survives a second trip. Check sums are set
// right first, since a fuzzer seldom guesses them and what lies behind them would stay unseen.
#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/image.h"

namespace {

uint32_t crc(const std::byte* data, size_t length) {
  uint32_t sum = ~0u;
  for (size_t i = 0; i < length; ++i) {
    sum ^= std::to_integer<uint32_t>(data[i]);
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0xEDB88320u : 0);
  }
  return ~sum;
}

void mend_check_sums(std::vector<std::byte>& png) {
  for (size_t at = 8; at + 12 <= png.size();) {
    size_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | std::to_integer<size_t>(png[at + i]);
    if (length > png.size() - at - 12) return;
    const uint32_t sum = crc(&png[at + 4], length + 4);
    for (int i = 0; i < 4; ++i) png[at + 8 + length + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
    at += length + 12;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::byte> png(size);
  if (size > 0) std::memcpy(png.data(), data, size);
  mend_check_sums(png);
  try {
    const inkstone::DecodedPng first = inkstone::decode_png(png, 1 << 16);
    const inkstone::DecodedPng second = inkstone::decode_png(inkstone::encode_png(first.image));
    if (second.image.rgb != first.image.rgb) std::abort();
  } catch (const inkstone::Error&) {
  }
  return 0;
}
