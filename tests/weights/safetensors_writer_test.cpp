// What is written is read back, in the type that was asked for; nothing is left behind when it
// cannot be written.
#include "weights/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/full_disk.h"
#include "support/scratch_folder.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class SafetensorsWriter : public testing::Test {
 protected:
  // A view of values that live as long as the test.
  WeightView view(const std::string& name, Shape shape, const std::vector<float>& values) {
    const Tensor& kept = tensors_.emplace_back(Tensor::of(std::move(shape), values));
    return {name, kept.shape(), DType::kF32, {kept.data(), kept.bytes()}};
  }
  std::string error(const std::vector<TensorToWrite>& tensors) {
    try {
      write_safetensors(file_, tensors);
    } catch (const Error& error) {
      return error.what();
    }
    return "written";
  }
  std::vector<float> values_of(const std::string& name) {
    const Tensor tensor = Weights::open_files({file_}).read(name);
    return {tensor.floats().begin(), tensor.floats().end()};
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path(), file_ = folder_ / "out.safetensors";
  std::vector<Tensor> tensors_;
};

TEST_F(SafetensorsWriter, types_are_converted_to_the_nearest) {
  // 1 + 2^-8 lies between two bf16 values, of which the even one is 1; 1 + 2^-11 so between fp16's.
  const WeightView view = this->view("w", {2, 2}, {1 + 0x1p-8f, 1 + 0x1p-11f, -2.5f, 65504});
  const std::vector<TensorToWrite> tensors = {
      {"same", view}, {"half", view, DType::kF16}, {"brain", view, DType::kBF16}, {"single", view, DType::kF32}};
  size_t written = 0;
  write_safetensors(file_, tensors, {{"modelspec.title", "a \"fox\""}}, {[&](size_t bytes) { written = bytes; }, {}});
  EXPECT_EQ(written, 48u);
  const Weights weights = Weights::open_files({file_});
  EXPECT_THAT(weights.names(), ElementsAre("same", "single", "half", "brain")) << "larger elements come first";
  EXPECT_EQ(weights.find("half").type, DType::kF16);
  EXPECT_EQ(weights.find("brain").shape, (Shape{2, 2}));
  EXPECT_EQ(values_of("same"), (std::vector<float>{1 + 0x1p-8f, 1 + 0x1p-11f, -2.5f, 65504}));
  EXPECT_EQ(values_of("single"), values_of("same"));
  EXPECT_EQ(values_of("half"), (std::vector<float>{1 + 0x1p-8f, 1, -2.5f, 65504}));
  EXPECT_EQ(values_of("brain"), (std::vector<float>{1, 1, -2.5f, 65536}));
  EXPECT_THAT(read_file(file_, 1 << 16), HasSubstr(R"("__metadata__":{"format":"pt","modelspec.title":"a \"fox\""})"));
}

TEST_F(SafetensorsWriter, halves_become_singles_and_each_other) {
  const uint16_t halves[2] = {to_f16(1.5f), to_f16(-0.25f)};
  const WeightView half{"h", {2}, DType::kF16, std::as_bytes(std::span(halves))};
  write_safetensors(file_,
                    std::vector<TensorToWrite>{{"a", half, DType::kF32}, {"b", half, DType::kBF16}, {"c", half}});
  for (const char* name : {"a", "b", "c"}) EXPECT_THAT(values_of(name), ElementsAre(1.5f, -0.25f)) << name;
}

// More elements than a piece.
TEST_F(SafetensorsWriter, large_tensors_go_through_in_pieces) {
  constexpr int64_t kElements = (int64_t{1} << 22) + 5;
  std::vector<float> values(kElements);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 2048);
  write_safetensors(file_, std::vector<TensorToWrite>{{"w", view("w", {kElements}, values), DType::kF16}});
  EXPECT_EQ(values_of("w"), values);
}

TEST_F(SafetensorsWriter, what_torch_saved_becomes_plain) {
  const std::string stored = read_file(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/torch/everything.ckpt", 1 << 20);
  const Weights before = Weights::open_files({fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/torch/everything.ckpt"});
  std::vector<TensorToWrite> tensors;
  for (WeightView& view : parse_tensors(std::as_bytes(std::span(stored)), "everything.ckpt").tensors)
    tensors.push_back({view.name, std::move(view)});
  write_safetensors(file_, tensors);
  const Weights after = Weights::open_files({file_});
  EXPECT_EQ(after.owned_bytes(), 0u);
  EXPECT_GT(before.owned_bytes(), 0u);
  ASSERT_FALSE(before.names().empty());
  for (const std::string& name : before.names()) {
    EXPECT_EQ(after.find(name).shape, before.find(name).shape) << name;
    EXPECT_EQ(after.find(name).type, before.find(name).type) << name;
    const Tensor wanted = before.read(name);
    EXPECT_EQ(values_of(name), std::vector<float>(wanted.floats().begin(), wanted.floats().end())) << name;
  }
}

// OpenCLIP's matrices of queries, keys and values, and the projection.
TEST_F(SafetensorsWriter, several_views_and_turned_ones_are_one_tensor) {
  WeightView turned = view("t", {2, 3}, {1, 2, 3, 4, 5, 6});
  turned = transposed(turned);
  TensorToWrite joined{"joined", view("a", {1, 2}, {1, 2}), DType::kF16, {view("b", {2, 2}, {3, 4, 5, 6})}};
  joined.shape = Shape{3, 2};
  TensorToWrite square{"square", view("c", {2, 2}, {1, 2, 3, 4})};
  square.shape = Shape{2, 2, 1, 1};
  write_safetensors(file_, std::vector<TensorToWrite>{joined, square, {"turned", turned}});
  const Weights weights = Weights::open_files({file_});
  EXPECT_EQ(values_of("joined"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(weights.find("joined").shape, (Shape{3, 2}));
  EXPECT_EQ(weights.find("square").shape, (Shape{2, 2, 1, 1}));
  EXPECT_EQ(values_of("turned"), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  joined.shape = Shape{4, 2};
  EXPECT_THAT(error({joined}), HasSubstr("joined has 6 elements, not [4, 2]"));
}

TEST_F(SafetensorsWriter, types_that_are_not_read_are_written_as_they_are) {
  const int64_t step = 470'000;
  TensorToWrite number{"global_step", {"global_step", {}, DType::kF32, std::as_bytes(std::span(&step, 1))}};
  number.other = "I64";
  write_safetensors(file_, std::vector<TensorToWrite>{{"w", view("w", {1}, {1})}, number});
  const Checkpoint file(file_);
  EXPECT_EQ(file.numbers().at("global_step"), 470'000);
  ASSERT_EQ(file.others().size(), 1u);
  EXPECT_EQ(file.others()[0].type, "I64");
  number.other = "I65";
  EXPECT_THAT(error({number}), HasSubstr("global_step of I65 is not written"));
}

TEST_F(SafetensorsWriter, what_is_not_finite_is_heard_of) {
  const WeightView bad = view("w", {3}, {1, std::numeric_limits<float>::quiet_NaN(), 2});
  std::vector<std::string> heard;
  write_safetensors(file_, std::vector<TensorToWrite>{{"w", bad, DType::kF16}, {"v", view("v", {1}, {1})}}, {},
                    {{}, [&](const TensorToWrite& tensor, int64_t element) {
                       heard.push_back(tensor.name + " " + std::to_string(element));
                     }});
  EXPECT_THAT(heard, ElementsAre("w 1"));
}

TEST_F(SafetensorsWriter, names_may_be_any_text_once) {
  const WeightView one = view("w", {1}, {1});
  const std::string odd = "a \"b\"\\\n\x01\xc3\xa9";
  write_safetensors(file_, std::vector<TensorToWrite>{{odd, one}, {"", one}});
  EXPECT_TRUE(Checkpoint(file_).has(odd));
  EXPECT_TRUE(Checkpoint(file_).has(""));
  fs::remove(file_);
  EXPECT_THAT(error({{"w", one}, {"w", one}}), HasSubstr("the name w stands twice"));
  EXPECT_THAT(error({{"__metadata__", one}}), HasSubstr("the name __metadata__ stands twice"));
  EXPECT_THAT(error({{"a\xff", one}}), HasSubstr("is no UTF-8 text"));
  EXPECT_EQ(files(), 0u);
}

TEST_F(SafetensorsWriter, a_file_without_tensors_may_be_written) {
  EXPECT_EQ(error({}), "written");
  EXPECT_TRUE(Weights::open_files({file_}).names().empty());
  EXPECT_EQ(error({{"nothing", view("nothing", {0}, {})}}), "written");
  EXPECT_TRUE(Checkpoint(file_).has("nothing"));
}

TEST_F(SafetensorsWriter, a_value_that_fp16_does_not_hold_is_named) {
  const WeightView large = view("w", {2, 2}, {0, 1, 70000, 2});
  EXPECT_THAT(error({{"w", large, DType::kF16}}),
              AllOf(HasSubstr("the weight w has 70000 at element 2 of [2, 2], more than fp16 holds"),
                    HasSubstr("write it as bf16 or fp32")));
  EXPECT_EQ(files(), 0u);
  EXPECT_EQ(error({{"w", large, DType::kBF16}}), "written");
  const WeightView infinite = view("i", {1}, {std::numeric_limits<float>::infinity()});
  EXPECT_EQ(error({{"i", infinite, DType::kF16}}), "written") << "as it was";
}

TEST_F(SafetensorsWriter, a_disk_that_is_full_leaves_the_old_file) {
  const WeightView one = view("w", {1}, {1});
  ASSERT_EQ(error({{"w", one}}), "written");
  const std::string what = on_a_full_disk([&] {
    return error({{"v", view("v", {10'000}, std::vector<float>(10'000))}});
  });
  EXPECT_THAT(what, HasSubstr("cannot write " + file_.string()));
  EXPECT_EQ(files(), 1u);
  EXPECT_THAT(values_of("w"), ElementsAre(1));
}

}  // namespace
}  // namespace inkstone
