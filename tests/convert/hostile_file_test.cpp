// A single file that lies is refused in one line that names it, by whatever opens, converts or describes it; nothing is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "base/error.h"
#include "base/file.h"
#include "convert/convert.h"
#include "convert/tiny_model.h"
#include "diffusion/file_kind.h"
#include "diffusion/pipeline.h"
#include "support/scratch_folder.h"
#include "weights/built_torch_file.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

std::string length_bytes(uint64_t length) {
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(length >> (8 * i));
  return text;
}

class HostileFiles : public testing::Test {
 protected:
  static std::string said(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  // What each way in says of the file.
  std::vector<std::string> answers(const std::string& bytes) {
    write_text(file_, bytes);
    std::vector<std::string> all = {said([&] { Pipeline::open(file_); }), said([&] { kind_of(file_); })};
    for (const char* out : {"out", "out.safetensors"}) {
      all.push_back(said([&] { convert({file_, folder_ / out, {}, {}, {}}, {}); }));
      EXPECT_FALSE(fs::exists(folder_ / out)) << all.back();
    }
    return all;
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path(), file_ = folder_ / "fox.safetensors";
};

// The attacks on the format: tests/weights/safetensors_test.cpp has every row of them.
TEST_F(HostileFiles, that_lie_in_their_header_are_refused_everywhere) {
  const std::string name = "model.diffusion_model.input_blocks.0.0.weight";
  const auto tensor = [&](const std::string& described) {
    const std::string header = "{\"" + name + "\":" + described + "}";
    return length_bytes(header.size()) + header + std::string(8, '\1');
  };
  const std::pair<std::string, std::string> rows[] = {
      {"", "too few"},
      {length_bytes(UINT64_MAX) + "{}", "says its header has 18446744073709551615 bytes"},
      {length_bytes(100'000'000) + "{}", "inside its header"},
      {tensor(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]})"),
       "more bytes than can be counted"},
      {tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,9]})"), "has 9 bytes"},
      {tensor(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})"), "its header promises"},
      {tensor(R"({"dtype":"F32","shape":[2],"data_offsets":[4,12]})"), "a hole of 4 bytes"},
      {tensor(R"({"dtype":"F99","shape":[2],"data_offsets":[0,8]})"), "has the dtype F99"},
      {tensor("[" + std::string(500, '[')), ""},
      {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", "from before 1.6"},
      {"<!DOCTYPE html><html>", "is a web page"}};
  for (const auto& [bytes, what] : rows)
    for (const std::string& answer : answers(bytes))
      EXPECT_THAT(answer, AllOf(HasSubstr("fox.safetensors"), HasSubstr(what), testing::Not(HasSubstr("\n"))));
  EXPECT_EQ(files(), 1u) << "the file alone";
}

TEST_F(HostileFiles, pickles_that_call_anything_are_read_as_data) {
  // "posix.system" of a command, where a tensor is wanted.
  const std::string call = "cposix\nsystem\n" + std::string("X\x0e\0\0\0", 5) + "touch pwned.txt" + "\x85R";
  const std::string bytes =
      built_zip({{"fox/data.pkl", whole_pickle(pickled_dict({{"cond_stage_model.logit_scale", call}}))}}).text;
  for (const std::string& answer : answers(bytes)) EXPECT_THAT(answer, testing::Not(HasSubstr("\n")));
  EXPECT_FALSE(fs::exists("pwned.txt"));
  EXPECT_FALSE(fs::exists(folder_ / "pwned.txt"));
}

// Each is well-formed, and no network.
TEST_F(HostileFiles, of_impossible_sizes_are_refused_with_the_tensor) {
  const TinyModel model = TinyModel::sd1();
  const auto answer_with = [&](const std::string& name, Shape shape) {
    FileTensors tensors = model.single();
    for (FileTensor& tensor : tensors)
      if (tensor.name == name) {
        tensor.shape = shape;
        tensor.values.assign(static_cast<size_t>(count(shape)), 1);
      }
    write_tensors(file_, tensors);
    const std::string answer = said([&] { Pipeline::open(file_); });
    EXPECT_THAT(said([&] { convert({file_, folder_ / "out", {}, {}, {}}, {}); }), answer);
    EXPECT_FALSE(fs::exists(folder_ / "out"));
    return answer;
  };
  const std::string unet = "model.diffusion_model.", text = "cond_stage_model.transformer.text_model.";
  EXPECT_THAT(answer_with(unet + "input_blocks.0.0.weight", {32}), HasSubstr("is [32]: impossible in a model"));
  EXPECT_THAT(answer_with(unet + "input_blocks.0.0.weight", {0, 4, 3, 3}), HasSubstr("fox.safetensors"));
  EXPECT_THAT(answer_with(unet + "input_blocks.0.0.weight", {32, 2'000'000, 1, 0}), HasSubstr("impossible in a model"));
  EXPECT_THAT(answer_with(unet + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight", {}),
              HasSubstr("impossible in a model"));
  EXPECT_THAT(answer_with(unet + "input_blocks.1.0.out_layers.3.weight", {33, 32, 3, 3}), HasSubstr("groups of 32"));
  EXPECT_THAT(answer_with(unet + "out.2.weight", {4, 32, 5, 5}), HasSubstr("1 misshapen"));
  EXPECT_THAT(answer_with(text + "embeddings.token_embedding.weight", {49408, 65}), HasSubstr("heads of 64"));
  EXPECT_THAT(answer_with(text + "embeddings.token_embedding.weight", {7, 64}), HasSubstr("the tokenizer 49408"));
  EXPECT_THAT(answer_with(text + "embeddings.position_embedding.weight", {1 << 20, 1}), HasSubstr("1048576"));
  EXPECT_THAT(answer_with("first_stage_model.decoder.conv_in.weight", {64, 0, 3, 3}),
              HasSubstr("impossible in a model"));
}

// Names of levels and blocks that no model has cost neither time nor memory.
TEST_F(HostileFiles, with_many_blocks_are_read_to_an_end) {
  const TinyModel model = TinyModel::sd1();
  FileTensors tensors = model.single();
  for (int i = 0; i < 3000; ++i) {
    const std::string number = std::to_string(i);
    tensors.push_back({"model.diffusion_model.input_blocks." + number + ".0.op.weight", {}, {1}});
    tensors.push_back({"model.diffusion_model.input_blocks." + number + ".1.transformer_blocks." + number + "." +
                           std::string(2000, 'x'),
                       {},
                       {1}});
    tensors.push_back({"cond_stage_model.transformer.text_model.encoder.layers." + number + ".mlp.fc1.weigh", {}, {1}});
  }
  std::ranges::sort(tensors, {}, &FileTensor::name);
  const auto twice = std::ranges::unique(tensors, {}, &FileTensor::name);
  tensors.erase(twice.begin(), twice.end());
  write_tensors(file_, tensors);
  const std::string answer = said([&] { Pipeline::open(file_); });
  EXPECT_LT(answer.size(), 4000u) << answer.substr(0, 500);
}

// A download that went wrong anywhere in the header: opened, or an error in one line; never more.
TEST_F(HostileFiles, any_byte_of_the_header_may_be_wrong) {
  const TinyModel model = TinyModel::sd1();
  write_tensors(file_, model.single());
  const std::string whole = read_file(file_, 1 << 28);
  uint64_t length = 0;
  for (size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(whole[i]);
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 150; ++i) {
    std::string bytes = whole;
    bytes[random() % (length + 8)] = static_cast<char>(random());
    write_text(file_, bytes);
    const std::string opened = said([&] { Pipeline::open(file_); });
    const std::string described = said([&] { kind_of(file_); });
    refused += opened != "accepted";
    if (opened != "accepted") {
      EXPECT_THAT(opened, AllOf(HasSubstr("fox.safetensors"), testing::Not(HasSubstr("\n"))));
    }
    EXPECT_THAT(described, testing::Not(HasSubstr("\n")));
  }
  EXPECT_GT(refused, 100);
}

// EMA's averages, markers and zero-sized tensors change nothing.
TEST_F(HostileFiles, leftovers_of_the_training_change_nothing) {
  const TinyModel model = TinyModel::sd1();
  write_tensors(file_, model.single());
  const Image right = drawn(file_);
  FileTensors tensors = model.single();
  for (const FileTensor& tensor : model.single())
    if (tensor.name.starts_with("model.diffusion_model.")) {
      std::string name = tensor.name.substr(6);
      std::erase(name, '.');
      if (name == "diffusion_modelout2weight") continue;  // there already
      tensors.push_back({"model_ema." + name, tensor.shape, std::vector<float>(tensor.values.size(), 9)});
    }
  for (const char* name : {"model_ema.num_updates", "betas", "logvar", "denoiser.sigmas"})
    tensors.push_back({name, {}, {7}});
  tensors.push_back(
      {"cond_stage_model.transformer.text_model.embeddings.position_ids", {1, 77}, std::vector<float>(77, 3.7f)});
  tensors.push_back({"unknown.marker", {0}, {}});
  tensors.push_back({"first_stage_model.loss.logvar", {3, 0}, {}});
  write_tensors(file_, tensors);
  EXPECT_EQ(drawn(file_).rgb, right.rgb);
  const Converted result = convert({file_, folder_ / "out", {}, {}, {}}, {});
  EXPECT_EQ(drawn(folder_ / "out").rgb, right.rgb);
  EXPECT_THAT(result.left_out, testing::Contains("unknown.marker"));
}

// As people have them: under the model's prefix, bare, or in diffusers' names.
TEST_F(HostileFiles, of_a_unet_alone_say_where_they_belong_and_run_there) {
  const TinyModel model = TinyModel::sd1();
  const fs::path whole = folder_ / "whole.safetensors";
  write_tensors(whole, model.single());
  const Image right = drawn(whole);
  const FileTensors unet = random_weights({unet_graph(model.unet, {1, 2, 2})}, 2);
  for (const char* prefix : {"model.diffusion_model.", ""}) {
    FileTensors tensors = ldm_unet(unet, model.unet);
    for (FileTensor& tensor : tensors)
      tensor.name = prefix + tensor.name.substr(std::size("model.diffusion_model.") - 1);
    write_tensors(file_, tensors);
    EXPECT_EQ(drawn(whole, "", {{"unet", file_}}).rgb, right.rgb) << prefix;
    EXPECT_THAT(said([&] { Pipeline::open(file_); }), HasSubstr("fox.safetensors")) << prefix;
    EXPECT_THAT(kind_of(file_).use, HasSubstr("--unet"));
  }
}

}  // namespace
}  // namespace inkstone
