// Adapters of tiny-sd15 against diffusers' fuse_lora and LyCORIS. Goldens by tools/make_fixtures.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "diffusion/generate.h"
#include "diffusion/parameters.h"
#include "diffusion/pipeline_adapters.h"
#include "support/differences.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";
constexpr float kStrength = 0.7f;

std::string adapter(const std::string& name) { return (kFixtures / "adapters" / (name + ".safetensors")).string(); }
Pipeline tiny() { return Pipeline::open(kFixtures / "models" / "tiny-sd15"); }

// The same weights as fp32: what is merged into them is not rounded.
Pipeline tiny_fp32() {
  Pipeline pipeline = tiny();
  for (Component& component : pipeline.components) {
    const std::vector<WeightSpec> specs = component.weights.specs();
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const WeightSpec& spec : specs) tensors.emplace_back(spec.name, component.weights.read(spec.name));
    component.weights = Weights::of(std::move(tensors));
    component.weights.bind(specs);
  }
  return pipeline;
}

// The golden's weights are found, and no others are changed.
void expect_golden(const std::string& name, const AdapterSet& set) {
  Pipeline pipeline = tiny_fp32();
  merge(pipeline, set);
  const Weights golden = Weights::open_files({adapter("golden")});
  std::set<std::string> changed;
  for (const std::string& key : golden.names()) {
    if (!key.starts_with(name + "/")) continue;
    const size_t slash = key.find('/', name.size() + 1);
    const Weights& weights = pipeline.component(key.substr(name.size() + 1, slash - name.size() - 1)).weights;
    const std::string weight = key.substr(slash + 1);
    changed.insert(weight);
    EXPECT_TRUE(weights.is_owned(weight)) << key;
    EXPECT_LE(largest_difference(weights.read(weight), golden.read(key)), 1e-6) << key;
  }
  EXPECT_FALSE(changed.empty()) << name;
  for (const Component& component : pipeline.components)
    for (const WeightSpec& spec : component.weights.specs())
      EXPECT_EQ(component.weights.is_owned(spec.name), changed.contains(spec.name)) << name << " " << spec.name;
}

TEST(Adapters, are_merged_as_diffusers_and_peft_do) {
  expect_golden("lora", {{adapter("lora"), kStrength, kStrength}});
  expect_golden("second", {{adapter("second"), -0.4f, -0.4f}});
  expect_golden("dora", {{adapter("dora"), kStrength, kStrength}});
  expect_golden("rslora", {{adapter("rslora"), kStrength, kStrength}});
  expect_golden("two", {{adapter("lora"), kStrength, kStrength}, {adapter("second"), -0.4f, -0.4f}});
}

class LycorisKinds : public testing::TestWithParam<const char*> {};
TEST_P(LycorisKinds, are_merged_as_lycoris_does) {
  expect_golden(GetParam(), {{adapter(GetParam()), kStrength, kStrength}});
}
INSTANTIATE_TEST_SUITE_P(All, LycorisKinds,
                         testing::Values("locon", "locon_mid", "loha", "loha_tucker", "lokr", "lokr_both", "lokr_full",
                                         "lokr_tucker", "dora_out", "dora_in", "dora_loha", "full", "norm", "ia3_out",
                                         "ia3_in"),
                         [](const auto& test) { return std::string(test.param); });

using Bytes = std::map<std::string, std::vector<std::byte>>;
Bytes bytes_of(const Pipeline& pipeline) {
  Bytes bytes;
  for (const Component& component : pipeline.components)
    for (const WeightSpec& spec : component.weights.specs()) {
      const WeightView& view = component.weights.find(spec.name);
      bytes[component.name + "/" + spec.name] = {view.bytes.begin(), view.bytes.end()};
    }
  return bytes;
}
Bytes bytes_with(const AdapterSet& set) {
  Pipeline pipeline = tiny();
  merge(pipeline, set);
  return bytes_of(pipeline);
}

TEST(Adapters, of_any_naming_give_the_same_bytes) {
  const Bytes peft = bytes_with({{adapter("lora"), kStrength, kStrength}});
  EXPECT_NE(peft, bytes_of(tiny()));
  for (const char* form : {"lora_kohya", "lora_ldm", "lora_old"})
    EXPECT_EQ(bytes_with({{adapter(form), kStrength, kStrength}}), peft) << form;
}

TEST(Adapters, are_rounded_once_into_the_stored_type) {
  Pipeline half = tiny(), full = tiny_fp32();
  const AdapterSet set{{adapter("lora"), kStrength, kStrength}, {adapter("second"), 0.3f, 0.3f}};
  merge(half, set);
  merge(full, set);
  int changed = 0;
  for (const Component& component : full.components)
    for (const WeightSpec& spec : component.weights.specs()) {
      if (!component.weights.is_owned(spec.name)) continue;
      const WeightView& view = half.component(component.name).weights.find(spec.name);
      ASSERT_EQ(view.type, DType::kF16);
      const Tensor exact = component.weights.read(spec.name);
      for (size_t i = 0; i < exact.floats().size(); ++i) {
        uint16_t bits;
        std::memcpy(&bits, view.bytes.data() + 2 * i, 2);
        ASSERT_EQ(bits, to_f16(exact.floats()[i])) << spec.name << " " << i;
      }
      ++changed;
    }
  EXPECT_EQ(changed, 9);
}

TEST(Adapters, have_a_strength_for_each_half_and_none_at_zero) {
  const Bytes plain = bytes_of(tiny()), both = bytes_with({{adapter("lora"), kStrength, 0.2f}});
  const Bytes text = bytes_with({{adapter("lora"), kStrength, 0}}), unet = bytes_with({{adapter("lora"), 0, 0.2f}});
  for (const auto& [name, bytes] : plain) {
    EXPECT_EQ(text.at(name), name.starts_with("unet") ? bytes : both.at(name)) << name;
    EXPECT_EQ(unet.at(name), name.starts_with("text") ? bytes : both.at(name)) << name;
  }
  Pipeline none = tiny();
  merge(none, {{adapter("lora"), 0, 0}});
  for (const Component& component : none.components) EXPECT_EQ(component.weights.owned_bytes(), 0u);
}

TEST(Adapters, are_applied_in_their_order) {
  const AdapterUse lora{adapter("locon"), 1, 1}, dora{adapter("dora_out"), 1, 1}, other{adapter("loha"), 1, 1};
  EXPECT_NE(bytes_with({lora, dora}), bytes_with({dora, lora}));
  EXPECT_EQ(bytes_with({lora, other}).size(), bytes_with({other, lora}).size());
  EXPECT_NE(bytes_with({lora, lora}), bytes_with({lora}));  // a file that is there twice counts twice
}

TEST(Adapters, are_undone_and_exchanged) {
  Pipeline pipeline = tiny();
  const Bytes plain = bytes_of(pipeline);
  merge(pipeline, {{adapter("lora"), 1, 1}});
  ASSERT_EQ(pipeline.adapters.size(), 1u);
  EXPECT_EQ(pipeline.adapters[0].name, "lora");
  EXPECT_EQ(pipeline.adapters[0].kinds, "9 LoRA");
  EXPECT_TRUE(pipeline.adapters[0].warnings.empty());
  EXPECT_GT(pipeline.component("unet").weights.owned_bytes(), 0u);
  merge(pipeline, {{adapter("second"), 1, 1}});  // instead of the first
  EXPECT_EQ(bytes_of(pipeline), bytes_with({{adapter("second"), 1, 1}}));
  EXPECT_THROW(merge(pipeline, {{adapter("absent"), 1, 1}}), Error);
  EXPECT_EQ(bytes_of(pipeline), plain);
  merge(pipeline, {{adapter("second"), 1, 1}});
  unmerge(pipeline);
  EXPECT_EQ(bytes_of(pipeline), plain);
  EXPECT_TRUE(pipeline.adapters.empty());
  EXPECT_EQ(pipeline.component("unet").weights.owned_bytes(), 0u);
  EXPECT_THROW(merge(pipeline, {{adapter("second"), 1, 1}}, 100), UsageError);  // bytes of memory
}

TEST(Adapters, make_the_image_that_diffusers_makes) {
  Pipeline pipeline = tiny();
  merge(pipeline, {{adapter("lora"), kStrength, kStrength}});
  EngineOptions options;
  options.precision = Precision::kFp32;
  Engine engine(std::move(pipeline), options);
  ImageRequest request;
  request.prompt = "a red fox on a teal background, 2 bees";
  request.seed = 42;
  request.steps = 10;
  request.guidance_scale = 7.5f;
  request.scheduler = "ddim";
  request.width = request.height = 32;
  const ResolvedRequest resolved = engine.resolve(request);
  EXPECT_GT(engine.plan(resolved).owned_bytes, 0u);
  const Image image = generate(engine, resolved).image;
  EXPECT_LE(largest_difference(image, Weights::open_files({adapter("golden")}).read("image")), 1);
}

TEST(Adapters, stand_in_the_parameters_of_an_image) {
  const AdapterTexts texts = adapter_texts({{{"/x/one.safetensors", 0.5f, 0.5f}, "one", std::string(64, 'a'), "", {}},
                                            {{"two.safetensors", 1, -1}, "two", std::string(64, 'b'), "", {}}});
  EXPECT_EQ(texts.tags, "<lora:one:0.5> <lora:two:1:-1>");
  ResolvedRequest request;
  request.prompt = "a fox";
  const std::string text = parameters_text(request, "demo", texts);
  EXPECT_TRUE(text.starts_with("a fox <lora:one:0.5> <lora:two:1:-1>\n")) << text;
  EXPECT_THAT(text, HasSubstr(", Lora hashes: \"one: aaaaaaaaaaaa, two: bbbbbbbbbbbb\", Model: demo"));
}

// ---- files that do not fit

class AdapterFiles : public testing::Test {
 protected:
  ~AdapterFiles() override { fs::remove(path_); }

  struct Of {
    std::string name;
    Shape shape;
    float value = 0.5f;
    DType type = DType::kF32;
  };
  static constexpr const char* kQ = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q";  // [8, 8]
  static constexpr const char* kConv = "lora_unet_down_blocks_0_resnets_0_conv1";  // [8, 8, 3, 3]

  void write(const std::vector<Of>& tensors) {
    std::vector<StoredTensor> stored;
    std::string data;
    for (const Of& of : tensors) {
      stored.push_back({of.name, of.shape, of.type});
      const int64_t elements = count(of.shape);
      for (int64_t i = 0; i < elements; ++i) data.append(reinterpret_cast<const char*>(&of.value), size_of(of.type));
    }
    const std::string all = safetensors_header(stored) + data;
    write_file(path_, std::as_bytes(std::span(all)));
  }
  Pipeline merged() {
    Pipeline pipeline = tiny();
    merge(pipeline, {{path_.string(), 1, 1}});
    return pipeline;
  }
  std::string error() {
    try {
      merged();
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_THAT(text, HasSubstr(path_.string()));
      EXPECT_EQ(text.find('\n'), text.npos);
      return text;
    }
    return "none";
  }
  static std::string q(const char* suffix) { return std::string(kQ) + suffix; }
  static std::string conv(const char* suffix) { return std::string(kConv) + suffix; }

  const fs::path path_ =
      fs::temp_directory_path() / ("inkstone_adapter_" + std::to_string(::getpid()) + ".safetensors");
};

TEST_F(AdapterFiles, of_another_family_are_named_as_such) {
  const std::string to_k = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn2_to_k";
  write({{to_k + ".lora_down.weight", {2, 2048}}, {to_k + ".lora_up.weight", {8, 2}}});
  EXPECT_THAT(error(), HasSubstr("made for SDXL: its cross-attention reads text of width 2048, this model's 32"));
  write({{"lora_unet_double_blocks_0_img_attn.lora_down.weight", {2, 8}}});
  EXPECT_THAT(error(), HasSubstr("made for Flux: none of its layers is this model's"));
  write({{"a.b.lora_down.weight", {2, 8}}, {"a.b.lora_up.weight", {8, 2}}});
  EXPECT_THAT(error(), HasSubstr("none of its layers is this model's; the first is a.b"));
  write({{"just.a.tensor.of.ours", {2, 8}}});
  EXPECT_THAT(error(), HasSubstr("it has no adapter's tensors"));
}

TEST_F(AdapterFiles, that_are_incomplete_are_refused) {
  write({{q(".lora_down.weight"), {2, 8}}});
  EXPECT_THAT(error(), HasSubstr("stands without its .lora_up.weight"));
  write({{q(".lora_up.weight"), {8, 2}}, {q(".alpha"), {}}});
  EXPECT_THAT(error(), HasSubstr("stands without its .lora_down.weight"));
  write({{q(".hada_w1_a"), {8, 2}}, {q(".hada_w1_b"), {2, 8}}, {q(".hada_w2_a"), {8, 2}}});
  EXPECT_THAT(error(), HasSubstr("stands without its .hada_w2_b"));
  write({{q(".lokr_w1"), {2, 2}}});
  EXPECT_THAT(error(), HasSubstr("stands without its .lokr_w2_a"));
  write({{q(".alpha"), {}}});
  EXPECT_THAT(error(), HasSubstr("the file is incomplete"));
  write({{q(".dora_scale"), {8, 1}}});
  EXPECT_THAT(error(), HasSubstr("stands alone"));
  write({{q(".weight"), {8}}});
  EXPECT_THAT(error(), HasSubstr("a whole model is no adapter"));
}

TEST_F(AdapterFiles, with_shapes_that_do_not_fit_are_refused) {
  const std::vector<std::vector<Of>> misfits = {
      {{q(".lora_down.weight"), {2, 9}}, {q(".lora_up.weight"), {8, 2}}},
      {{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 3}}},
      {{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {9, 2}}},
      {{conv(".lora_down.weight"), {2, 8, 1, 1}}, {conv(".lora_up.weight"), {8, 2, 1, 1}}},
      {{conv(".lora_down.weight"), {2, 8, 1, 1}},
       {conv(".lora_up.weight"), {8, 2}},
       {conv(".lora_mid.weight"), {2, 3, 3, 3}}},
      {{q(".hada_w1_a"), {8, 2}}, {q(".hada_w1_b"), {2, 8}}, {q(".hada_w2_a"), {8, 2}}, {q(".hada_w2_b"), {3, 8}}},
      {{q(".lokr_w1"), {3, 2}}, {q(".lokr_w2"), {4, 4}}},
      {{q(".lokr_w1"), {2, 2}}, {q(".lokr_w2"), {4, 5}}},
      {{q(".diff"), {64}}},
      {{q(".diff"), {8, 9}}},
      {{conv(".diff_b"), {9}}},
      {{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 2}}, {q(".dora_scale"), {7, 1}}}};
  for (const std::vector<Of>& misfit : misfits) {
    write(misfit);
    EXPECT_THAT(error(), HasSubstr("does not fit the model's weight of")) << misfit[0].name;
  }
}

TEST_F(AdapterFiles, that_would_take_memory_or_have_no_rank_are_refused) {
  write({{q(".lora_down.weight"), {5000, 8}, 0, DType::kF16}, {q(".lora_up.weight"), {8, 5000}, 0, DType::kF16}});
  EXPECT_THAT(error(), HasSubstr("has the rank 5000, at most 4096 is read"));
  write({{q(".lora_down.weight"), {0, 8}}, {q(".lora_up.weight"), {8, 0}}});
  EXPECT_THAT(error(), HasSubstr("is empty"));
  write({{q(".lora_down.weight"), {0, int64_t{1} << 40}}, {q(".lora_up.weight"), {8, 0}}});
  EXPECT_THAT(error(), HasSubstr("is empty"));
}

TEST_F(AdapterFiles, with_numbers_that_are_not_finite_are_refused_and_nothing_stays_merged) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  write({{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 2}, nan}});
  EXPECT_THAT(error(), HasSubstr("lora_up.weight has a NaN or an infinity at element 0"));
  write({{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 2}}, {q(".alpha"), {}, nan}});
  EXPECT_THAT(error(), HasSubstr("alpha is NaN or infinite"));
  write({{conv(".diff"), {8, 8, 3, 3}}, {q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 2}, 1e5f}});
  Pipeline pipeline = tiny();
  try {
    merge(pipeline, {{path_.string(), 1, 1}});
    ADD_FAILURE() << "what fp16 cannot hold was merged";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("which fp16 cannot hold: choose a smaller strength"));
  }
  for (const Component& component : pipeline.components) EXPECT_EQ(component.weights.owned_bytes(), 0u);
}

TEST_F(AdapterFiles, of_kinds_that_are_not_applied_are_refused_by_name) {
  for (const auto& [suffix, kind] : {std::pair(".oft_blocks", "OFT"), {".a1.weight", "GLoRA"}, {".boft_R", "BOFT"}}) {
    write({{q(suffix), {2, 2}}});
    EXPECT_THAT(error(), HasSubstr(std::string("is of ") + kind));
  }
  write({{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 2}}, {q(".diff"), {8, 8}}});
  EXPECT_THAT(error(), HasSubstr("are of two kinds for one weight"));
}

TEST_F(AdapterFiles, with_some_layers_of_others_are_merged_with_a_warning) {
  std::vector<Of> tensors{{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 2}}};
  for (const char* stem : {"lora_te2_a", "lora_te2_b", "lora_unet_no_such", "a.wholly.other.thing"}) {
    tensors.push_back({std::string(stem) + ".lora_down.weight", {2, 8}});
    tensors.push_back({std::string(stem) + ".lora_up.weight", {8, 2}});
  }
  tensors.push_back({"what.is.this", {1}});
  write(tensors);
  const Pipeline pipeline = merged();
  EXPECT_THAT(
      pipeline.adapters[0].warnings,
      testing::ElementsAre("2 of its layers are of a text encoder's layers that this model lacks and ignored: "
                           "lora_te2_a, lora_te2_b",
                           "2 of its layers are not this model's and ignored: a.wholly.other.thing, lora_unet_no_such",
                           HasSubstr("1 of its tensors are ignored")));
}

// SDXL's text is taken before the last layer of the first encoder, and adapters for SDXL have that layer all the same.
TEST_F(AdapterFiles, with_layers_that_nothing_reads_are_merged_without_a_warning) {
  const std::string layers = "lora_te1_text_model_encoder_layers_", q = "_self_attn_q_proj";
  std::vector<Of> tensors;
  for (const char* number : {"0", "2"}) {
    tensors.push_back({layers + number + q + ".lora_down.weight", {2, 24}});
    tensors.push_back({layers + number + q + ".lora_up.weight", {24, 2}});
  }
  write(tensors);
  Pipeline pipeline = Pipeline::open(kFixtures / "models" / "tiny-sdxl");
  merge(pipeline, {{path_.string(), 1, 1}});
  EXPECT_THAT(pipeline.adapters[0].warnings, testing::IsEmpty());
  EXPECT_EQ(pipeline.adapters[0].kinds, "1 LoRA");
  tensors[2].name = layers + "3" + q + ".lora_down.weight";  // there is none
  tensors[3].name = layers + "3" + q + ".lora_up.weight";
  write(tensors);
  merge(pipeline, {{path_.string(), 1, 1}});
  EXPECT_THAT(pipeline.adapters[0].warnings, testing::ElementsAre(HasSubstr("that this model lacks")));
}

TEST(Adapters, that_do_not_fit_into_memory_are_refused_before_any_is_made) {
  const auto error_of = [](size_t bytes, size_t budget, size_t free) -> std::string {
    try {
      check_room(bytes, budget, free);
      return "";
    } catch (const UsageError& error) {
      return error.what();
    }
  };
  constexpr size_t kMib = size_t{1} << 20;
  EXPECT_EQ(error_of(3 * kMib, 4 * kMib, 0), "");
  EXPECT_EQ(error_of(3 * kMib, 4 * kMib, kMib), "");  // the budget says what may be used
  EXPECT_EQ(error_of(3 * kMib, 0, 0), "");
  EXPECT_EQ(error_of(5 * kMib, 4 * kMib, 0),
            "the weights that the adapters change take 5 MiB of memory, the memory budget is 4 MiB");
  EXPECT_EQ(error_of(5 * kMib, 0, 4 * kMib),
            "the weights that the adapters change take 5 MiB of memory, the machine has free 4 MiB");
}

TEST_F(AdapterFiles, with_one_layer_twice_count_once_or_are_refused) {
  const std::string ldm = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q";
  const std::vector<Of> own{{q(".lora_down.weight"), {2, 8}}, {q(".lora_up.weight"), {8, 2}}};
  write(own);
  const Bytes once = bytes_of(merged());
  std::vector<Of> both = own;
  both.push_back({ldm + ".lora_down.weight", {2, 8}, 0.25f});
  both.push_back({ldm + ".lora_up.weight", {8, 2}});
  write(both);
  const Pipeline pipeline = merged();
  EXPECT_EQ(bytes_of(pipeline), once);
  EXPECT_THAT(pipeline.adapters[0].warnings.at(0), HasSubstr("there under another name too"));
  both = own;
  both.push_back({"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_A.weight", {2, 8}});
  both.push_back({"unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.lora_B.weight", {8, 2}});
  write(both);
  EXPECT_THAT(error(), HasSubstr("are the same layer"));
}

TEST_F(AdapterFiles, a_linear_fits_a_convolution_of_one_pixel_and_the_other_way) {
  const std::string in = "lora_unet_down_blocks_0_attentions_0_proj_in";
  write({{in + ".lora_down.weight", {2, 8}}, {in + ".lora_up.weight", {8, 2}}});
  const Bytes flat = bytes_of(merged());
  write({{in + ".lora_down.weight", {2, 8, 1, 1}}, {in + ".lora_up.weight", {8, 2, 1, 1}}});
  EXPECT_EQ(bytes_of(merged()), flat);
}

}  // namespace
}  // namespace inkstone
