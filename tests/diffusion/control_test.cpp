// Controls in the engine: in a batch, in any memory, with composed prompts; their files, and which are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "diffusion/control_files.h"
#include "diffusion/file_kind.h"
#include "diffusion/generate.h"
#include "diffusion/pipeline_controls.h"
#include "diffusion/request_fields.h"
#include "models/controlnet.h"
#include "models/ldm_names.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const fs::path kFixturesOfControls = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";

GivenFile hint(int number) {
  const fs::path picture = kFixturesOfControls / ("control_" + std::to_string(number) + ".png");
  return given_file(read_file(picture, 1 << 20), picture.string());
}

class Controls : public testing::Test {
 protected:
  Pipeline pipeline(const std::string& model, const std::vector<std::string>& nets) {
    Pipeline made = Pipeline::open(kFixturesOfControls / "models" / model);
    for (const std::string& net : nets) add_control(made, write_net(folder_, net));
    return made;
  }
  Engine engine(Precision precision = Precision::kFp32, const char* device = "cpu") {
    EngineOptions options;
    options.precision = precision;
    options.device = device;
    return Engine(pipeline("tiny-sd15", {"edges", "depth", "color"}), options);
  }
  std::string refusal(const fs::path& file, const std::string& model = "tiny-sd15") {
    Pipeline made = Pipeline::open(kFixturesOfControls / "models" / model);
    try {
      add_control(made, file);
    } catch (const Error& error) {
      return error.what();
    }
    return "taken";
  }
  fs::path file_of(const std::string& name, const FileTensors& tensors) {
    write_tensors(folder_ / name, tensors);
    return folder_ / name;
  }

  const ScratchFolder scratch_;
  const fs::path folder_ = scratch_.path();
};

ImageRequest request_with(std::vector<ControlUse> uses, uint64_t seed = 1) {
  ImageRequest request;
  request.prompt = "a fox";
  request.seed = seed;
  request.steps = 4;
  request.guidance_scale = 4;
  request.width = request.height = 32;
  request.scheduler = "ddim";
  if (!uses.empty()) request.control = std::move(uses);
  return request;
}

std::vector<float> latents_of(Engine& engine, const ImageRequest& request) {
  Job job = engine.start(engine.resolve(request));
  while (!job.done()) engine.step(job);
  return {job.latent.floats().begin(), job.latent.floats().end()};
}

// With and without controls, with parts of the steps alone, in guess mode, unguided, composed.
std::vector<ImageRequest> mixed_requests() {
  std::vector<ImageRequest> requests{
      request_with({}, 1),
      request_with({{"edges", hint(0)}}, 2),
      request_with({{"edges", hint(1), 0.5f, 0, 0.5f}, {"depth", hint(0), 0.4f, 0.3f, 1}}, 3),
      request_with({{"edges", hint(0)}}, 4),
      request_with({{"edges", hint(0)}}, 5),
      request_with({{"color", hint(1), 0.8f}}, 6),
      request_with({{"color", hint(1), 0.8f, 0, 0.6f}, {"edges", hint(0), 0.7f}}, 7),
      request_with({{"edges", hint(0)}, {"edges", hint(1), 0.5f}, {"edges", hint(0), 0.3f}}, 8),
      request_with({{"depth", hint(0)}}, 9),
  };
  requests[3].control_guess = true;
  requests[4].guidance_scale = 1;
  requests[8].prompt = "a fox AND a bee AND a hill:0.5 AND teal";
  return requests;
}

TEST_F(Controls, do_not_depend_on_the_batch) {
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    Engine engine = this->engine(precision);
    const std::vector<ImageRequest> requests = mixed_requests();
    std::vector<std::vector<float>> alone;
    for (const ImageRequest& request : requests) alone.push_back(latents_of(engine, request));
    for (size_t i = 0; i < alone.size(); ++i)
      for (size_t k = 0; k < i; ++k) EXPECT_NE(alone[i], alone[k]);
    std::vector<Job> jobs;
    for (const ImageRequest& request : requests) jobs.push_back(engine.start(engine.resolve(request)));
    engine.step(jobs[2]);
    engine.step(jobs[6]);
    for (;;) {
      std::vector<Job*> step;
      for (Job& job : jobs)
        if (!job.done()) step.push_back(&job);
      if (step.empty()) break;
      EXPECT_TRUE(engine.step(step).empty());
      for (Job* job : step) engine.offload(*job);  // as a server does while they wait
    }
    for (size_t i = 0; i < jobs.size(); ++i)
      EXPECT_TRUE(std::ranges::equal(jobs[i].latent.floats(), alone[i])) << "request " << i;
  }
}

TEST_F(Controls, that_are_not_used_change_nothing) {
  Engine with = engine();
  EngineOptions options;
  options.precision = Precision::kFp32;
  Engine without(pipeline("tiny-sd15", {}), options);
  const ImageRequest plain = request_with({});
  EXPECT_EQ(latents_of(with, plain), latents_of(without, plain));
  EXPECT_EQ(with.plan(with.resolve(plain)).stages.size(), without.plan(without.resolve(plain)).stages.size());
  // Where it begins and ends between two evaluations it never runs.
  EXPECT_EQ(latents_of(with, request_with({{"edges", hint(0), 1, 0.3f, 0.4f}})), latents_of(without, plain));
}

TEST_F(Controls, of_scale_0_give_the_image_without) {
  Engine engine = this->engine();
  const std::vector<float> plain = latents_of(engine, request_with({})),
                           zero = latents_of(engine, request_with({{"edges", hint(0), 0}, {"color", hint(1), 0}}));
  for (size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(zero[i], plain[i], 1e-4);
}

TEST_F(Controls, go_with_composed_prompts) {
  Engine engine = this->engine();
  ImageRequest once = request_with({{"edges", hint(0), 0.6f}, {"color", hint(1)}}), halves = once;
  halves.prompt = "a fox:0.5 AND a fox:0.5";
  const std::vector<float> right = latents_of(engine, once), found = latents_of(engine, halves);
  for (size_t i = 0; i < right.size(); ++i) EXPECT_NEAR(found[i], right[i], 1e-3);
}

TEST_F(Controls, are_the_same_in_any_memory) {
  Engine engine = this->engine();
  for (const ImageRequest& request :
       {request_with({{"edges", hint(1), 0.5f}, {"depth", hint(0), 0.4f}}), request_with({{"color", hint(1)}})}) {
    engine.set_memory_budget(0);
    const std::vector<float> right = latents_of(engine, request);
    EnginePlan plan = engine.plan(engine.resolve(request));
    for (size_t budget = plan.peak_bytes;; budget -= size_t{1} << 15) try {  // until it cannot be
        engine.set_memory_budget(budget);
        plan = engine.plan(engine.resolve(request));
        EXPECT_LE(plan.peak_bytes, budget);
      } catch (const UsageError&) {
        break;
      }
    engine.set_memory_budget(plan.peak_bytes);
    plan = engine.plan(engine.resolve(request));
    EXPECT_TRUE(plan.components_in_turn);
    EXPECT_TRUE(plan.weight_streaming);
    EXPECT_EQ(latents_of(engine, request), right);
  }
}

TEST_F(Controls, are_planned_for_where_they_are_used) {
  Engine engine = this->engine();
  const auto has = [&](const std::vector<ControlUse>& uses, const char* stage) {
    const EnginePlan plan = engine.plan(engine.resolve(request_with(uses)));
    return std::ranges::count(plan.stages, stage, &PlannedStage::name) == 1;
  };
  EXPECT_TRUE(has({{"edges", hint(0)}}, "control_edges"));
  EXPECT_TRUE(has({{"edges", hint(0)}}, "control_edges_hint"));
  EXPECT_TRUE(has({{"edges", hint(0)}}, "control_edges_prompt"));
  EXPECT_FALSE(has({{"edges", hint(0)}}, "control_edges_adds"));
  EXPECT_FALSE(has({{"edges", hint(0)}}, "control_depth"));
  EXPECT_TRUE(has({{"edges", hint(0)}, {"depth", hint(0)}}, "control_depth_adds"));
  EXPECT_TRUE(has({{"color", hint(0)}}, "control_color_hint"));
  EXPECT_FALSE(has({{"color", hint(0)}}, "control_color"));
}

TEST_F(Controls, of_requests_that_cannot_be_are_refused) {
  Engine engine = this->engine();
  const auto refused = [&](const ImageRequest& request) -> std::string {
    try {
      engine.resolve(request);
    } catch (const RequestError& error) {
      return error.what();
    }
    return "taken";
  };
  EXPECT_EQ(refused(request_with({{"edges", hint(0)}})), "taken");
  EXPECT_THAT(refused(request_with({{"pose", hint(0)}})),
              HasSubstr("control: there is no pose; there are edges, depth, color"));
  EXPECT_THAT(refused(request_with({{"edges", hint(0), 11}})), HasSubstr("scales from 0 to 10"));
  EXPECT_THAT(refused(request_with({{"edges", hint(0), 1, 0.5f, 0.2f}})), HasSubstr("start <= end"));
  ImageRequest cached = request_with({{"edges", hint(0)}});
  cached.cache_interval = 2;
  EXPECT_THAT(refused(cached), HasSubstr("cache_interval 2: must be 1 with a control"));
  ImageRequest odd = request_with({{"color", hint(0)}});
  odd.width = 36;
  EXPECT_THAT(refused(odd), HasSubstr("control: color draws images whose sides are multiples of 8, not 36x32"));
  const GivenFile none = given_file("no picture", "hint.png");
  EXPECT_THAT(
      [&] {
        engine.start(engine.resolve(request_with({{"edges", none}})));
      },
      testing::Throws<Error>(testing::Property(&Error::what, HasSubstr("hint.png: it is neither PNG, JPEG nor WebP"))));
}

// A ControlNet's of SD 1.x, whose levels can be told from the shapes.
struct StoredNet {
  ControlnetConfig config;
  FileTensors tensors;
};
StoredNet stored_net() {
  StoredNet net;
  UnetConfig& c = net.config.net;
  c.channels = {32, 64};
  c.blocks = {1, 2};
  c.depth = {1, 0};
  c.up_depth.clear();
  c.heads = {8, 8};
  c.context = 48;
  net.config.hint = {4, 8, 8, 12};
  net.tensors = random_weights({hint_graph(net.config, 16, 16), controlnet_graph(net.config, {1, 2, 2}, false)}, 5);
  return net;
}

TEST_F(Controls, are_read_under_all_names_in_use) {
  const StoredNet net = stored_net();
  FileTensors ldm = net.tensors;
  for (FileTensor& tensor : ldm) tensor.name = ldm_controlnet_name(tensor.name, net.config);
  std::vector<WeightSpec> specs;
  for (const FileTensor& tensor : net.tensors) specs.push_back({tensor.name, tensor.shape});
  for (const fs::path& path : {file_of("own.safetensors", net.tensors), file_of("ldm.safetensors", ldm),
                               file_of("prefixed.safetensors", prefixed(ldm, "control_model."))}) {
    const ControlFile file = open_control(path);
    EXPECT_EQ(std::get<ControlnetConfig>(file.config), net.config) << path;
    const Weights weights = file.weights(specs);
    for (const FileTensor& tensor : net.tensors)
      EXPECT_TRUE(std::ranges::equal(weights.read(tensor.name).floats(), tensor.values)) << path << " " << tensor.name;
    EXPECT_THAT(kind_of(path).what, HasSubstr("a ControlNet"));
    EXPECT_THAT(kind_of(path).use, HasSubstr("--control FILE:HINT"));
  }
  EXPECT_TRUE(std::get<ControlnetConfig>(open_control(file_of("control_shuffle.safetensors", ldm)).config).pooled);
}

TEST_F(Controls, of_t2i_adapters_are_read_under_both_names) {
  for (const std::string name : {"full", "full-xl", "light"}) {
    const T2iConfig config = std::get<T2iConfig>(config_of_net(name));
    const FileTensors own = weights_of_net(name);
    FileTensors theirs = own;
    for (FileTensor& tensor : theirs) tensor.name = t2i_name(tensor.name, config.blocks, config.light);
    std::vector<WeightSpec> specs;
    for (const FileTensor& tensor : own) specs.push_back({tensor.name, tensor.shape});
    for (const FileTensors& tensors : {own, theirs}) {
      const fs::path path = file_of("adapter.safetensors", tensors);
      const ControlFile file = open_control(path);
      EXPECT_EQ(std::get<T2iConfig>(file.config), config) << name;
      const Weights weights = file.weights(specs);
      for (const FileTensor& tensor : own)
        EXPECT_TRUE(std::ranges::equal(weights.read(tensor.name).floats(), tensor.values)) << tensor.name;
      EXPECT_THAT(kind_of(path).what, HasSubstr("a T2I-Adapter"));
    }
  }
}

TEST_F(Controls, of_other_kinds_are_refused_by_name) {
  const FileTensor one{"x", {1}, {1}};
  const auto with = [&](const std::string& name, FileTensors tensors) {
    tensors.push_back({name, {1}, {1}});
    return file_of("other.safetensors", tensors);
  };
  const FileTensors net = stored_net().tensors;
  EXPECT_THAT(refusal(with("lora_controlnet", {one})), HasSubstr("is a Control-LoRA, which is not supported"));
  EXPECT_THAT(kind_of(with("lora_controlnet", {one})).what, HasSubstr("a Control-LoRA"));
  EXPECT_THAT(refusal(with("lllite_unet_input_blocks_1.conditioning1.0.weight", {one})),
              HasSubstr("is a ControlNet-LLLite"));
  EXPECT_THAT(refusal(with("task_embedding", net)), HasSubstr("is a ControlNet Union"));
  EXPECT_THAT(refusal(with("control_add_embedding.linear_1.weight", net)), HasSubstr("is a ControlNet Union"));
  EXPECT_THAT(refusal(with("difference", net)), HasSubstr("is a ControlNet's difference from a U-Net"));
  EXPECT_THAT(refusal(file_of("other.safetensors", {one})), HasSubstr("is no ControlNet and no T2I-Adapter"));
  EXPECT_THAT(refusal(kFixturesOfControls / "models/tiny-sd15/unet"),
              HasSubstr("a UNet2DConditionModel; --control takes a ControlNetModel or a T2IAdapter"));
  EXPECT_THAT(refusal(folder_ / "absent.safetensors"), HasSubstr("no such file or folder"));
}

TEST_F(Controls, of_another_model_are_refused) {
  EXPECT_THAT(refusal(write_net(folder_, "edges"), "tiny-sdxl"), HasSubstr("was made for this family"));
  EXPECT_THAT(refusal(write_net(folder_, "xl-edges")), HasSubstr("was made for this family"));
  EXPECT_THAT(refusal(write_net(folder_, "full")), HasSubstr("it was made for another model"));
  EXPECT_THAT(refusal(write_net(folder_, "xl-lines")), HasSubstr("it was made for another model"));
  Pipeline twice = pipeline("tiny-sd15", {"edges"});
  EXPECT_THROW(add_control(twice, write_net(folder_ / "other", "edges")), UsageError);
}

}  // namespace
}  // namespace inkstone
