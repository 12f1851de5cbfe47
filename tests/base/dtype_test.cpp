// The half types are IEEE's and bfloat16's, to the last bit and the last tie.
#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace inkstone {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(DType, every_half_comes_back_from_a_float) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    if (std::isnan(from_f16(bits)))
      EXPECT_TRUE(std::isnan(from_f16(to_f16(from_f16(bits)))));
    else
      ASSERT_EQ(to_f16(from_f16(bits)), bits);
    if (std::isnan(from_bf16(bits)))
      EXPECT_TRUE(std::isnan(from_bf16(to_bf16(from_bf16(bits)))));
    else
      ASSERT_EQ(to_bf16(from_bf16(bits)), bits);
  }
}

TEST(DType, f16_has_its_landmarks) {
  const std::pair<uint16_t, float> rows[] = {
      {0x0000, 0.0f},       {0x3c00, 1.0f},           {0xc000, -2.0f},           {0x7bff, 65504.0f},
      {0x0400, 0x1p-14f},   {0x0001, 0x1p-24f},       {0x03ff, 1023 * 0x1p-24f}, {0x7c00, kInfinity},
      {0xfc00, -kInfinity}, {0x3555, 0.333251953125f}};
  for (const auto& [bits, value] : rows) EXPECT_EQ(from_f16(bits), value) << std::hex << bits;
  EXPECT_TRUE(std::signbit(from_f16(0x8000)));
}

TEST(DType, f16_rounds_to_nearest_and_ties_to_even) {
  const std::pair<float, uint16_t> rows[] = {
      {1 + 0x1p-11f, 0x3c00},             // half way: down to even
      {1 + 3 * 0x1p-11f, 0x3c02},         // half way: up to even
      {1 + 0x1p-11f + 0x1p-20f, 0x3c01},  // above half way
      {65519.0f, 0x7bff},                 // below half way to 65536
      {65520.0f, 0x7c00},                 // half way: infinity
      {1e30f, 0x7c00},
      {-1e30f, 0xfc00},
      {0x1p-25f, 0x0000},  // half the least: down to even
      {0x1p-25f + 0x1p-40f, 0x0001},
      {3 * 0x1p-25f, 0x0002},
      // the largest subnormal rounds up to a normal
      {0x1p-14f - 0x1p-26f, 0x0400},
      {1e-30f, 0x0000},
      {-0.0f, 0x8000},
      {kInfinity, 0x7c00},
  };
  for (const auto& [value, bits] : rows) EXPECT_EQ(to_f16(value), bits) << value;
  EXPECT_TRUE(std::isnan(from_f16(to_f16(kNan))));
}

TEST(DType, bf16_rounds_to_nearest_and_ties_to_even) {
  const std::pair<float, uint16_t> rows[] = {
      {1.0f, 0x3f80},
      {1 + 0x1p-8f, 0x3f80},
      {1 + 3 * 0x1p-8f, 0x3f82},
      {1 + 0x1p-8f + 0x1p-20f, 0x3f81},
      {-1 - 3 * 0x1p-8f, 0xbf82},
      {kInfinity, 0x7f80},
      {std::numeric_limits<float>::max(), 0x7f80},
      {-0.0f, 0x8000},
  };
  for (const auto& [value, bits] : rows) EXPECT_EQ(to_bf16(value), bits) << value;
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(kNan))));
  // its payload is in the bits that go
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(DType, unaligned_memory_becomes_floats) {
  std::vector<std::byte> memory(64);
  const auto put = [&](auto value) { std::memcpy(memory.data() + 1, &value, sizeof value); };
  float out = 0;
  put(to_f16(1.5f));
  to_float(DType::kF16, memory.data() + 1, &out, 1);
  EXPECT_EQ(out, 1.5f);
  put(to_bf16(-3.0f));
  to_float(DType::kBF16, memory.data() + 1, &out, 1);
  EXPECT_EQ(out, -3.0f);
  put(0.1f);
  to_float(DType::kF32, memory.data() + 1, &out, 1);
  EXPECT_EQ(out, 0.1f);
  put(int32_t{-7});
  to_float(DType::kI32, memory.data() + 1, &out, 1);
  EXPECT_EQ(out, -7.0f);
}

TEST(DType, sizes_and_names) {
  EXPECT_EQ(size_of(DType::kF32), 4u);
  EXPECT_EQ(size_of(DType::kF16), 2u);
  EXPECT_EQ(size_of(DType::kBF16), 2u);
  EXPECT_EQ(size_of(DType::kI32), 4u);
  EXPECT_STREQ(name_of(DType::kBF16), "bf16");
}

}  // namespace
}  // namespace inkstone
