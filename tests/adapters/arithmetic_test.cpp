// Products of factors that lie anywhere, as views of files do.
#include "adapters/arithmetic.h"

#include <gtest/gtest.h>

#include <vector>

namespace inkstone {
namespace {

TEST(AddProduct, is_the_same_wherever_its_numbers_lie) {
  constexpr int64_t kRows = 9, kColumns = 77, kRank = 3;
  std::vector<float> expected;
  for (size_t shift = 0; shift < 17; ++shift) {
    std::vector<float> up(kRows * kRank + shift), down(kRank * kColumns + shift), out(kRows * kColumns + shift, 0.5f);
    for (size_t i = shift; i < up.size(); ++i) up[i] = 0.25f * static_cast<float>((i - shift) % 7) - 0.5f;
    for (size_t i = shift; i < down.size(); ++i) down[i] = 0.125f * static_cast<float>((i - shift) % 11) - 0.5f;
    add_product({up.data() + shift, down.data() + shift, out.data() + shift, kRank, kColumns, 0.75f}, 0, kRows);
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(shift));
    if (shift == 0) {
      for (int64_t row = 0; row < kRows; ++row) {
        float sum = 0;
        for (int64_t k = 0; k < kRank; ++k) sum += up[row * kRank + k] * down[k * kColumns + 70];
        EXPECT_EQ(out[row * kColumns + 70], 0.5f + 0.75f * sum) << row;
      }
      expected = out;
    }
    EXPECT_EQ(out, expected) << shift;
  }
}

}  // namespace
}  // namespace inkstone
