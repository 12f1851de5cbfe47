#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace inkstone {
namespace {

TEST(Random, ids_are_hexadecimal_and_never_alike) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = random_id(16);
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    EXPECT_TRUE(seen.insert(id).second) << id;
  }
  EXPECT_EQ(random_id(0), "");
}

// More than the system gives in one piece (256 bytes, if it is interrupted): the last is drawn too.
TEST(Random, every_byte_is_drawn) {
  std::vector<std::byte> bytes(100'000);
  random_bytes(bytes);
  for (size_t i = 0; i < bytes.size(); i += 1000)
    EXPECT_TRUE(std::any_of(bytes.begin() + i, bytes.begin() + i + 1000, [](std::byte b) { return b != std::byte{0}; }))
        << i;
}

}  // namespace
}  // namespace inkstone
