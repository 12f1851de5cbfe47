// A model in another form is the same model: the same tensors, the same image.
#include "convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/full_disk.h"
#include "base/json.h"
#include "convert/tiny_model.h"
#include "diffusion/pipeline.h"
#include "diffusion/resolved_request.h"
#include "support/scratch_folder.h"
#include "weights/built_torch_file.h"
#include "weights/checkpoint.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

// Every file of a folder, with its bytes.
std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).string()] = read_file(entry.path(), 1 << 30);
  return files;
}

std::map<std::string, std::string> tensors_of(const fs::path& file) {
  std::map<std::string, std::string> tensors;
  const Checkpoint checkpoint(file);
  for (const auto& [name, view] : checkpoint.tensors())
    tensors[name] = to_string(view.shape) + name_of(view.type) + " " +
                    std::string(reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size());
  return tensors;
}

class Converts : public testing::Test {
 protected:
  fs::path write(const TinyModel& model) const {
    const fs::path file = folder_ / "fox.safetensors";
    write_tensors(file, model.single());
    return file;
  }
  Converted run(const fs::path& in, const std::string& out, std::optional<DType> type = {}) const {
    return convert({in, folder_ / out, type, {}, {}}, {});
  }
  std::string error(const ConvertOrder& order) const {
    try {
      convert(order, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "converted";
  }
  // Nothing half-written is left.
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_))
      names.insert(entry.path().filename().string());
    return names;
  }

  // There and back: the same bytes and the same image each time.
  void expect_round_trip(const TinyModel& model, const std::vector<std::string>& lost) {
    const fs::path file = write(model);
    const Converted to = run(file, "folder");
    EXPECT_EQ(drawn(folder_ / "folder", "ugly").rgb, drawn(file, "ugly").rgb);
    EXPECT_EQ(drawn(folder_ / "folder").rgb, drawn(file).rgb);
    run(folder_ / "folder", "back.safetensors");
    run(folder_ / "back.safetensors", "again");
    EXPECT_EQ(contents(folder_ / "again"), contents(folder_ / "folder"));
    EXPECT_EQ(drawn(folder_ / "back.safetensors", "ugly").rgb, drawn(file, "ugly").rgb);
    std::map<std::string, std::string> before = tensors_of(file), after = tensors_of(folder_ / "back.safetensors");
    for (const std::string& name : lost) {
      EXPECT_THAT(to.left_out, Contains(name));
      before.erase(name);
    }
    for (const auto& [name, bytes] : before) {
      if (name.find("resblocks.3.") != std::string::npos && !model.xl()) continue;  // unused: the one before, again
      EXPECT_TRUE(after.contains(name)) << name;
      EXPECT_EQ(after[name], bytes) << name;
    }
    EXPECT_EQ(before.size(), after.size());
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

const std::vector<std::string> kLeftovers = {"model_ema.diffusion_modelout2weight", "alphas_cumprod"};

TEST_F(Converts, a_file_of_stable_diffusion_1_to_a_folder_and_back) {
  expect_round_trip(TinyModel::sd1(), kLeftovers);
  const Json index = read_json(folder_ / "folder/model_index.json");
  EXPECT_EQ(index.at("_class_name"), "StableDiffusionPipeline");
  EXPECT_EQ(index.at("safety_checker"), (JsonArray{nullptr, nullptr}));
  EXPECT_EQ(names(), (std::set<std::string>{"again", "back.safetensors", "folder", "fox.safetensors"}));
}

TEST_F(Converts, a_file_of_stable_diffusion_2_to_a_folder_and_back) {
  expect_round_trip(TinyModel::sd2(0.6f), kLeftovers);
  EXPECT_EQ(read_json(folder_ / "folder/text_encoder/config.json").at("num_hidden_layers"), 3);
}

TEST_F(Converts, what_was_measured_of_a_file_is_written_down) {
  expect_round_trip(TinyModel::sd2(-5), kLeftovers);
  EXPECT_EQ(read_json(folder_ / "folder/scheduler/scheduler_config.json").at("prediction_type"), "v_prediction");
  EXPECT_EQ(Pipeline::open(folder_ / "folder").traits.width, 768);
}

TEST_F(Converts, a_file_of_sdxl_to_a_folder_and_back) {
  expect_round_trip(TinyModel::sdxl(), kLeftovers);
  const Pipeline model = Pipeline::open(folder_ / "folder");
  EXPECT_EQ(model.traits.width, 1024);
  EXPECT_EQ(model.traits.guidance_scale, 5);
  const Weights text = Weights::open(folder_ / "folder/text_encoder");
  EXPECT_THAT(text.names(), Contains("text_model.encoder.layers.2.mlp.fc1.weight")) << "that no image needs";
}

// Its one encoder is the second of SDXL in a folder, and the first in a file.
TEST_F(Converts, a_file_of_sdxl_s_refiner_to_a_folder_and_back) {
  const fs::path file = write(TinyModel::refiner());
  run(file, "folder");
  const Json index = read_json(folder_ / "folder/model_index.json");
  EXPECT_EQ(index.at("_class_name"), "StableDiffusionXLImg2ImgPipeline");
  EXPECT_EQ(index.at("text_encoder"), (JsonArray{nullptr, nullptr}));
  EXPECT_EQ(index.at("requires_aesthetics_score"), true);
  EXPECT_TRUE(fs::exists(folder_ / "folder/text_encoder_2/model.safetensors"));
  EXPECT_TRUE(Pipeline::open_refiner(folder_ / "folder").takes_score);
  run(folder_ / "folder", "back.safetensors");
  EXPECT_TRUE(Pipeline::open_refiner(folder_ / "back.safetensors").takes_score);
  std::map<std::string, std::string> before = tensors_of(file);
  for (const std::string& name : kLeftovers) before.erase(name);
  EXPECT_EQ(tensors_of(folder_ / "back.safetensors"), before);
  run(folder_ / "back.safetensors", "again");
  EXPECT_EQ(contents(folder_ / "again"), contents(folder_ / "folder"));
}

// A folder says what no tensor does.
TEST_F(Converts, a_folder_s_scheduler_and_size_come_with_the_file) {
  run(write(TinyModel::sdxl()), "folder");
  const fs::path model = folder_ / "folder";
  write_text(model / "scheduler/scheduler_config.json",
             R"({"_class_name": "EulerDiscreteScheduler", "beta_start": 0.001, "beta_end": 0.013, "timestep_spacing":
      "trailing", "beta_schedule": "scaled_linear", "prediction_type": "v_prediction", "rescale_betas_zero_snr": true})");
  write_text(model / "generation_config.json", R"({"num_inference_steps": 4, "guidance_scale": 1.5})");
  Json index = read_json(model / "model_index.json"), unet = read_json(model / "unet/config.json");
  index.as_object()["force_zeros_for_empty_prompt"] = false;
  unet.as_object()["sample_size"] = JsonArray{32, 24};
  write_text(model / "model_index.json", json_text(index));
  write_text(model / "unet/config.json", json_text(unet));
  run(model, "fox v.safetensors");
  const Pipeline before = Pipeline::open(model), after = Pipeline::open(folder_ / "fox v.safetensors");
  EXPECT_EQ(*after.traits.scheduler, *before.traits.scheduler);
  EXPECT_EQ(after.traits.steps, 4);
  EXPECT_EQ(after.traits.guidance_scale, 1.5f);
  EXPECT_EQ(after.traits.height, 256);
  EXPECT_EQ(after.traits.width, 192);
  EXPECT_FALSE(after.zeros_for_no_negative);
  EXPECT_EQ(drawn(folder_ / "fox v.safetensors").rgb, drawn(model).rgb);
  const Checkpoint file(folder_ / "fox v.safetensors");
  EXPECT_TRUE(file.has("v_pred") && file.has("ztsnr")) << "for other programs";
}

TEST_F(Converts, metadata_that_lies_is_refused_by_its_place) {
  const auto metadata_error = [&](const std::string& text) {
    const FileTensors tensors = TinyModel::sd1().single();
    std::vector<StoredTensor> stored;
    for (const FileTensor& tensor : tensors) stored.push_back({tensor.name, tensor.shape, DType::kF32, ""});
    std::string file = safetensors_header(stored, {{"inkstone.defaults", text}});
    for (const FileTensor& tensor : tensors)
      file.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
    write_text(folder_ / "liar.safetensors", file);
    return opening_error(folder_ / "liar.safetensors");
  };
  EXPECT_EQ(metadata_error("{}"), "opened");
  for (const auto& [text, what] : {std::pair("[", "inkstone.defaults of its metadata"),
                                   {"[]", "is not an object"},
                                   {R"({"sample_size": 0})", "\"sample_size\" is 0"},
                                   {R"({"sample_size": [1, 2, 3]})", "[height, width] is wanted"},
                                   {R"({"num_inference_steps": 1e99})", "num_inference_steps"},
                                   {R"({"guidance_scale": "no"})", "guidance_scale"},
                                   {R"({"force_zeros_for_empty_prompt": 3})", "true or false"}})
    EXPECT_THAT(metadata_error(text), AllOf(HasSubstr("liar.safetensors"), HasSubstr(what))) << text;
}

TEST_F(Converts, types_are_changed_and_what_does_not_fit_is_refused_by_name) {
  const fs::path file = write(TinyModel::sdxl());
  run(file, "half", DType::kF16);
  for (const char* part : {"unet", "vae", "text_encoder", "text_encoder_2"})
    EXPECT_EQ(Weights::open(folder_ / "half" / part).type(), DType::kF16) << part;
  EXPECT_EQ(read_json(folder_ / "half/text_encoder/config.json").at("torch_dtype"), "float16");
  EXPECT_EQ(drawn(folder_ / "half").width, 64);
  run(folder_ / "half", "half.safetensors");
  EXPECT_EQ(drawn(folder_ / "half.safetensors").rgb, drawn(folder_ / "half").rgb);
  run(folder_ / "half", "single.safetensors", DType::kF32);
  EXPECT_EQ(drawn(folder_ / "single.safetensors").rgb, drawn(folder_ / "half").rgb) << "the same values";
  run(file, "brain.safetensors", DType::kBF16);
  EXPECT_EQ(Checkpoint(folder_ / "brain.safetensors").tensors().at("alphas_cumprod").type, DType::kBF16);

  FileTensors large = TinyModel::sd1().single();
  for (FileTensor& tensor : large)
    if (tensor.name == "first_stage_model.decoder.conv_out.bias") tensor.values[1] = 70000;
  write_tensors(folder_ / "large.safetensors", large);
  for (const char* out : {"out", "out.safetensors"}) {
    EXPECT_THAT(error({folder_ / "large.safetensors", folder_ / out, DType::kF16, {}, {}}),
                AllOf(HasSubstr("decoder.conv_out.bias has 70000 at element 1"), HasSubstr("bf16 or fp32")));
    EXPECT_EQ(error({folder_ / "large.safetensors", folder_ / out, DType::kBF16, {}, {}}), "converted");
  }
  EXPECT_THAT(names(), Not(Contains(HasSubstr("tmp"))));
}

TEST_F(Converts, what_is_not_finite_is_kept_and_named) {
  FileTensors tensors = TinyModel::sd1().single();
  tensors[0].values[3] = std::numeric_limits<float>::quiet_NaN();
  write_tensors(folder_ / "bad.safetensors", tensors);
  const Converted result = run(folder_ / "bad.safetensors", "out.safetensors", DType::kF16);
  EXPECT_THAT(result.notes, ElementsAre(AllOf(HasSubstr("NaN or infinity is in " + tensors[0].name + " (element 3)"))));
}

// Pickles keep what safetensors can hold, and their names.
TEST_F(Converts, a_pickle_to_safetensors) {
  for (const char* name : {"everything.ckpt", "plain.bin"}) {
    const fs::path file = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/torch" / name;
    const Converted result = run(file, "out.safetensors");
    const Checkpoint before(file), after(folder_ / "out.safetensors");
    ASSERT_EQ(before.tensors().size(), after.tensors().size());
    for (const auto& [tensor, view] : before.tensors()) {
      const WeightView& now = after.tensors().at(tensor);
      EXPECT_EQ(now.shape, view.shape) << tensor;
      EXPECT_EQ(now.type, view.type) << tensor;
      std::vector<std::byte> values(bytes(view.shape, view.type));
      copy_elements(view, values.data());
      EXPECT_TRUE(std::ranges::equal(values, now.bytes)) << tensor;
    }
    for (const OtherTensor& other : before.others())
      EXPECT_THAT(after.others(), Contains(testing::Field(&OtherTensor::name, other.name)));
    EXPECT_EQ(result.tensors, after.tensors().size() + after.others().size());
  }
}

TEST_F(Converts, other_files_keep_their_names) {
  write_tensors(folder_ / "lora.safetensors",
                {{"lora_unet_conv_in.lora_down.weight", {1, 2}, {1, 2}}, {"lora_unet_conv_in.alpha", {}, {4}}});
  const Converted result = run(folder_ / "lora.safetensors", "half.safetensors", DType::kF16);
  EXPECT_EQ(result.tensors, 2u);
  const Checkpoint after(folder_ / "half.safetensors");
  EXPECT_EQ(after.tensors().at("lora_unet_conv_in.lora_down.weight").type, DType::kF16);
  EXPECT_EQ(after.tensors().at("lora_unet_conv_in.alpha").shape, Shape{});
  EXPECT_THAT(error({folder_ / "lora.safetensors", folder_ / "out", {}, {}, {}}), HasSubstr("is a LoRA"));
}

TEST_F(Converts, a_network_s_shards_to_one_file) {
  const fs::path odd = fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/models/tiny-odd/unet";
  run(odd, "unet.safetensors");
  const Weights before = Weights::open(odd);
  const Checkpoint after(folder_ / "unet.safetensors");
  ASSERT_FALSE(before.names().empty());
  EXPECT_EQ(after.tensors().size(), before.names().size());
  for (const std::string& name : before.names())
    EXPECT_TRUE(std::ranges::equal(before.find(name).bytes, after.tensors().at(name).bytes)) << name;
  EXPECT_THAT(error({odd, folder_ / "out", {}, {}, {}}), HasSubstr("has no model_index.json"));
}

TEST_F(Converts, a_folder_to_a_folder_of_another_type) {
  const fs::path demo = fs::path(INKSTONE_SOURCE_DIR) / "demo/model";
  run(demo, "demo", DType::kF32);
  EXPECT_EQ(Weights::open(folder_ / "demo/unet").type(), DType::kF32);
  EXPECT_EQ(drawn(folder_ / "demo").rgb, drawn(demo).rgb);
  for (const char* file : {"tokenizer/vocab.json", "unet/config.json"})
    EXPECT_EQ(read_json(folder_ / "demo" / file), read_json(demo / file)) << file;
  // Named as it is read.
  fs::rename(folder_ / "demo/unet/diffusion_pytorch_model.safetensors",
             folder_ / "demo/unet/diffusion_pytorch_model.non_ema.safetensors");
  EXPECT_THAT(error({folder_ / "demo", folder_ / "out", {}, "non_ema", {}}),
              HasSubstr("has no weights of the variant non_ema"));
}

TEST_F(Converts, what_a_single_file_cannot_say_is_refused_by_name) {
  const fs::path demo = fs::path(INKSTONE_SOURCE_DIR) / "demo/model";
  EXPECT_THAT(error({demo, folder_ / "demo.safetensors", {}, {}, {}}),
              AllOf(HasSubstr("a tokenizer of 1084 tokens is not CLIP's of 49408"), HasSubstr("only be a folder")));
  run(write(TinyModel::sd1()), "folder");
  Json unet = read_json(folder_ / "folder/unet/config.json");
  unet.as_object()["attention_head_dim"] = 4;
  write_text(folder_ / "folder/unet/config.json", json_text(unet));
  EXPECT_THAT(error({folder_ / "folder", folder_ / "out.safetensors", {}, {}, {}}),
              HasSubstr("the U-Net has \"attention_head_dim\": 4 in its configuration, which no single file can say "
                        "(it would be read as 8)"));
}

TEST_F(Converts, a_component_of_another_file_becomes_part_of_the_model) {
  const TinyModel model = TinyModel::sd1();
  const fs::path file = write(model);
  write_tensors(folder_ / "vae.safetensors",
                random_weights({vae_decoder_graph(model.vae, 1, 1, 1), vae_encoder_graph(model.vae, 1, 8, 8)}, 99));
  const Replaced replaced{{"vae", folder_ / "vae.safetensors"}};
  const Image right = drawn(file, "", replaced);
  EXPECT_EQ(error({file, folder_ / "out.safetensors", {}, {}, replaced}), "converted");
  EXPECT_EQ(drawn(folder_ / "out.safetensors").rgb, right.rgb);
  EXPECT_EQ(error({file, folder_ / "out", {}, {}, replaced}), "converted");
  EXPECT_EQ(drawn(folder_ / "out").rgb, right.rgb);
}

TEST_F(Converts, results_that_cannot_be_written_are_refused_before_the_work) {
  const fs::path file = write(TinyModel::sd1());
  const auto to = [&](const std::string& out) { return error({file, folder_ / out, {}, {}, {}}); };
  EXPECT_THAT(to("out.ckpt"), HasSubstr(".safetensors and folders are written, not .ckpt"));
  write_text(folder_ / "full/thesis.txt", "mine");
  EXPECT_THAT(to("full"), HasSubstr("is there and not empty"));
  write_text(folder_ / "note", "mine");
  EXPECT_THAT(to("note"), HasSubstr("is a file that is there"));
  fs::create_directory(folder_ / "empty");
  EXPECT_EQ(to("empty"), "converted");
  EXPECT_TRUE(fs::exists(folder_ / "empty/model_index.json"));
  EXPECT_THAT(to("none/deep"), HasSubstr("cannot make the folder"));
  EXPECT_THAT(error({folder_ / "nothing", folder_ / "x", {}, {}, {}}), HasSubstr("no such file or folder"));
  EXPECT_THAT(error({file, folder_ / "x", {}, "fp16", {}}), HasSubstr("which has no variants"));
  // In place: the file is replaced when the new one is whole.
  const auto before = tensors_of(file);
  EXPECT_EQ(to("fox.safetensors"), "converted");
  EXPECT_EQ(tensors_of(file), before);
}

TEST_F(Converts, a_full_disk_leaves_nothing) {
  const fs::path file = write(TinyModel::sd1());
  for (const char* out : {"out.safetensors", "out"}) {
    EXPECT_THAT(on_a_full_disk([&] { return error({file, folder_ / out, {}, {}, {}}); }), HasSubstr("cannot write"));
    EXPECT_EQ(names(), std::set<std::string>{"fox.safetensors"}) << out;
  }
}

}  // namespace
}  // namespace inkstone
