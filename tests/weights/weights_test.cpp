// A component's weights are found by every name they go by, fit the model or are refused in one error, and are finite.
#include "weights/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "base/error.h"
#include "support/scratch_folder.h"
#include "weights/error_of.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Weights made(std::vector<std::pair<std::string, Shape>> tensors) {
  std::vector<std::pair<std::string, Tensor>> filled;
  for (auto& [name, shape] : tensors) filled.emplace_back(name, Tensor(shape));
  return Weights::of(std::move(filled));
}

std::string bind_error(Weights weights, const std::vector<WeightSpec>& specs) {
  return error_of([&] { weights.bind(specs); });
}

TEST(WeightsBind, a_spec_is_found_under_every_name_it_goes_by) {
  const std::pair<const char*, const char*> rows[] = {
      // spec, file
      {"a.weight", "a.weight"},
      {"text_model.final_layer_norm.weight", "final_layer_norm.weight"},
      {"text_model.final_layer_norm.weight", "text_model.final_layer_norm.weight"},
      {"final_layer_norm.weight", "text_model.final_layer_norm.weight"},
      {"encoder.mid_block.attentions.0.to_q.weight", "encoder.mid_block.attentions.0.query.weight"},
      {"encoder.mid_block.attentions.0.to_k.bias", "encoder.mid_block.attentions.0.key.bias"},
      {"decoder.mid_block.attentions.0.to_v.weight", "decoder.mid_block.attentions.0.value.weight"},
      {"decoder.mid_block.attentions.0.to_out.0.weight", "decoder.mid_block.attentions.0.proj_attn.weight"},
      {"decoder.mid_block.attentions.0.query.weight", "decoder.mid_block.attentions.0.to_q.weight"},
      {"decoder.mid_block.attentions.0.proj_attn.bias", "decoder.mid_block.attentions.0.to_out.0.bias"},
  };
  for (const auto& [spec, file] : rows) {
    Weights weights = made({{file, {2, 2}}});
    const std::vector<WeightSpec> specs = {{spec, {2, 2}}};
    EXPECT_NO_THROW(weights.bind(specs)) << spec << " as " << file;
    EXPECT_EQ(weights.find(spec).name, file);
  }
}

TEST(WeightsBind, a_1x1_convolution_is_a_matrix) {
  for (const auto& [stored, asked] : {std::pair<Shape, Shape>{{4, 3, 1, 1}, {4, 3}}, {{4, 3}, {4, 3, 1, 1}}}) {
    Weights weights = made({{"w", stored}});
    const std::vector<WeightSpec> specs = {{"w", asked}};
    weights.bind(specs);
    EXPECT_EQ(weights.find("w").shape, asked);
    EXPECT_EQ(weights.read("w").shape(), asked);
  }
  EXPECT_THAT(bind_error(made({{"w", {4, 3, 3, 3}}}), {{"w", {4, 3}}}), HasSubstr("1 misshapen"));
  EXPECT_THAT(bind_error(made({{"w", {4, 3, 1}}}), {{"w", {4, 3}}}), HasSubstr("1 misshapen"));
  EXPECT_THAT(bind_error(made({{"w", {3, 4}}}), {{"w", {4, 3}}}), HasSubstr("w is [3, 4], the model needs [4, 3]"));
}

TEST(WeightsBind, all_that_is_wrong_is_listed_at_once) {
  const std::string error = bind_error(made({{"a", {2}}, {"b", {3}}, {"extra.one", {1}}, {"extra.two", {1}}}),
                                       {{"a", {2}}, {"b", {4}}, {"c", {5}}, {"d", {6}}});
  EXPECT_THAT(error, AllOf(HasSubstr("2 missing (c, d)"), HasSubstr("1 misshapen (b is [3], the model needs [4])"),
                           HasSubstr("2 unused (extra.one, extra.two)"), Not(HasSubstr("\n"))));
}

TEST(WeightsBind, a_long_list_is_cut_with_a_count) {
  std::vector<WeightSpec> specs;
  for (int i = 0; i < 25; ++i) specs.push_back({"w" + std::to_string(100 + i), {1}});
  EXPECT_THAT(bind_error(made({}), specs),
              AllOf(HasSubstr("25 missing (w100, "), HasSubstr("w119 and 5 more"), Not(HasSubstr("w120"))));
}

TEST(WeightsBind, tensors_that_no_graph_reads_are_left_alone) {
  for (const char* name : {"text_model.embeddings.position_ids", "loss.logvar", "model_ema.decay",
                           "vision_model.embeddings.class_embedding", "scaled_fp8"}) {
    Weights weights = made({{"a", {2}}, {name, {1, 77}}});
    EXPECT_EQ(bind_error(std::move(weights), {{"a", {2}}}), "accepted") << name;
  }
  EXPECT_THAT(bind_error(made({{"a", {2}}, {"loss.logvar", {1}}}), {{"a", {2}}, {"b", {1}}}),
              AllOf(HasSubstr("1 missing (b)"), HasSubstr("1 unused (loss.logvar)")));
}

TEST(WeightsBind, the_type_is_of_the_tensors_that_are_read) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  tensors.emplace_back("a", Tensor({2}, DType::kF16));
  tensors.emplace_back("vision", Tensor({100}));
  Weights weights = Weights::of(std::move(tensors));
  EXPECT_EQ(weights.type(), DType::kF32);
  const std::vector<WeightSpec> specs{{"a", {2}}};
  weights.bind(specs);
  EXPECT_EQ(weights.type(), DType::kF16);
}

TEST(Weights, memory_is_found_read_and_counted) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  tensors.emplace_back("a", Tensor::of({3}, std::vector<float>{1, 2, 3}));
  tensors.emplace_back("h", Tensor({100}, DType::kF16));
  const Weights weights = Weights::of(std::move(tensors));
  EXPECT_EQ(weights.total_bytes(), 212u);
  EXPECT_EQ(weights.type(), DType::kF16);
  EXPECT_EQ(weights.names(), (std::vector<std::string>{"a", "h"}));
  EXPECT_EQ(weights.read("a").floats()[2], 3);
  EXPECT_NO_THROW(weights.release("a"));
  EXPECT_THAT(error_of([&] { weights.find("b"); }), HasSubstr("there is no tensor b"));
}

TEST(Weights, an_overlay_replaces_a_tensor_and_is_owned) {
  Weights weights = made({{"a", {2}}, {"b", {2}}});
  const std::vector<WeightSpec> specs{{"a", {2}}, {"b", {2}}};
  weights.bind(specs);
  const std::string before = weights.fingerprint();
  EXPECT_EQ(weights.owned_bytes(), 0u);
  weights.replace("b", Tensor::of({2}, std::vector<float>{3, 4}));
  EXPECT_EQ(weights.read("b").floats()[1], 4);
  EXPECT_EQ(weights.read("a").floats()[1], 0);
  EXPECT_TRUE(weights.is_owned("b"));
  EXPECT_FALSE(weights.is_owned("a"));
  EXPECT_EQ(weights.owned_bytes(), 8u);
  EXPECT_NE(weights.fingerprint(), before);
  EXPECT_NO_THROW(weights.release("b"));
  EXPECT_THAT(error_of([&] { weights.replace("c", Tensor({2})); }), HasSubstr("there is no tensor c"));
  EXPECT_THAT(error_of([&] { weights.replace("a", Tensor({3})); }), HasSubstr("its replacement [3]"));
}

TEST(Weights, every_finite_half_is_read_as_it_is) {
  for (const DType type : {DType::kF16, DType::kBF16}) {
    Tensor halves({65536}, type);
    auto* bits = reinterpret_cast<uint16_t*>(halves.data());
    const uint16_t exponent = type == DType::kF16 ? 0x7c00 : 0x7f80;
    for (uint32_t i = 0; i < 65536; ++i) bits[i] = (i & exponent) == exponent ? 0 : static_cast<uint16_t>(i);
    const Tensor kept = halves.clone();
    std::vector<std::pair<std::string, Tensor>> tensors;
    tensors.emplace_back("w", std::move(halves));
    const Tensor floats = Weights::of(std::move(tensors)).read("w");
    const auto* kept_bits = reinterpret_cast<const uint16_t*>(kept.data());
    for (size_t i = 0; i < 65536; ++i) {
      const float want = type == DType::kF16 ? from_f16(kept_bits[i]) : from_bf16(kept_bits[i]);
      ASSERT_EQ(std::bit_cast<uint32_t>(floats.floats()[i]), std::bit_cast<uint32_t>(want))
          << name_of(type) << " bits " << i;
    }
  }
}

TEST(Weights, the_first_value_that_is_not_finite_is_named) {
  struct Row {
    DType type;
    uint32_t bits;
    bool finite;
  };
  const Row rows[] = {
      {DType::kF32, 0x7f800000, false}, {DType::kF32, 0xff800000, false}, {DType::kF32, 0x7fc00000, false},
      {DType::kF32, 0x7f800001, false}, {DType::kF32, 0x7f7fffff, true},  {DType::kF16, 0x7c00, false},
      {DType::kF16, 0xfc00, false},     {DType::kF16, 0x7e00, false},     {DType::kF16, 0x7bff, true},
      {DType::kBF16, 0x7f80, false},    {DType::kBF16, 0xffc0, false},    {DType::kBF16, 0x7f7f, true},
  };
  constexpr int64_t kSize = 300'000;  // more than one thread's share
  for (const Row& row : rows) {
    for (const int64_t at : {int64_t{0}, int64_t{4095}, int64_t{4096}, int64_t{200'000}, kSize - 1}) {
      Tensor tensor({kSize}, row.type);
      const size_t size = size_of(row.type);
      std::memcpy(tensor.data() + static_cast<size_t>(at) * size, &row.bits, size);
      if (at < kSize - 1) std::memcpy(tensor.data() + static_cast<size_t>(kSize - 1) * size, &row.bits, size);
      std::vector<std::pair<std::string, Tensor>> tensors;
      tensors.emplace_back("the.weight", std::move(tensor));
      const Weights weights = Weights::of(std::move(tensors));
      const std::string error = error_of([&] { weights.read("the.weight"); });
      EXPECT_EQ(error, error_of([&] { weights.check_finite("the.weight"); }));
      if (row.finite)
        EXPECT_EQ(error, "accepted");
      else
        EXPECT_THAT(error, HasSubstr("the tensor the.weight has a NaN or an infinity at element " + std::to_string(at) +
                                     " of [300000]"));
    }
  }
}

class WeightFiles : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    write_file(folder_ / name, std::as_bytes(std::span(text)));
  }
  // Every tensor is two floats: 1 and `second`.
  void write_weights(const std::string& name, const std::vector<std::string>& tensors, float second = 2) {
    std::vector<StoredTensor> stored;
    std::string data;
    for (const std::string& tensor : tensors) {
      stored.push_back({tensor, {2}, DType::kF32});
      const float values[2] = {1, second};
      data.append(reinterpret_cast<const char*>(values), sizeof values);
    }
    write(name, safetensors_header(stored) + data);
  }
  std::string open_error() {
    return error_of([&] { Weights::open(folder_); });
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

TEST_F(WeightFiles, a_folder_is_opened_by_its_usual_names) {
  for (const char* name : {"model.safetensors", "model.fp16.safetensors", "diffusion_pytorch_model.safetensors",
                           "diffusion_pytorch_model.fp16.safetensors"}) {
    write_weights(name, {"w"});
    const Weights weights = Weights::open(folder_);
    EXPECT_EQ(weights.read("w").floats()[1], 2) << name;
    EXPECT_NO_THROW(weights.release("w"));
    EXPECT_EQ(weights.read("w").floats()[1], 2) << "after release";
    fs::remove(folder_ / name);
  }
}

TEST_F(WeightFiles, a_moved_set_still_stands) {
  write_weights("model.safetensors", {"a", "b"});
  Weights first = Weights::open(folder_);
  const Weights second = std::move(first);
  EXPECT_EQ(second.read("b").floats()[0], 1);
}

TEST_F(WeightFiles, what_is_not_there_is_said_with_what_was_looked_for) {
  EXPECT_THAT(open_error(), AllOf(HasSubstr(folder_.string()), HasSubstr("model.safetensors"),
                                  HasSubstr("diffusion_pytorch_model.safetensors")));
  EXPECT_THAT(error_of([&] { Weights::open(folder_ / "absent"); }), HasSubstr("there is no folder"));
}

TEST_F(WeightFiles, a_link_to_nothing_is_called_that) {
  fs::create_symlink("../../blobs/0a", folder_ / "model.safetensors");
  EXPECT_THAT(open_error(), AllOf(HasSubstr("model.safetensors: it is a link to ../../blobs/0a, which is not there"),
                                  HasSubstr("download the model again")));
  fs::rename(folder_ / "model.safetensors", folder_ / "s.safetensors");
  write("model.safetensors.index.json", R"({"weight_map": {"a": "s.safetensors"}})");
  EXPECT_THAT(open_error(), HasSubstr("s.safetensors: it is a link to ../../blobs/0a"));
}

TEST_F(WeightFiles, an_index_is_read_up_to_16_mib) {
  write("model.safetensors.index.json", std::string((size_t{16} << 20) + 1, ' '));
  EXPECT_THAT(open_error(), HasSubstr("at most 16777216 are read"));
}

TEST_F(WeightFiles, what_torch_saved_is_read_where_there_are_no_safetensors) {
  const fs::path stored = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/torch/plain.bin";
  for (const char* name : {"pytorch_model.bin", "diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.bin"}) {
    fs::copy_file(stored, folder_ / name);
    EXPECT_EQ(Weights::open(folder_).read("weight").floats()[1], -0.75f) << name;
    write_weights("model.fp16.safetensors", {"weight"});
    EXPECT_EQ(Weights::open(folder_).read("weight").floats()[1], 2) << name;
    fs::remove(folder_ / "model.fp16.safetensors");
    fs::remove(folder_ / name);
  }
}

TEST_F(WeightFiles, what_lies_there_under_another_name_is_named) {
  write("fox.ckpt", "x");
  EXPECT_THAT(open_error(), AllOf(HasSubstr("has no weights"), HasSubstr("fox.ckpt has another name")));
  fs::remove(folder_ / "fox.ckpt");
  write("diffusion_pytorch_model-00001-of-00002.bin", "x");
  EXPECT_THAT(open_error(), HasSubstr("diffusion_pytorch_model-00001-of-00002.bin is a shard without its index"));
}

TEST_F(WeightFiles, variants_are_read_where_there_are_no_full_weights) {
  const char* const variants[] = {"", ".fp16", ".bf16", ".non_ema"};
  for (int i = 3; i >= 0; --i) {
    write_weights("diffusion_pytorch_model" + std::string(variants[i]) + ".safetensors", {"w"},
                  static_cast<float>(10 + i));
    EXPECT_EQ(Weights::open(folder_).read("w").floats()[1], 10 + i);
  }
  EXPECT_EQ(Weights::open(folder_, "").read("w").floats()[1], 10);
  EXPECT_EQ(Weights::open(folder_, "non_ema").read("w").floats()[1], 13);
  EXPECT_THAT(error_of([&] { Weights::open(folder_, "ema"); }), HasSubstr("has no weights of the variant ema"));
  fs::remove(folder_ / "diffusion_pytorch_model.safetensors");
  EXPECT_THAT(error_of([&] { Weights::open(folder_, ""); }), HasSubstr("has no weights without a variant"));
}

TEST_F(WeightFiles, variants_may_be_sharded_by_either_name) {
  for (const auto& [index, shard] : {std::pair("diffusion_pytorch_model.safetensors.index.fp16.json",
                                               "diffusion_pytorch_model.fp16-00001-of-00002.safetensors"),
                                     {"diffusion_pytorch_model.safetensors.fp16.index.json",
                                      "diffusion_pytorch_model-00001-of-00002.fp16.safetensors"},
                                     {"model.safetensors.index.bf16.json", "model.bf16-00001-of-00002.safetensors"}}) {
    write_weights(shard, {"a"});
    write_weights("rest.safetensors", {"b"}, 7);
    write(index, std::string(R"({"weight_map": {"b": "rest.safetensors", "a": ")") + shard + R"("}})");
    EXPECT_EQ(Weights::open(folder_).read("b").floats()[1], 7) << index;
    EXPECT_EQ(Weights::open(folder_).names().size(), 2u) << index;
    fs::remove(folder_ / index);
    EXPECT_THAT(open_error(), HasSubstr("is a shard without its index")) << index;
    fs::remove(folder_ / shard);
  }
}

TEST_F(WeightFiles, what_torch_saved_may_be_sharded) {
  const fs::path stored = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/torch/plain.bin";
  const std::string tensor = Weights::open_files({stored}).names().front();
  for (const char* index : {"pytorch_model.bin.index.json", "diffusion_pytorch_model.bin.index.fp16.json"}) {
    fs::copy_file(stored, folder_ / "pytorch_model-00001-of-00001.bin");
    write(index, R"({"weight_map": {")" + tensor + R"(": "pytorch_model-00001-of-00001.bin"}})");
    EXPECT_EQ(Weights::open(folder_).read("weight").floats()[1], -0.75f) << index;
    write(index, R"({"weight_map": {")" + tensor + R"(": "model.safetensors"}})");
    EXPECT_THAT(open_error(), HasSubstr("is not a plain name of a .bin file"));
    fs::remove(folder_ / index);
    fs::remove(folder_ / "pytorch_model-00001-of-00001.bin");
  }
}

TEST_F(WeightFiles, are_known_by_their_bytes_not_by_their_names) {
  fs::copy_file(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/torch/plain.bin", folder_ / "model.safetensors");
  EXPECT_EQ(Weights::open(folder_).read("weight").floats()[1], -0.75f);
  write_weights("a.ckpt", {"w"});
  EXPECT_EQ(Weights::open_files({folder_ / "a.ckpt"}).read("w").floats()[1], 2);
}

std::string with_length(const std::string& header) {
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(header.size() >> (8 * i));
  return text + header;
}

TEST_F(WeightFiles, fp8_is_widened_once_and_owned) {
  // 1, -2, 0.5, 448; 0.0625
  write("model.safetensors", with_length(R"({"w":{"dtype":"F8_E4M3","shape":[2,2,1,1],"data_offsets":[0,4]},)"
                                         R"("unused":{"dtype":"F8_E5M2","shape":[1],"data_offsets":[4,5]}})") +
                                 "\x38\xc0\x30\x7e\x2c");
  Weights weights = Weights::open(folder_);
  EXPECT_EQ(weights.owned_bytes(), 10u);
  const std::vector<WeightSpec> specs{{"w", {2, 2}}};
  weights.bind(specs);
  EXPECT_EQ(weights.type(), DType::kF16);
  EXPECT_EQ(weights.total_bytes(), 5u);
  EXPECT_EQ(weights.owned_bytes(), 8u) << "of what the model reads";
  EXPECT_TRUE(weights.is_owned("w"));
  EXPECT_EQ(weights.made_bytes(), 0u);
  const std::string before = weights.fingerprint();
  const Tensor tensor = weights.read("w");
  EXPECT_EQ(weights.made_bytes(), 8u);
  EXPECT_EQ(tensor.shape(), (Shape{2, 2}));
  EXPECT_EQ(std::vector<float>(tensor.floats().begin(), tensor.floats().end()), (std::vector<float>{1, -2, 0.5, 448}));
  const WeightView& first = weights.find("w");
  EXPECT_EQ(first.shape, (Shape{2, 2}));
  weights.release("w");
  EXPECT_EQ(weights.find("w").bytes.data(), first.bytes.data());
  EXPECT_EQ(weights.fingerprint(), before);
}

TEST_F(WeightFiles, weights_with_scales_are_refused_by_name) {
  for (const char* name :
       {"scaled_fp8", "model.diffusion_model.scaled_fp8", "a.scale_weight", "a.weight_scale", "a.comfy_quant"}) {
    for (const char* type : {"U8", "F8_E4M3"}) {
      write("model.safetensors", with_length(std::string("{\"") + name + R"(":{"dtype":")" + type +
                                             R"(","shape":[1],"data_offsets":[0,1]}})") +
                                     "x");
      EXPECT_THAT(open_error(), AllOf(HasSubstr("model.safetensors has the tensor " + std::string(name)),
                                      HasSubstr("quantized with scales"), HasSubstr("get the model in fp16")));
    }
  }
}

TEST_F(WeightFiles, shards_are_one_set) {
  write_weights("model-00001-of-00002.safetensors", {"a", "b"});
  write_weights("model-00002-of-00002.safetensors", {"c"}, 7);
  write("model.safetensors.index.json",
        R"({"metadata": {"total_size": 24}, "weight_map": {"a": "model-00001-of-00002.safetensors",
    "b": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}})");
  const Weights weights = Weights::open(folder_);
  EXPECT_EQ(weights.names().size(), 3u);
  EXPECT_EQ(weights.read("c").floats()[1], 7);
  fs::remove(folder_ / "model-00002-of-00002.safetensors");
  EXPECT_THAT(open_error(), HasSubstr("names the shard model-00002-of-00002.safetensors, which is not there"));
}

TEST_F(WeightFiles, an_index_that_lies_is_refused) {
  write_weights("s.safetensors", {"a"});
  const std::pair<std::string, std::string> rows[] = {
      {"[]", "no object \"weight_map\""},
      {"{\"weight_map\": []}", "no object \"weight_map\""},
      {"{\"weight_map\": {}}", "is empty"},
      {"{\"weight_map\": {\"a\": 1}}", "is not a string"},
      {"{\"weight_map\": {\"a\": \"../s.safetensors\"}}", "is not a plain name"},
      {"{\"weight_map\": {\"a\": \"/etc/s.safetensors\"}}", "is not a plain name"},
      {"{\"weight_map\": {\"a\": \"..\\\\s.safetensors\"}}", "is not a plain name"},
      {"{\"weight_map\": {\"a\": \"s.safetensors\\u0000\"}}", "is not a plain name"},
      {"{\"weight_map\": {\"a\": \"\"}}", "is not a plain name"},
      {"{\"weight_map\": {\"a\": \"..\"}}", "is not a plain name"},
      {"{\"weight_map\": {\"a\": \"s.bin\"}}", "is not a plain name"},
      {"{\"weight_map\": {\"b\": \"s.safetensors\"}}", "the tensor b is not in s.safetensors"},
      {"{\"weight_map\": {\"a\": \"s.safetensors\"", "model.safetensors.index.json:1:"},
  };
  for (const auto& [index, want] : rows) {
    write("model.safetensors.index.json", index);
    EXPECT_THAT(open_error(), AllOf(HasSubstr("model.safetensors.index.json"), HasSubstr(want))) << index;
  }
}

TEST_F(WeightFiles, a_tensor_in_two_files_is_refused_with_both) {
  write_weights("one.safetensors", {"a"});
  write_weights("two.safetensors", {"a"});
  EXPECT_THAT(error_of([&] {
                Weights::open_files({folder_ / "one.safetensors", folder_ / "two.safetensors"});
              }),
              AllOf(HasSubstr("one.safetensors"), HasSubstr("two.safetensors"), HasSubstr("the tensor a")));
}

TEST_F(WeightFiles, an_integer_where_a_weight_is_asked_is_said) {
  const std::string header = R"({"w":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})";
  write("model.safetensors",
        std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + std::string(8, '\0'));
  const std::vector<WeightSpec> specs = {{"w", {1}}};
  EXPECT_THAT(error_of([&] { Weights::open(folder_).bind(specs); }), HasSubstr("w [stored as I64"));
}

TEST_F(WeightFiles, nan_is_named_with_its_file) {
  write_weights("model.safetensors", {"w"}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(error_of([&] { Weights::open(folder_).read("w"); }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("the tensor w"), HasSubstr("at element 1")));
}

TEST(Weights, the_demo_model_opens) {
  const fs::path demo = fs::path(INKSTONE_SOURCE_DIR) / "demo/model";
  const Weights unet = Weights::open(demo / "unet");
  EXPECT_EQ(unet.type(), DType::kF16);
  EXPECT_EQ(unet.find("conv_in.weight").shape, (Shape{64, 4, 3, 3}));
  for (const std::string& name : unet.names()) EXPECT_NO_THROW(unet.check_finite(name));
}

}  // namespace
}  // namespace inkstone
