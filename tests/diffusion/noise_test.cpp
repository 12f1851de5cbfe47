// Noise is torch's: every draw of every size, continued draws, and seeds beyond 32 bits.
#include "diffusion/noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/json.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

const std::string kFixtures = std::string(INKSTONE_SOURCE_DIR) + "/tests/fixtures/";

std::vector<float> draw(NoiseGenerator& generator, size_t size) {
  std::vector<float> values(size, NAN);
  generator.fill(values);
  return values;
}

TEST(Noise, equals_torch_for_every_size_and_in_sequence) {
  const Json cases = read_json(kFixtures + "noise.json");
  const Weights expected = Weights::open_files({kFixtures + "noise.safetensors"});
  ASSERT_FALSE(cases.at("cases").as_array().empty());
  for (const Json& row : cases.at("cases").as_array()) {
    const std::string seed(row.at("seed").as_string());
    NoiseGenerator generator(std::stoull(seed));
    for (size_t i = 0; i < row.at("sizes").as_array().size(); ++i) {
      const std::string name(row.at("tensors").at(i).as_string());
      const Tensor tensor = expected.read(name);
      const auto values = draw(generator, static_cast<size_t>(row.at("sizes").at(i).as_int64()));
      ASSERT_EQ(values.size(), static_cast<size_t>(tensor.size())) << name;
      for (size_t k = 0; k < values.size(); ++k)
        ASSERT_NEAR(values[k], tensor.floats()[k], 1e-6) << name << " at " << k;
    }
  }
}

TEST(Noise, depends_on_the_low_32_bits_of_the_seed_alone) {
  NoiseGenerator low(7), high((uint64_t{1} << 32) + 7), other(8);
  const auto values = draw(low, 64);
  EXPECT_EQ(values, draw(high, 64));
  EXPECT_NE(values, draw(other, 64));
}

TEST(Noise, a_copy_continues_with_the_same_bits) {
  NoiseGenerator generator(3);
  draw(generator, 5);  // leaves half a pair behind, and the words not at a block's start
  NoiseGenerator copy = generator;
  for (const size_t size : {5, 100, 17, 1, 4096}) EXPECT_EQ(draw(generator, size), draw(copy, size)) << size;
}

TEST(Noise, is_finite_and_of_unit_variance) {
  NoiseGenerator generator(11);
  const auto values = draw(generator, 1 << 20);
  double sum = 0, squares = 0;
  for (const float value : values) {
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / values.size(), 0, 5e-3);
  EXPECT_NEAR(squares / values.size(), 1, 1e-2);
}

TEST(Noise, nothing_is_drawn_for_nothing) {
  NoiseGenerator generator(5), same(5);
  draw(generator, 0);
  EXPECT_EQ(draw(generator, 16), draw(same, 16));
}

}  // namespace
}  // namespace inkstone
