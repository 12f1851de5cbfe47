// Noise that depends on the seed alone: the numbers of torch.randn(...,
// generator=torch.Generator("cpu").manual_seed(seed)) in float32.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace inkstone {

// MT19937 seeded with the low 32 bits of the seed, as torch's CPU generator. A job owns one: its
// first draw is the latent, later draws (ancestral, SDE, LCM, eta) continue the same stream.
// Copyable; no allocation.
class NoiseGenerator {
 public:
  explicit NoiseGenerator(uint64_t seed);
  // Standard normal values. 16 or more: torch's vectorised layout (Box-Muller over blocks of 16,
  // the last 16 drawn again when the size is no multiple of 16); fewer: its scalar path in double.
  // Equal to torch's to 1e-6.
  void fill(std::span<float> out);

 private:
  uint32_t next();
  void fill_block(std::span<float, 16> out);
  double scalar();
  std::array<uint32_t, 624> state_;
  int used_ = 624;
  // torch keeps the second value of a scalar Box-Muller pair for the next scalar draw
  bool has_cached_ = false;
  double cached_ = 0;
};

}  // namespace inkstone
