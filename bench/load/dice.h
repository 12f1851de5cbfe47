// Random numbers that are the same with every compiler and library: the standard's distributions
// are not.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>

namespace inkstone {

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  double exponential(double mean) { return -mean * std::log1p(-uniform()); }
  size_t below(size_t count) { return static_cast<size_t>(uniform() * static_cast<double>(count)); }
  double between(double min, double max) { return min + (max - min) * uniform(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace inkstone
