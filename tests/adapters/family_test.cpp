// An adapter of one family on a model of another is one clear line, for each pair of them.
#include "adapters/family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "adapters/merge.h"
#include "base/error.h"
#include "base/file.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

struct Family {
  const char* name;
  int64_t context;           // what the U-Net reads
  int64_t text, text_2 = 0;  // width of the text encoders; 0: none
};
constexpr Family kFamilies[] = {
    {"SD 1.x", 768, 768}, {"SD 2.x", 1024, 1024}, {"SDXL", 2048, 768, 1280}, {"SDXL's refiner", 1280, 0, 1280}};

Weights weights_of(const std::string& name, const Shape& shape) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  tensors.emplace_back(name, Tensor(shape, DType::kF16));
  Weights weights = Weights::of(std::move(tensors));
  const WeightSpec specs[] = {{name, shape}};
  weights.bind(specs);
  return weights;
}

// A layer of each component.
struct Model {
  explicit Model(const Family& family)
      : unet(weights_of("down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight", {4, family.context})) {
    constexpr const char* kLayer = "text_model.encoder.layers.0.self_attn.q_proj.weight";
    if (family.text) text = weights_of(kLayer, {family.text, family.text});
    if (family.text_2) text_2 = weights_of(kLayer, {family.text_2, family.text_2});
    if (family.text) targets.push_back({"text_encoder", &text, {}, {}});
    if (family.text_2) targets.push_back({"text_encoder_2", &text_2, {}, {}});
    targets.push_back({"unet", &unet, {}, {}});
  }
  Weights unet, text, text_2;
  std::vector<AdapterTarget> targets;
};

class WrongPairs : public testing::Test {
 protected:
  ~WrongPairs() override { fs::remove(path_); }

  // "": it fits.
  std::string error(const Family& model, const std::string& stem, int64_t columns, int64_t rows) {
    const StoredTensor stored[] = {{stem + ".lora_down.weight", {1, columns}, DType::kF16},
                                   {stem + ".lora_up.weight", {rows, 1}, DType::kF16}};
    const std::string file = safetensors_header(stored) + std::string(static_cast<size_t>(2 * (columns + rows)), '\0');
    write_file(path_, std::as_bytes(std::span(file)));
    Model made(model);
    try {
      MergePlan(made.targets, {{path_.string(), 1, 1}});
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(std::string_view(error.what()).find('\n'), std::string_view::npos);
      EXPECT_THAT(error.what(), HasSubstr(path_.string()));
      return error.what();
    }
  }

  const fs::path path_ = fs::temp_directory_path() / ("inkstone_family_" + std::to_string(::getpid()) + ".safetensors");
};

TEST_F(WrongPairs, are_told_by_the_cross_attention) {
  const std::string to_k = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k";
  for (const Family& adapter : kFamilies)
    for (const Family& model : kFamilies) {
      const std::string found = error(model, to_k, adapter.context, 4);
      if (&adapter == &model)
        EXPECT_EQ(found, "");
      else
        EXPECT_THAT(found,
                    HasSubstr(std::string("made for ") + adapter.name + ": its cross-attention reads text of width " +
                              std::to_string(adapter.context) + ", this model's " + std::to_string(model.context)));
    }
}

TEST_F(WrongPairs, are_told_by_a_text_encoder_alone) {
  const std::string first = "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
                    second = "lora_te2_text_model_encoder_layers_0_self_attn_q_proj";
  for (const Family& adapter : {kFamilies[0], kFamilies[1]})
    for (const Family& model : {kFamilies[0], kFamilies[1], kFamilies[2]}) {
      const std::string found = error(model, first, adapter.text, adapter.text);
      if (adapter.text == model.text)
        EXPECT_EQ(found, "");
      else
        EXPECT_THAT(found, AllOf(HasSubstr(adapter.text == 768 ? "made for SD 1.x or SDXL" : "made for SD 2.x"),
                                 HasSubstr("layers have the width " + std::to_string(adapter.text) + ", this model's " +
                                           std::to_string(model.text))));
    }
  for (const Family& model : {kFamilies[0], kFamilies[1]})
    EXPECT_THAT(error(model, second, 1280, 1280), HasSubstr("made for SDXL: none of its layers is this model's"));
  for (const Family& model : {kFamilies[2], kFamilies[3]}) EXPECT_EQ(error(model, second, 1280, 1280), "");
}

}  // namespace
}  // namespace inkstone
