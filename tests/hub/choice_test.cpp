// Of what a repository has, the files that make up a model here.
#include "hub/choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace inkstone {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

// As stable-diffusion-v1-5/stable-diffusion-v1-5 has them, but for the single-file checkpoints.
HubListing published() {
  HubListing listing;
  for (const char* path : {".gitattributes",
                           "README.md",
                           "feature_extractor/preprocessor_config.json",
                           "model_index.json",
                           "safety_checker/config.json",
                           "safety_checker/model.fp16.safetensors",
                           "safety_checker/model.safetensors",
                           "scheduler/scheduler_config.json",
                           "text_encoder/config.json",
                           "text_encoder/model.fp16.safetensors",
                           "text_encoder/model.safetensors",
                           "text_encoder/pytorch_model.bin",
                           "tokenizer/merges.txt",
                           "tokenizer/special_tokens_map.json",
                           "tokenizer/tokenizer_config.json",
                           "tokenizer/vocab.json",
                           "unet/config.json",
                           "unet/diffusion_pytorch_model.bin",
                           "unet/diffusion_pytorch_model.fp16.safetensors",
                           "unet/diffusion_pytorch_model.non_ema.safetensors",
                           "unet/diffusion_pytorch_model.safetensors",
                           "vae/config.json",
                           "vae/diffusion_pytorch_model.fp16.safetensors",
                           "vae/diffusion_pytorch_model.safetensors",
                           "v1-5-pruned.ckpt"})
    listing.files.push_back({path, 100, "", false});
  return listing;
}

void remove(HubListing& listing, const std::string& path) {
  std::erase_if(listing.files, [&](const HubFile& file) { return file.path == path; });
}

std::vector<std::string> paths(const std::vector<const HubFile*>& files) {
  std::vector<std::string> result;
  for (const HubFile* file : files) result.push_back(file->path);
  return result;
}

constexpr auto kNothingHere = [](const HubFile&) { return false; };

std::string error_of(const HubListing& listing, WeightVariant variant = WeightVariant::kAuto) {
  try {
    choose_files(listing, "org/name", variant, kNothingHere);
    return "chosen";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Choice, one_form_of_each_network_and_the_small_files_that_are_read) {
  const HubListing listing = published();
  const ModelFiles files = choose_files(listing, "org/name", WeightVariant::kAuto, kNothingHere);
  EXPECT_THAT(paths(files.weights),
              ElementsAre("text_encoder/model.fp16.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
                          "vae/diffusion_pytorch_model.fp16.safetensors"));
  EXPECT_THAT(paths(files.small),
              testing::UnorderedElementsAre("scheduler/scheduler_config.json", "text_encoder/config.json",
                                            "tokenizer/merges.txt", "tokenizer/special_tokens_map.json",
                                            "tokenizer/tokenizer_config.json", "tokenizer/vocab.json",
                                            "unet/config.json", "vae/config.json"));
  EXPECT_THAT(paths(choose_files(listing, "org/name", WeightVariant::kNone, kNothingHere).weights),
              ElementsAre("text_encoder/model.safetensors", "unet/diffusion_pytorch_model.safetensors",
                          "vae/diffusion_pytorch_model.safetensors"));
}

TEST(Choice, the_second_text_encoder_of_sdxl_comes_with_its_tokenizer) {
  HubListing listing = published();
  for (const char* path : {"text_encoder_2/config.json", "text_encoder_2/model.fp16.safetensors",
                           "text_encoder_2/model.safetensors", "tokenizer_2/vocab.json", "tokenizer_2/merges.txt"})
    listing.files.push_back({path, 100, "", false});
  const ModelFiles files = choose_files(listing, "org/name", WeightVariant::kAuto, kNothingHere);
  EXPECT_THAT(paths(files.weights), testing::Contains("text_encoder_2/model.fp16.safetensors"));
  EXPECT_THAT(paths(files.small), testing::IsSupersetOf({"text_encoder_2/config.json", "tokenizer_2/vocab.json",
                                                         "tokenizer_2/merges.txt"}));
  // SDXL's refiner has the second alone.
  HubListing refiner = listing;
  for (const char* path : {"text_encoder/config.json", "text_encoder/model.fp16.safetensors",
                           "text_encoder/model.safetensors", "tokenizer/vocab.json", "tokenizer/merges.txt"})
    remove(refiner, path);
  EXPECT_THAT(paths(choose_files(refiner, "O/N", WeightVariant::kAuto, kNothingHere).weights),
              ElementsAre("text_encoder_2/model.fp16.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
                          "vae/diffusion_pytorch_model.fp16.safetensors"));
  remove(listing, "tokenizer_2/merges.txt");
  EXPECT_THAT(error_of(listing), HasSubstr("has neither tokenizer_2/tokenizer.json nor"));
}

TEST(Choice, a_network_without_fp16_is_taken_whole_and_what_is_here_is_not_fetched_in_another_form) {
  HubListing listing = published();
  remove(listing, "vae/diffusion_pytorch_model.fp16.safetensors");
  const auto is_here = [](const HubFile& file) { return file.path == "text_encoder/model.safetensors"; };
  EXPECT_THAT(paths(choose_files(listing, "org/name", WeightVariant::kAuto, is_here).weights),
              ElementsAre("text_encoder/model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors",
                          "vae/diffusion_pytorch_model.safetensors"));
  EXPECT_THAT(error_of(listing, WeightVariant::kFp16),
              AllOf(HasSubstr("org/name: its vae has not the variant fp16"), HasSubstr("config.json")));
}

TEST(Choice, other_variants_are_taken_where_they_are_asked_for_or_alone) {
  HubListing listing = published();
  EXPECT_THAT(error_of(listing, WeightVariant::kNonEma), HasSubstr("its text_encoder has not the variant non_ema"));
  for (const char* path : {"text_encoder/model", "vae/diffusion_pytorch_model", "unet/diffusion_pytorch_model"})
    for (const char* variant : {".safetensors", ".fp16.safetensors"}) remove(listing, std::string(path) + variant);
  listing.files.push_back({"text_encoder/model.bf16.safetensors", 10, "", true});
  listing.files.push_back({"vae/diffusion_pytorch_model.safetensors.index.bf16.json", 10, "", false});
  const ModelFiles files = choose_files(listing, "org/name", WeightVariant::kAuto, kNothingHere);
  EXPECT_THAT(paths(files.weights),
              ElementsAre("text_encoder/model.bf16.safetensors", "unet/diffusion_pytorch_model.non_ema.safetensors"));
  EXPECT_THAT(paths(files.shard_indexes), ElementsAre("vae/diffusion_pytorch_model.safetensors.index.bf16.json"));
  EXPECT_EQ(weight_variant("non_ema"), WeightVariant::kNonEma);
  EXPECT_EQ(weight_variant("ema"), std::nullopt);
}

TEST(Choice, shards_are_those_that_the_index_names_and_the_repository_has) {
  HubListing listing = published();
  remove(listing, "unet/diffusion_pytorch_model.fp16.safetensors");
  remove(listing, "unet/diffusion_pytorch_model.safetensors");
  listing.files.push_back({"unet/diffusion_pytorch_model.safetensors.index.json", 10, "", false});
  listing.files.push_back({"unet/a.safetensors", 10, "", true});
  ModelFiles files = choose_files(listing, "org/name", WeightVariant::kAuto, kNothingHere);
  ASSERT_THAT(paths(files.shard_indexes), ElementsAre("unet/diffusion_pytorch_model.safetensors.index.json"));
  EXPECT_THAT(paths(files.small), Contains("unet/diffusion_pytorch_model.safetensors.index.json"));
  add_shards(files, listing, *files.shard_indexes[0], {"a.safetensors"});
  EXPECT_THAT(paths(files.weights), Contains("unet/a.safetensors"));
  EXPECT_THROW(add_shards(files, listing, *files.shard_indexes[0], {"b.safetensors"}), Error);
}

TEST(Choice, what_is_missing_is_said) {
  for (const char* path : {"unet/config.json", "scheduler/scheduler_config.json"}) {
    HubListing listing = published();
    remove(listing, path);
    EXPECT_THAT(error_of(listing), AllOf(HasSubstr("org/name has no " + std::string(path)), HasSubstr("README.md")));
  }
  HubListing listing = published();
  remove(listing, "tokenizer/vocab.json");
  EXPECT_THAT(error_of(listing), HasSubstr("has neither tokenizer/tokenizer.json nor"));
  listing.files.push_back({"tokenizer/tokenizer.json", 10, "", false});
  EXPECT_EQ(error_of(listing), "chosen");
  remove(listing, "model_index.json");
  EXPECT_THROW(model_index_of(listing, "org/name"), Error);
}

TEST(Choice, a_small_file_is_small) {
  HubListing listing = published();
  for (HubFile& file : listing.files)
    if (file.path == "unet/config.json") file.size = uint64_t{1} << 40;
  EXPECT_THAT(error_of(listing), HasSubstr("unet/config.json has 1099511627776 bytes"));
}

}  // namespace
}  // namespace inkstone
