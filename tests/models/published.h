// The U-Nets of published models; UnetConfig's defaults are SD 1.5's.
#pragma once

#include "models/config.h"

namespace inkstone {

inline UnetConfig sdxl() {
  UnetConfig c;
  c.channels = {320, 640, 1280};
  c.blocks = {2, 2, 2};
  c.depth = {0, 2, 10};
  c.up_depth = {10, 2, 0};
  c.mid_depth = 10;
  c.heads = {5, 10, 20};
  c.context = 2048;
  c.added = 2816;
  c.added_time = 256;
  c.linear_projection = true;
  return c;
}

// Segmind's, of fewer transformer blocks and with one resnet in the middle.
inline UnetConfig ssd1b() {
  UnetConfig c = sdxl();
  c.depth = {0, 2, 4};
  c.up_depth = {std::vector{4, 4, 10}, std::vector{2, 1, 1}, 0};
  c.mid_depth = 0;
  return c;
}

inline UnetConfig vega() {
  UnetConfig c = sdxl();
  c.depth = {0, 1, 2};
  c.up_depth = {2, 1, 0};
  c.mid_depth = 0;
  return c;
}

// KOALA-700M, of one resnet in each block.
inline UnetConfig koala() {
  UnetConfig c = sdxl();
  c.blocks = {1, 1, 1};
  c.depth = {0, 2, 5};
  c.up_depth = {5, 2, 0};
  c.middle = false;
  c.mid_depth = 0;
  return c;
}

inline UnetConfig sd21() {
  UnetConfig c;
  c.heads = {5, 10, 20, 20};
  c.context = 1024;
  c.linear_projection = true;
  return c;
}

}  // namespace inkstone
