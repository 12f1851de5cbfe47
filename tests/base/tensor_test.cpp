// Sizes are counted without overflow, memory is aligned and zero, and a tensor is read as what it
// is.
#include "base/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "base/error.h"

// Under AddressSanitizer too the machine refuses memory rather than ending the program.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace inkstone {
namespace {

TEST(Tensor, sizes_that_cannot_be_are_refused) {
  EXPECT_EQ(count({}), 1);
  EXPECT_EQ(count({2, 3, 4}), 24);
  EXPECT_EQ(count({2, 0, 4}), 0);
  EXPECT_EQ(bytes({2, 3}, DType::kF16), 12u);
  EXPECT_THROW(count({2, -1}), Error);
  EXPECT_THROW(count({int64_t{1} << 32, int64_t{1} << 32}), Error);
  EXPECT_THROW(count({INT64_MAX, 2}), Error);
  EXPECT_THROW(bytes({INT64_MAX / 2, 2}, DType::kF32), Error);
  EXPECT_THROW(Tensor({int64_t{1} << 60}), Error);
}

TEST(Tensor, memory_is_zero_and_aligned) {
  for (const size_t size : {0, 1, 63, 64, 65, 100000}) {
    const Memory memory = allocate(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.get()) % 64, 0u);
    for (size_t i = 0; i < size; ++i) ASSERT_EQ(memory[i], std::byte{0});
  }
  EXPECT_THROW(allocate(SIZE_MAX), Error);
  EXPECT_THROW(allocate(SIZE_MAX / 2), Error);
}

TEST(Tensor, values_come_back) {
  const Tensor tensor = Tensor::of({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  EXPECT_THAT(tensor.floats(), testing::ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_EQ(tensor.dim(0), 2);
  EXPECT_EQ(tensor.dim(-1), 3);
  EXPECT_EQ(tensor.size(), 6);
  EXPECT_EQ(tensor.bytes(), 24u);
  EXPECT_THAT(Tensor::of_ints({2}, std::vector<int32_t>{-1, 7}).ints(), testing::ElementsAre(-1, 7));
}

TEST(Tensor, values_must_fill_the_shape) {
  EXPECT_THROW(Tensor::of({2, 2}, std::vector<float>{1, 2, 3}), Error);
  EXPECT_THROW(Tensor::of_ints({2}, std::vector<int32_t>{1, 2, 3}), Error);
}

TEST(Tensor, is_read_only_as_what_it_is) {
  Tensor halves({4}, DType::kF16);
  EXPECT_EQ(halves.bytes(), 8u);
  EXPECT_THROW(halves.floats(), Error);
  EXPECT_THROW(halves.ints(), Error);
  EXPECT_THROW(Tensor({4}).ints(), Error);
}

TEST(Tensor, a_clone_is_its_own) {
  Tensor first = Tensor::of({2}, std::vector<float>{1, 2});
  const Tensor second = first.clone();
  first.floats()[0] = 9;
  EXPECT_THAT(second.floats(), testing::ElementsAre(1, 2));
}

TEST(Tensor, a_shape_is_written_as_a_list) {
  EXPECT_EQ(to_string(Shape{}), "[]");
  EXPECT_EQ(to_string(Shape{2, 4, 64}), "[2, 4, 64]");
}

}  // namespace
}  // namespace inkstone
