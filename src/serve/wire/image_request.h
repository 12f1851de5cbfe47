// What is asked of one image, with every default filled in: all that its bytes depend on, besides
// the model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace inkstone::serve {

struct ImageRequest {
  std::string prompt, negative_prompt;
  uint64_t seed = 42;
  int steps = 20;
  float guidance = 7.5f;  // 1 or less: no unconditional half
  int width = 512, height = 512;
  // As `--scheduler` calls it ("pndm", "dpm++-2m"); empty: the model's own.
  std::string scheduler;
  bool karras = false;
  std::optional<float> eta;
  bool operator==(const ImageRequest&) const = default;
};

}  // namespace inkstone::serve
