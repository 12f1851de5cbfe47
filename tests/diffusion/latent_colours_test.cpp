// The small images: least squares find the map that there is, and what was not learnt is grey.
#include "diffusion/latent_colours.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "support/differences.h"

namespace inkstone {
namespace {

constexpr float kMap[4][3] = {{0.3f, 0.1f, -0.2f}, {-0.1f, 0.2f, 0.3f}, {0.05f, -0.3f, 0.1f}, {0, 0, 0}};

Tensor latent_of(int seed, bool constant_last) {
  Tensor latent({1, 4, 6, 10});
  uint32_t state = static_cast<uint32_t>(seed) * 2654435761u + 1;
  for (size_t i = 0; i < latent.floats().size(); ++i) {
    state = state * 1664525u + 1013904223u;
    latent.floats()[i] = static_cast<float>(state >> 8) / (1 << 23) - 1;
    if (constant_last && i >= 180) latent.floats()[i] = 0.5f;
  }
  return latent;
}

Image image_of(const Tensor& latent, int scale) {
  Image image{10 * scale, 6 * scale, {}};
  for (int y = 0; y < image.height; ++y)
    for (int x = 0; x < image.width; ++x)
      for (int c = 0; c < 3; ++c) {
        float value = 0.1f;
        for (int i = 0; i < 4; ++i) value += kMap[i][c] * latent.floats()[i * 60 + y / scale * 10 + x / scale];
        image.rgb.push_back(static_cast<uint8_t>(std::nearbyint((value + 1) * 127.5f)));
      }
  return image;
}

TEST(LatentColours, find_the_linear_map_of_the_images) {
  for (const bool constant_last : {false, true}) {
    LatentColours colours;
    for (int i = 0; i < 3; ++i) {
      const Tensor latent = latent_of(i, constant_last);
      colours.learn(latent, image_of(latent, 8));
    }
    const Tensor other = latent_of(9, constant_last);
    const Image drawn = colours.draw(other);
    EXPECT_EQ(drawn.width, 10);
    EXPECT_EQ(drawn.height, 6);
    EXPECT_LE(largest_difference(drawn, image_of(other, 1)), 1);
  }
}

TEST(LatentColours, are_grey_before_they_learnt_and_where_there_is_no_number) {
  LatentColours colours;
  Tensor latent = latent_of(1, false);
  const Image before = colours.draw(latent);
  for (size_t i = 0; i < before.rgb.size(); i += 3)
    EXPECT_TRUE(before.rgb[i] == before.rgb[i + 1] && before.rgb[i] == before.rgb[i + 2]);
  EXPECT_NE(std::ranges::min(before.rgb), std::ranges::max(before.rgb)) << "what comes is seen, without its colours";
  colours.learn(latent, image_of(latent, 8));
  latent.floats()[0] = std::numeric_limits<float>::quiet_NaN();
  const Image drawn = colours.draw(latent);
  EXPECT_EQ(drawn.rgb[0], 128);
  EXPECT_THROW(colours.learn(latent, Image{81, 48, std::vector<uint8_t>(81 * 48 * 3)}), Error);
}

}  // namespace
}  // namespace inkstone
