// What torch.save wrote is read as what it means, nothing in it is run, and a file that lies is
// refused before it can cost memory.
#include "weights/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "support/scratch_folder.h"
#include "weights/built_torch_file.h"
#include "weights/checkpoint.h"
#include "weights/error_of.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const fs::path kTorchFiles = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/torch";

std::string error_of_file(const std::string& name) {
  return error_of([&] { Checkpoint checkpoint(kTorchFiles / name); });
}

Weights take(const Checkpoint& file, const std::string& name, Shape shape) {
  const std::vector<WeightSpec> specs = {{name, std::move(shape)}};
  return file.take(specs, [](const std::string& spec) { return std::vector<StoredName>{{spec}}; });
}

std::vector<float> values_of(const Weights& weights, const std::string& name) {
  const Tensor tensor = weights.read(name);
  return {tensor.floats().begin(), tensor.floats().end()};
}

// -1, -0.75, ...: as the script fills tensors.
float counted(size_t i) { return 0.25f * static_cast<float>(i) - 1; }
std::vector<float> counted(std::initializer_list<size_t> order) {
  std::vector<float> values;
  for (const size_t i : order) values.push_back(counted(i));
  return values;
}

TEST(TorchFile, every_type_and_layout_gives_its_values) {
  const Checkpoint file(kTorchFiles / "everything.ckpt");
  const std::vector<float> in_order = counted({0, 1, 2, 3, 4, 5}), turned = counted({0, 3, 1, 4, 2, 5});
  struct Row {
    const char* name;
    Shape shape;
    std::vector<float> values;
    DType type;
    bool owned;
  };
  const Row rows[] = {
      {"f32", {2, 3}, in_order, DType::kF32, false},
      {"f16", {2, 3}, in_order, DType::kF16, false},
      {"bf16", {2, 3}, in_order, DType::kBF16, false},
      {"e4m3", {2, 3}, in_order, DType::kF16, true},
      {"e5m2", {2, 3}, in_order, DType::kF16, true},
      {"e4m3_turned", {3, 2}, turned, DType::kF16, true},
      {"parameter", {2, 3}, in_order, DType::kF32, false},
      {"turned", {3, 2}, turned, DType::kF32, true},
      {"half_turned", {3, 2}, turned, DType::kF16, true},
      {"every_second", {3, 2}, counted({0, 2, 4, 6, 8, 10}), DType::kF32, true},
      {"upper", {3, 4}, counted({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}), DType::kF32, false},
      {"lower", {3, 4}, counted({12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23}), DType::kF32, false},
      {"scalar", {}, {0.5f}, DType::kF32, false},
      {"nothing", {0}, {}, DType::kF32, false},
  };
  for (const Row& row : rows) {
    ASSERT_TRUE(file.shape_of(row.name)) << row.name;
    EXPECT_EQ(*file.shape_of(row.name), row.shape) << row.name;
    const Weights weights = take(file, row.name, row.shape);
    EXPECT_EQ(weights.owned_bytes(), row.owned ? bytes(row.shape, row.type) : 0) << row.name;
    EXPECT_EQ(values_of(weights, row.name), row.values) << row.name;
    EXPECT_EQ(weights.find(row.name).type, row.type) << row.name;
    EXPECT_EQ(weights.is_owned(row.name), row.owned) << row.name;
    EXPECT_NO_THROW(weights.release(row.name));
    EXPECT_EQ(values_of(weights, row.name), row.values) << row.name << " after release";
  }
  std::vector<float> images(24);
  for (size_t i = 0; i < 24; ++i) images[i] = counted(i);
  EXPECT_EQ(values_of(take(file, "channels_last", {2, 3, 2, 2}), "channels_last"), images);
  EXPECT_EQ(values_of(take(file, "all", {6, 4}), "all"), images);
}

TEST(TorchFile, what_is_not_read_is_named_where_it_is_asked_for) {
  const Checkpoint file(kTorchFiles / "everything.ckpt");
  const std::pair<const char*, const char*> rows[] = {
      {"i64", "I64"}, {"f64", "F64"}, {"flags", "BOOL"}, {"expanded", "F32 of repeated elements"}};
  for (const auto& [name, type] : rows) {
    EXPECT_TRUE(file.has(name));
    EXPECT_FALSE(file.shape_of(name)) << name;
    EXPECT_THAT(error_of([&, name = name] {
                  take(file, name, {2, 3});
                }),
                AllOf(HasSubstr("everything.ckpt"), HasSubstr(std::string(name) + " [stored as " + type + ";")));
  }
  EXPECT_TRUE(file.has("nothing"));
  EXPECT_FALSE(file.has("epoch")) << "is beside the state_dict";
}

// Row parts and transposed matrices of what has strides or is fp8.
TEST(TorchFile, parts_and_transposed_matrices_are_taken_from_copies_too) {
  const Checkpoint file(kTorchFiles / "everything.ckpt");
  const auto taken = [&](StoredName stored, Shape shape) {
    const std::vector<WeightSpec> specs = {{"w", std::move(shape)}};
    const Weights weights = file.take(specs, [&](const std::string&) { return std::vector<StoredName>{stored}; });
    return values_of(weights, "w");
  };
  EXPECT_EQ(taken({"f32", 1, 2}, {1, 3}), counted({3, 4, 5}));
  EXPECT_EQ(taken({"e4m3", 1, 2}, {1, 3}), counted({3, 4, 5}));
  EXPECT_EQ(taken({"turned", 1, 3}, {1, 2}), counted({1, 4}));
  EXPECT_EQ(taken({"e4m3_turned", 2, 3}, {1, 2}), counted({2, 5}));
  EXPECT_EQ(taken({"every_second", 2, 3}, {1, 2}), counted({8, 10}));
  EXPECT_EQ(taken({"f32", 0, 1, true}, {3, 2}), counted({0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(taken({"e5m2", 0, 1, true}, {3, 2}), counted({0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(taken({"turned", 0, 1, true}, {2, 3}), counted({0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(taken({"e4m3_turned", 0, 1, true}, {2, 3}), counted({0, 1, 2, 3, 4, 5}));
}

// All 256 values of both types, as PyTorch widens them.
TEST(Float8, every_value_is_what_pytorch_makes_of_it) {
  const Weights file = Weights::open_files({kTorchFiles / "float8.safetensors"});
  for (const std::string name : {"e4m3", "e5m2"}) {
    const WeightView &wide = file.find(name), &golden = file.find(name + "_f32");
    ASSERT_EQ(wide.shape, (Shape{256}));
    ASSERT_EQ(wide.type, DType::kF16);
    std::vector<float> values(256), wanted(256);
    to_float(DType::kF16, wide.bytes.data(), values.data(), 256);
    to_float(DType::kF32, golden.bytes.data(), wanted.data(), 256);
    for (size_t i = 0; i < 256; ++i)
      if (std::isnan(wanted[i]))
        EXPECT_TRUE(std::isnan(values[i])) << name << " " << i;
      else
        EXPECT_EQ(std::bit_cast<uint32_t>(values[i]), std::bit_cast<uint32_t>(wanted[i])) << name << " " << i;
    EXPECT_THAT(error_of([&] { file.read(name); }),
                HasSubstr("has a NaN or an infinity at element " + std::string(name == "e4m3" ? "127" : "124")));
  }
}

TEST(TorchFile, a_state_dict_is_found_as_people_save_it) {
  for (const char* name : {"plain.bin", "module_state.pt", "protocol4.pt", "evil_beside.ckpt"}) {
    const Checkpoint file(kTorchFiles / name);
    EXPECT_EQ(values_of(take(file, "weight", {2, 3}), "weight"), counted({0, 1, 2, 3, 4, 5})) << name;
    EXPECT_EQ(values_of(take(file, "bias", {2}), "bias"), counted({0, 1})) << name;
  }
}

TEST(TorchFile, nothing_in_it_is_run) {
  const ScratchFolder scratch;
  const fs::path folder = scratch.path(), before = fs::current_path();
  fs::current_path(folder);
  EXPECT_EQ(error_of_file("evil_beside.ckpt"), "accepted");
  EXPECT_THAT(error_of_file("evil.ckpt"),
              AllOf(HasSubstr("evil.ckpt holds an object of posix.system, not a dict of tensors")));
  const Checkpoint file(kTorchFiles / "evil_tensor.ckpt");
  EXPECT_EQ(values_of(take(file, "bias", {2}), "bias"), counted({0, 1}));
  EXPECT_THAT(error_of([&] {
                take(file, "weight", {2, 3});
              }),
              HasSubstr("weight [stored as an object of posix.system;"));
  EXPECT_TRUE(fs::is_empty(folder)) << "a command has run";
  fs::current_path(before);
}

TEST(TorchFile, other_forms_are_refused_with_the_way_out) {
  EXPECT_THAT(error_of_file("legacy.ckpt"),
              AllOf(HasSubstr("legacy.ckpt was saved in PyTorch's form from before 1.6"),
                    HasSubstr("get it as safetensors, or load it by torch.load(..., weights_only=True)")));
  EXPECT_THAT(error_of_file("deflated.pt"), AllOf(HasSubstr("is compressed"), HasSubstr("zip -0")));
  EXPECT_THAT(error_of_file("module.pt"), AllOf(HasSubstr("holds an object of torch.nn.modules.linear.Linear"),
                                                HasSubstr("get it as safetensors, or its state_dict() alone")));
}

std::string error_of_pickle(const std::string& value) {
  const std::string file = built_torch_file(whole_pickle(value));
  return error_of([&] { parse_torch_file(std::as_bytes(std::span(file)), "a.ckpt"); });
}

// Of a storage of 24 bytes.
std::string error_of_tensor(const std::string& tensor) { return error_of_pickle(pickled_dict({{"w", tensor}})); }

const std::string kSix = pickled_storage("FloatStorage", "0", 6);

TEST(TorchFile, a_tensor_that_lies_is_refused) {
  ASSERT_EQ(error_of_tensor(pickled_tensor(kSix, 0, {2, 3}, {3, 1})), "accepted");
  constexpr int64_t kHuge = int64_t{1} << 62;
  struct Row {
    int64_t offset;
    std::vector<int64_t> shape, strides;
    const char* want;
  };
  const Row rows[] = {
      {1, {2, 3}, {3, 1}, "[2, 3] with the strides [3, 1] from element 1, runs past its storage, which has 6"},
      {0, {2, 4}, {3, 1}, "runs past its storage"},
      {0, {2, 3}, {4, 1}, "runs past its storage"},
      {7, {0}, {1}, "from element 7, runs past its storage"},
      {INT64_MAX, {1}, {1}, "runs past its storage"},
      {0, {kHuge}, {1}, "runs past its storage"},
      {0, {kHuge, kHuge}, {kHuge, 1}, "runs past its storage"},
      {0, {3}, {INT64_MAX}, "runs past its storage"},
      {0, {2, 2}, {INT64_MAX, INT64_MAX}, "runs past its storage"},
      {0, {5, 5, 5}, {INT64_MAX / 4, INT64_MAX / 4, 1}, "runs past its storage"},
      {-1, {2}, {1}, "its offset is -1"},
      {0, {-2}, {1}, "one of its sizes is -2"},
      {0, {2}, {-1}, "one of its strides is -1"},
      {0, {2, 3}, {1}, "has 2 sizes and 1 strides"},
      {0, std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1), "has 65 axes"},
  };
  for (const Row& row : rows)
    EXPECT_THAT(error_of_tensor(pickled_tensor(kSix, row.offset, row.shape, row.strides)),
                AllOf(HasSubstr("a.ckpt: the tensor w"), HasSubstr(row.want)));
}

TEST(TorchFile, sizes_that_cannot_be_counted_are_not_read) {
  constexpr int64_t kHuge = int64_t{1} << 62;
  const std::string file =
      built_torch_file(whole_pickle(pickled_dict({{"repeated", pickled_tensor(kSix, 0, {kHuge, kHuge, 4}, {0, 0, 1})},
                                                  {"often", pickled_tensor(kSix, 0, {1'000'000'000}, {0})},
                                                  {"empty", pickled_tensor(kSix, 0, {kHuge, kHuge, 0}, {0, 0, 1})},
                                                  {"windows", pickled_tensor(kSix, 0, {4, 3}, {1, 1})}})));
  const ParsedTensors found = parse_torch_file(std::as_bytes(std::span(file)), "a.ckpt");
  EXPECT_TRUE(found.tensors.empty());
  EXPECT_EQ(found.unread.size(), 4u);
}

TEST(TorchFile, a_storage_that_lies_is_refused) {
  const auto with = [](const std::string& storage) { return error_of_tensor(pickled_tensor(storage, 0, {2}, {1})); };
  EXPECT_THAT(with(pickled_storage("FloatStorage", "0", 5)), HasSubstr("has 24 bytes, not 5 elements of 4"));
  EXPECT_THAT(with(pickled_storage("FloatStorage", "0", 7)), HasSubstr("has 24 bytes, not 7 elements of 4"));
  EXPECT_THAT(with(pickled_storage("FloatStorage", "0", -1)), HasSubstr("not -1 elements"));
  EXPECT_THAT(with(pickled_storage("FloatStorage", "0", (int64_t{1} << 62) + 6)), HasSubstr("has 24 bytes"));
  EXPECT_THAT(with(pickled_storage("FloatStorage", "1", 6)), HasSubstr("the file has not its storage 1"));
  EXPECT_THAT(with(pickled_storage("FloatStorage", "../byteorder", 6)), HasSubstr("has not its storage"));
  EXPECT_EQ(with(pickled_storage("HalfStorage", "0", 12)), "accepted");
  EXPECT_EQ(with(pickled_storage("ComplexFloatStorage", "0", 3)), "accepted") << "not read, but known not to be";
  EXPECT_THAT(with("N"), HasSubstr("has no storage"));
  EXPECT_THAT(with(pickled_tuple({1, 2, 3, 4, 5})), HasSubstr("has no storage"));
  EXPECT_THAT(with(pickled_tuple({1, 2, 3, 4, 5}) + "Q"), HasSubstr("has no storage"));
}

TEST(TorchFile, a_description_that_is_none_is_refused) {
  const std::string rebuild = "ctorch._utils\n_rebuild_tensor_v2\n";
  EXPECT_THAT(error_of_tensor(rebuild + ")R"), HasSubstr("is described by 0 values"));
  EXPECT_THAT(error_of_tensor(rebuild + "NR"), HasSubstr("is described by 0 values"));
  EXPECT_THAT(error_of_tensor(rebuild + "(" + kSix + "K\x01NN\x89}tR"), HasSubstr("its sizes are no tuple"));
  EXPECT_THAT(error_of_tensor(rebuild + "(" + kSix + "N))\x89}tR"), HasSubstr("its offset is no number"));
  EXPECT_THAT(error_of_tensor(rebuild + "(" + kSix + "K\x01N\x85K\x01\x85\x89}tR"),
              HasSubstr("one of its sizes is no number"));
  for (const char* value : {"N", "K\x01", "]", "}", ")", "ctorch\nfloat32\n", "ctorch._utils\n_rebuild_parameter\n)R"})
    EXPECT_EQ(error_of_tensor(value), "accepted") << value;
}

TEST(TorchFile, a_pickle_without_a_dict_is_refused) {
  for (const auto& [value, want] :
       {std::pair("]", "holds a list"), std::pair("N", "holds None"), std::pair("K\x01", "holds a number"),
        std::pair("ccollections\nOrderedDict\n", "holds the name collections.OrderedDict")})
    EXPECT_THAT(error_of_pickle(value), AllOf(HasSubstr("a.ckpt"), HasSubstr(want)));
  EXPECT_THAT(error_of_pickle("}q\x01(" + pickled_text("state_dict") + "h\x01u"), HasSubstr("dicts in each other"));
}

TEST(TorchFile, an_ordered_dict_may_be_made_of_pairs) {
  const std::string pair = "](" + pickled_text("w") + pickled_tensor(kSix, 0, {6}, {1}) + "e";
  const std::string file = built_torch_file(whole_pickle("ccollections\nOrderedDict\n]" + pair + "a\x85R"));
  const ParsedTensors found = parse_torch_file(std::as_bytes(std::span(file)), "a.ckpt");
  ASSERT_EQ(found.tensors.size(), 1u);
  EXPECT_EQ(found.tensors[0].shape, (Shape{6}));
}

// A thousand copies of one storage in another order would take a thousand times its memory.
TEST(TorchFile, copies_take_no_more_than_twice_the_file) {
  std::vector<std::pair<std::string, std::string>> many;
  for (int i = 0; i < 1000; ++i)
    many.emplace_back("w" + std::to_string(i), pickled_tensor("h\x01", 0, {300, 300}, {1, 300}));
  std::string value = pickled_dict(many);
  // the storage is remembered by the first tensor
  value.replace(value.find("h\x01"), 2, pickled_storage("FloatStorage", "0", 90'000) + "q\x01");
  const std::string file =
      built_zip({{"a/data.pkl", whole_pickle(value)}, {"a/data/0", std::string(360'000, '\0')}}).text;
  EXPECT_THAT(error_of([&] { parse_torch_file(std::as_bytes(std::span(file)), "a.ckpt"); }),
              HasSubstr("more than twice the file's bytes"));
}

TEST(TorchFile, a_zip_file_of_something_else_is_called_that) {
  const auto error = [](const std::vector<BuiltEntry>& entries) {
    const std::string file = built_zip(entries).text;
    return error_of([&] { parse_torch_file(std::as_bytes(std::span(file)), "a.zip"); });
  };
  EXPECT_THAT(error({{"readme.txt", "x"}}), HasSubstr("not one that torch.save wrote"));
  EXPECT_THAT(error({{"a/data.pkl", "}."}, {"b/data.pkl", "}."}}), HasSubstr("has 2 pickles"));
  EXPECT_THAT(error({{"a/data.pkl", "}."}, {"a/constants.pkl", "}."}}), HasSubstr("is a TorchScript program"));
  EXPECT_THAT(error({{"a/data.pkl", "}."}, {"a/byteorder", "big"}}), HasSubstr("has the byte order big"));
  EXPECT_EQ(error({{"a/data.pkl", "}."}}), "accepted");
}

TEST(TorchFile, a_truncated_download_is_called_that_wherever_it_ends) {
  const std::string whole = read_file(kTorchFiles / "plain.bin", 1 << 20);
  for (size_t size = 16; size < whole.size(); ++size) {
    const std::string file = whole.substr(0, size);
    EXPECT_THAT(error_of([&] { parse_tensors(std::as_bytes(std::span(file)), "a.bin"); }),
                AllOf(HasSubstr("a.bin"), HasSubstr("download it again")));
  }
}

// No byte that is changed makes it read outside of the file or throw anything else.
TEST(TorchFile, any_byte_may_be_wrong) {
  const std::string whole = read_file(kTorchFiles / "everything.ckpt", 1 << 20);
  for (size_t at = 0; at < whole.size(); ++at)
    for (const unsigned char other : {0x00, 0x01, 0x7f, 0xff}) {
      std::string file = whole;
      file[at] = static_cast<char>(other);
      const auto bytes_of_file = std::as_bytes(std::span(file));
      error_of([&] {
        for (const WeightView& view : parse_torch_file(bytes_of_file, "a.ckpt").tensors)
          if (!view.bytes.empty()) {
            ASSERT_GE(view.bytes.data(), bytes_of_file.data());
            ASSERT_LE(view.bytes.data() + view.bytes.size(), bytes_of_file.data() + bytes_of_file.size());
          }
      });
    }
}

}  // namespace
}  // namespace inkstone
