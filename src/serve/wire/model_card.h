// What the gateway, which has no model, knows of its workers' model. A ready worker tells it.
#pragma once

#include <cstdint>
#include <string>

namespace inkstone::serve {

struct ModelCard {
  // "stable-diffusion-v1-5"; the only model id that APIs take.
  std::string name;
  // 64 hex digits: SHA-256 of the U-Net's weight files.
  std::string hash;
  int64_t parameters = 0;                     // of all components
  int64_t created = 0;                        // seconds since 1970, of its files
  int width = 512, height = 512, steps = 20;  // defaults
  float guidance = 7.5f;
  std::string scheduler;   // its own, as `--scheduler` calls it
  int size_multiple = 64;  // of width and height, in pixels
  int tokens = 77;
  int max_side = 2048;  // pixels
  // Width * height that the worker planned its memory for.
  int64_t max_pixels = 0;
  bool distilled = false;  // with guidance: no unconditional half
};

}  // namespace inkstone::serve
