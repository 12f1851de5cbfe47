// MT19937 (Matsumoto and Nishimura, 1998) and the two ways in which torch's CPU generator turns its
// words into normal values.
#include "diffusion/noise.h"

#include <cmath>
#include <numbers>

namespace inkstone {
namespace {

constexpr int kWords = 624, kShift = 397;

uint32_t twist(uint32_t high, uint32_t low) {
  const uint32_t mixed = (high & 0x80000000u) | (low & 0x7fffffffu);
  return (mixed >> 1) ^ ((low & 1) ? 0x9908b0dfu : 0);
}

// 16 uniform values become 16 normal ones; the two values of a pair are 8 apart.
void box_muller(std::span<float, 16> block) {
  constexpr float kTwoPi = 2 * std::numbers::pi_v<float>;
  for (size_t i = 0; i < 8; ++i) {
    const float radius = std::sqrt(-2 * std::log(1 - block[i]));
    const float angle = kTwoPi * block[i + 8];
    block[i] = radius * std::cos(angle);
    block[i + 8] = radius * std::sin(angle);
  }
}

}  // namespace

NoiseGenerator::NoiseGenerator(uint64_t seed) {
  state_[0] = static_cast<uint32_t>(seed);
  for (uint32_t i = 1; i < kWords; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

uint32_t NoiseGenerator::next() {
  if (used_ == kWords) {
    for (int i = 0; i < kWords; ++i) {
      state_[i] = state_[(i + kShift) % kWords] ^ twist(state_[i], state_[(i + 1) % kWords]);
    }
    used_ = 0;
  }
  uint32_t word = state_[used_++];
  word ^= word >> 11;
  word ^= (word << 7) & 0x9d2c5680u;
  word ^= (word << 15) & 0xefc60000u;
  return word ^ (word >> 18);
}

void NoiseGenerator::fill(std::span<float> out) {
  if (out.size() < 16) {
    for (float& value : out) value = static_cast<float>(scalar());
    return;
  }
  const size_t whole = out.size() / 16 * 16;
  for (size_t i = 0; i < whole; i += 16) fill_block(out.subspan(i).first<16>());
  if (whole == out.size()) return;
  // As torch does: the remaining values draw their words in order, then the last 16 values are
  // drawn again.
  for (size_t i = whole; i < out.size(); ++i) next();
  fill_block(out.last<16>());
}

void NoiseGenerator::fill_block(std::span<float, 16> out) {
  for (float& value : out) value = static_cast<float>(next() & 0xffffffu) * 0x1p-24f;
  box_muller(out);
}

// A uniform value has 53 bits, the first word being the high one. The pair is cos and sin; the sin
// is kept for the next call.
double NoiseGenerator::scalar() {
  if (has_cached_) {
    has_cached_ = false;
    return cached_;
  }
  const auto uniform = [this] {
    const uint64_t high = next();
    const uint64_t bits = high << 32 | next();
    return static_cast<double>(bits & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
  };
  const double angle = 2 * std::numbers::pi * uniform();
  const double radius = std::sqrt(-2 * std::log1p(-uniform()));
  cached_ = radius * std::sin(angle);
  has_cached_ = true;
  return radius * std::cos(angle);
}

}  // namespace inkstone
