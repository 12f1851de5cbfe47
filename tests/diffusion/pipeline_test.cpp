// A model's folder: what its files mean together, what does not matter, and which file is named where
// they do not fit.
#include "diffusion/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "diffusion/resolved_request.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// A copy of the demo model, whose weights are links.
class ModelFolder : public testing::Test {
 protected:
  ModelFolder() {
    const fs::path from = fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model";
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(from)) {
      const fs::path to = path_ / fs::relative(entry.path(), from);
      if (entry.is_directory())
        fs::create_directories(to);
      else if (entry.path().extension() == ".safetensors")
        fs::create_symlink(entry.path(), to);
      else
        fs::copy_file(entry.path(), to);
    }
  }

  void write(const std::string& file, const std::string& text) const {
    write_file(path_ / file, std::as_bytes(std::span(text)));
  }
  void set(const std::string& file, const std::string& key, const Json& value) const {
    Json json = read_json(path_ / file);
    json.as_object()[key] = value;
    write(file, json_text(json));
  }
  Pipeline open() const { return Pipeline::open(path_); }
  std::string error() const {
    try {
      open();
    } catch (const Error& error) {
      return error.what();
    }
    return "opened";
  }

  const ScratchFolder scratch_;
  const fs::path path_ = scratch_.path();
};

TEST_F(ModelFolder, has_the_scheduler_that_its_index_names) {
  EXPECT_EQ(scheduler_config(open().traits).kind, SchedulerKind::kPndm);
  set("model_index.json", "scheduler", JsonArray{"diffusers", "DDIMScheduler"});
  const SchedulerConfig ddim = scheduler_config(open().traits);
  EXPECT_EQ(ddim.kind, SchedulerKind::kDdim);
  EXPECT_EQ(ddim.beta_start, 0.00085) << "with the file's values";
  EXPECT_FALSE(ddim.clip_sample) << "and as a pipeline's own";
  set("model_index.json", "scheduler", JsonArray{"diffusers", "HeunDiscreteScheduler"});
  EXPECT_THAT(open().traits.scheduler_file, HasSubstr("with the class of model_index.json"));
  for (const Json& nothing : {Json(), Json(JsonArray{nullptr, nullptr}), Json("DDIMScheduler")}) {
    set("model_index.json", "scheduler", nothing);
    EXPECT_EQ(scheduler_config(open().traits).kind, SchedulerKind::kPndm) << json_text(nothing);
  }
}

TEST_F(ModelFolder, may_have_a_scheduler_as_python_writes_it) {
  write(
      "scheduler/scheduler_config.json",
      R"({"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "variance_type": "fixed_small"})");
  set("model_index.json", "scheduler", JsonArray{"diffusers", "DPMSolverMultistepScheduler"});
  const ModelTraits traits = open().traits;
  EXPECT_EQ(scheduler_config(traits).lambda_min_clipped, SchedulerConfig().lambda_min_clipped);
  // A worker tells its gateway so.
  EXPECT_EQ(parse_json(json_text(*traits.scheduler), "x"), *traits.scheduler);
}

TEST_F(ModelFolder, has_a_default_size_of_two_sides) {
  set("unet/config.json", "sample_size", JsonArray{16, 32});
  const ModelTraits traits = open().traits;
  EXPECT_EQ(traits.height, 64);
  EXPECT_EQ(traits.width, 128);
}

TEST_F(ModelFolder, of_a_pipeline_with_the_same_components_opens) {
  for (const char* name : {"StableDiffusionPipeline", "LatentConsistencyModelPipeline",
                           "StableDiffusionImg2ImgPipeline", "LatentConsistencyModelImg2ImgPipeline",
                           "StableDiffusionInpaintPipeline", "StableDiffusionInpaintPipelineLegacy"}) {
    set("model_index.json", "_class_name", name);
    EXPECT_EQ(error(), "opened") << name;
  }
  for (const char* name :
       {"StableDiffusionControlNetPipeline", "StableDiffusionUpscalePipeline", "StableDiffusionPipelineSafe", ""}) {
    set("model_index.json", "_class_name", name);
    EXPECT_THAT(error(), AllOf(HasSubstr("model_index.json"), HasSubstr(name), HasSubstr("this program runs")));
  }
  set("model_index.json", "_class_name", "StableDiffusionInpaintPipeline");
  set("unet/config.json", "in_channels", 8);
  EXPECT_THAT(error(), AllOf(HasSubstr("unet/config.json"), HasSubstr("8"), HasSubstr("instructions")));
}

// Its text would be taken before the encoder's last layer, and no error would tell.
TEST_F(ModelFolder, of_sdxl_by_its_class_alone_is_refused) {
  set("model_index.json", "_class_name", "StableDiffusionXLPipeline");
  EXPECT_THAT(error(),
              AllOf(HasSubstr("StableDiffusionXLPipeline"), HasSubstr("unet/config.json is no U-Net of SDXL's")));
}

TEST_F(ModelFolder, whose_components_do_not_fit_is_refused_with_the_file) {
  struct Row {
    const char *file, *key;
    Json value;
    std::vector<std::string> parts;
  };
  const Row rows[] = {
      {"text_encoder/config.json", "hidden_size", 384, {"hidden_size", "384", "192", "unet/config.json"}},
      {"vae/config.json", "latent_channels", 16, {"latent_channels", "16", "unet/config.json"}},
      {"tokenizer/tokenizer_config.json", "model_max_length", 50, {"50", "77", "text_encoder/config.json"}},
      {"text_encoder/config.json", "vocab_size", 1000, {"1000", "1084", "tokenizer"}},
      {"unet/config.json", "in_channels", 5, {"5", "depth maps"}},
  };
  for (const Row& row : rows) {
    const std::string before = read_file(path_ / row.file, 1 << 20);
    set(row.file, row.key, row.value);
    const std::string text = error();
    EXPECT_TRUE(text.starts_with((path_ / row.file).string())) << text;
    for (const std::string& part : row.parts) EXPECT_THAT(text, HasSubstr(part));
    write(row.file, before);
  }
}

TEST_F(ModelFolder, that_lost_a_file_is_told_from_one_that_never_had_it) {
  for (const char* file : {"unet/diffusion_pytorch_model.safetensors", "vae/config.json", "model_index.json",
                           "tokenizer/tokenizer_config.json", "tokenizer/merges.txt", "generation_config.json"}) {
    const bool had = fs::exists(path_ / file);
    if (had) fs::rename(path_ / file, path_ / "kept");
    fs::create_symlink("../blobs/0a", path_ / file);
    EXPECT_THAT(error(), AllOf(HasSubstr(file), HasSubstr("it is a link to ../blobs/0a, which is not there"))) << file;
    fs::remove(path_ / file);
    if (had) fs::rename(path_ / "kept", path_ / file);
  }
  EXPECT_EQ(error(), "opened");
}

}  // namespace
}  // namespace inkstone
