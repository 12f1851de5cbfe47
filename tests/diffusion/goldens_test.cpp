// The tiny models against diffusers and transformers: each component, the latents of whole runs, and images.
// Goldens by tools/make_fixtures.py.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "backend/random_model.h"
#include "base/json.h"
#include "diffusion/generate.h"
#include "diffusion/golden_runs.h"
#include "diffusion/refine.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"
#include "support/differences.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

const fs::path kModels = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures" / "models";

struct Device {
  const char* name;
  Precision precision;
  double unit_bound;  // relative rms, of a component
};
const Device kDevices[] = {
    {"reference", Precision::kFp32, 1e-5}, {"cpu", Precision::kFp32, 1e-5}, {"cpu", Precision::kBf16, 2e-2}};

Weights bound(const fs::path& folder, const std::vector<Graph>& graphs) {
  Weights weights = Weights::open(folder);
  std::vector<WeightSpec> specs;
  for (const Graph& graph : graphs)
    for (const NamedShape& weight : weights_of(graph)) specs.push_back({weight.name, weight.shape});
  weights.bind(specs);
  return weights;
}

bool has(const Weights& golden, const std::string& name) {
  const std::vector<std::string> names = golden.names();
  return std::ranges::find(names, name) != names.end();
}

class Goldens : public testing::TestWithParam<Device> {
 protected:
  // Runs on the device and compares with the golden of that name.
  void expect_golden(const Graph& graph, const Weights& weights, const std::vector<Tensor>& inputs, const Tensor& right,
                     const std::string& what) {
    const auto backend = open_backend(GetParam().name);
    const Tensor found = run_once(*backend, graph, weights, inputs, {GetParam().precision});
    EXPECT_LE(relative_rms(found, right), GetParam().unit_bound) << what;
  }
};

TEST_P(Goldens, text_encoders_give_transformers_values) {
  int seen = 0;
  for (const auto& model : fs::directory_iterator(kModels)) {
    const Weights golden = Weights::open_files({model.path() / "golden.safetensors"});
    if (!has(golden, "text/ids")) continue;
    ++seen;
    const fs::path folder = model.path() / "text_encoder";
    ClipConfig config = clip_config(read_json(folder / "config.json"), folder.string());
    const Tensor ids = golden.read("text/ids");
    Tensor input(ids.shape(), DType::kI32);
    std::ranges::transform(ids.floats(), input.ints().begin(), [](float id) { return static_cast<int32_t>(id); });
    std::vector<Tensor> inputs;
    inputs.push_back(std::move(input));
    config.projection = 0;  // these are models without
    const Graph graph = clip_graph(config, ids.dim(0));
    expect_golden(graph, bound(folder, {graph}), inputs, golden.read("text/out"), model.path().filename());
  }
  EXPECT_GE(seen, 2);
}

TEST_P(Goldens, unets_give_diffusers_values) {
  int seen = 0;
  for (const auto& model : fs::directory_iterator(kModels)) {
    const Weights golden = Weights::open_files({model.path() / "golden.safetensors"});
    const fs::path folder = model.path() / "unet";
    for (int i = 0; has(golden, "unet" + std::to_string(i) + "/out"); ++i, ++seen) {
      const std::string at = "unet" + std::to_string(i) + "/";
      const UnetConfig config = unet_config(read_json(folder / "config.json"), folder.string());
      std::vector<Tensor> inputs;
      for (const char* name : {"latent", "timestep", "text", "added", "guidance"})
        if (has(golden, at + name)) inputs.push_back(golden.read(at + name));
      const Graph graph = unet_graph(config, {inputs[0].dim(0), inputs[0].dim(2), inputs[0].dim(3), inputs[2].dim(1)});
      expect_golden(graph, bound(folder, {graph}), inputs, golden.read(at + "out"),
                    model.path().filename().string() + " " + at);
    }
  }
  EXPECT_GE(seen, 4);
}

TEST_P(Goldens, vaes_give_diffusers_values) {
  int seen = 0;
  for (const auto& model : fs::directory_iterator(kModels)) {
    const Weights golden = Weights::open_files({model.path() / "golden.safetensors"});
    for (const char* name : {"vae", "vae_old"}) {
      const fs::path folder = model.path() / name;
      if (!fs::exists(folder)) continue;
      const VaeConfig config = vae_config(read_json(folder / "config.json"), folder.string());
      const Graph decoder = vae_decoder_graph(config, 1, 8, 8), encoder = vae_encoder_graph(config, 1, 64, 64);
      const Weights weights = bound(folder, {decoder, encoder});
      for (int i = 0; has(golden, "vae_decode" + std::to_string(i) + "/out"); ++i, ++seen) {
        const std::string at = "vae_decode" + std::to_string(i) + "/";
        std::vector<Tensor> inputs;
        inputs.push_back(golden.read(at + "latent"));
        const Graph graph = vae_decoder_graph(config, inputs[0].dim(0), inputs[0].dim(2), inputs[0].dim(3));
        expect_golden(graph, weights, inputs, golden.read(at + "out"), std::string(name) + " " + at);
      }
      for (int i = 0; has(golden, "vae_encode" + std::to_string(i) + "/moments"); ++i, ++seen) {
        const std::string at = "vae_encode" + std::to_string(i) + "/";
        std::vector<Tensor> inputs;
        inputs.push_back(golden.read(at + "image"));
        const Graph graph = vae_encoder_graph(config, inputs[0].dim(0), inputs[0].dim(2), inputs[0].dim(3));
        expect_golden(graph, weights, inputs, golden.read(at + "moments"), std::string(name) + " " + at);
      }
    }
  }
  EXPECT_GE(seen, 4);
}

INSTANTIATE_TEST_SUITE_P(Devices, Goldens, testing::ValuesIn(kDevices), [](const auto& row) {
  return std::string(row.param.name) + (row.param.precision == Precision::kBf16 ? "_bf16" : "_fp32");
});

// A model of the fixtures with what golden.json says that it has of others.
class Assembled {
 public:
  Assembled(const fs::path& model, const Json& golden) : folder_(model) {
    const Json* parts = golden.as_object().if_contains("parts");
    if (!parts) return;
    folder_ = made_.emplace().path();
    for (const fs::directory_entry& own : fs::directory_iterator(model))
      fs::create_symlink(own.path(), folder_ / own.path().filename());
    for (const auto& [component, place] : parts->as_object())
      fs::create_symlink(kModels / std::string(place.as_string()), folder_ / std::string(component));
  }
  const fs::path& folder() const { return folder_; }

 private:
  fs::path folder_;
  std::optional<ScratchFolder> made_;
};

// Whole runs, as golden.json lists them.
class WholePipeline : public testing::TestWithParam<std::tuple<const char*, const char*>> {};

TEST_P(WholePipeline, latents_and_images_are_diffusers_ones) {
  const auto [model, device] = GetParam();
  const fs::path folder = kModels / model;
  const Weights golden = Weights::open_files({folder / "golden.safetensors"});
  const Json list = read_json(folder / "golden.json");
  EngineOptions options;
  options.device = device;
  options.precision = Precision::kFp32;
  const Assembled assembled(folder, list);
  Engine engine(Pipeline::open(assembled.folder()), options);
  int seen = 0;
  for (const Json& item : list.at("runs").as_array()) {
    const std::string name(item.at("name").as_string());
    ImageRequest request = golden_request(item);
    request.prompt_syntax = "plain";
    if (const Json* more = item.as_object().if_contains("arguments"))
      request.guidance_rescale = more->at("guidance_rescale").to_number<float>();
    if (item.as_object().contains("scheduler_overrides")) request.karras = true;  // the only one in the list
    Job job = stepped(engine, request);
    EXPECT_LE(largest_difference(job.latent, golden.read(name + "/latents")), 1e-3) << name;
    EXPECT_LE(largest_difference(engine.finish(job), golden.read(name + "/image")), 1) << name;
    ++seen;
  }
  EXPECT_GE(seen, 4);
}

// The base of tiny-sdxl begins, and the refiner goes on with its latents.
TEST(Refiner, latents_and_images_are_those_of_diffusers_two_pipelines) {
  const fs::path folder = kModels / "tiny-refiner";
  const Weights golden = Weights::open_files({folder / "golden.safetensors"});
  const Json list = read_json(folder / "golden.json");
  const Assembled assembled(folder, list);
  EngineOptions options;
  options.precision = Precision::kFp32;
  Engine base(Pipeline::open(kModels / "tiny-sdxl"), options);
  Engine refiner(Pipeline::open_refiner(assembled.folder()), options);
  ASSERT_FALSE(list.at("runs").as_array().empty());
  for (const Json& item : list.at("runs").as_array()) {
    const std::string name(item.at("name").as_string());
    ImageRequest request = golden_request(item);
    request.prompt_syntax = "plain";
    const ResolvedRequest resolved = base.resolve(request);
    const Refinement refinement = refine(base, resolved, refiner, request, item.at("start").to_number<float>());
    const Job first = stepped(base, base.start(refinement.base));
    Job job = stepped(refiner, refiner.start(refinement.request, &first));
    EXPECT_LE(largest_difference(job.latent, golden.read(name + "/latents")), 1e-3) << name;
    const Image image = refiner.finish(job);
    EXPECT_LE(largest_difference(image, golden.read(name + "/image")), 1) << name;
    // The same where one leaves memory before the other runs.
    Refinement in_turn = refinement;
    in_turn.in_turn = true;
    EXPECT_EQ(generate(base, resolved, {}, &in_turn).image.rgb, image.rgb) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, WholePipeline,
                         testing::Combine(testing::Values("tiny-sd15", "tiny-sdxl", "tiny-sizes", "tiny-sdxl-v",
                                                          "tiny-sdxl-turbo", "tiny-sd2-v", "tiny-lcm-pipeline"),
                                          testing::Values("reference", "cpu")),
                         [](const auto& row) {
                           const std::string model = std::get<0>(row.param);
                           std::string name = model.substr(model.find('-') + 1) + "_" + std::get<1>(row.param);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace inkstone
