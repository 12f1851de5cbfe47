// ControlNets and T2I-Adapters against diffusers: the networks by themselves, and whole runs (tests/fixtures/control.*, by
// tools/fixtures/control.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "backend/random_model.h"
#include "base/file.h"
#include "base/picture.h"
#include "diffusion/control_files.h"
#include "diffusion/generate.h"
#include "diffusion/golden_runs.h"
#include "diffusion/pipeline_controls.h"
#include "models/controlnet.h"
#include "models/ldm_names.h"
#include "support/differences.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";
const fs::path& made() {
  static const ScratchFolder folder;
  return folder.path();
}

const Weights& golden() {
  static const Weights weights = Weights::open_files({kFixtures / "control.safetensors"});
  return weights;
}

Weights weights_for(const std::string& net, const std::vector<Graph>& graphs) {
  Weights weights = Weights::open(write_net(made() / "networks", net));
  std::vector<WeightSpec> specs;
  for (const Graph& graph : graphs)
    for (const NamedShape& weight : weights_of(graph)) specs.push_back({weight.name, weight.shape});
  weights.bind(specs);
  return weights;
}

// [n, c, h, w], or [n, c, 1, 1] for each pixel -> [n, pixels, c]
Tensor as_tokens(const Tensor& map, int64_t pixels) {
  const int64_t n = map.dim(0), c = map.dim(1), area = map.dim(2) * map.dim(3);
  Tensor tokens({n, pixels, c});
  for (int64_t row = 0; row < n; ++row)
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t channel = 0; channel < c; ++channel)
        tokens.floats()[static_cast<size_t>((row * pixels + p) * c + channel)] =
            map.floats()[static_cast<size_t>((row * c + channel) * area + (area == 1 ? 0 : p))];
  return tokens;
}

Tensor flipped(Tensor hint) {
  const auto area = static_cast<ptrdiff_t>(hint.dim(2) * hint.dim(3));
  std::swap_ranges(hint.floats().begin(), hint.floats().begin() + area, hint.floats().begin() + 2 * area);
  return hint;
}

Tensor twice(const Tensor& one) {
  Shape shape = one.shape();
  shape[0] = 2;
  Tensor both(shape);
  std::ranges::copy(one.floats(), std::ranges::copy(one.floats(), both.floats().begin()).out);
  return both;
}

struct NetworkDevice {
  const char* name;
  Precision precision;
  double bound;
};

class ControlNetworks : public testing::TestWithParam<NetworkDevice> {
 protected:
  std::vector<Tensor> run_all(const Graph& graph, const Weights& weights, std::vector<Tensor> inputs) {
    const auto backend = open_backend(GetParam().name);
    const auto program = backend->compile(graph, weights, {GetParam().precision});
    std::vector<Tensor> outputs;
    std::vector<const Tensor*> in;
    std::vector<Tensor*> out;
    for (const Tensor& input : inputs) in.push_back(&input);
    for (const int id : graph.outputs()) outputs.emplace_back(graph.node(id).shape, graph.node(id).type);
    for (Tensor& output : outputs) out.push_back(&output);
    program->run(in, out);
    return outputs;
  }
};

TEST_P(ControlNetworks, give_the_residuals_of_diffusers) {
  for (const std::string net : {"edges", "depth", "shuffle", "xl-edges", "xl-small"}) {
    const ControlnetConfig config = std::get<ControlnetConfig>(config_of_net(net));
    const auto of = [&](const char* name) { return golden().read(net + "/" + name); };
    const Graph hint = hint_graph(config, 32, 24), step = controlnet_graph(config, {2, 8, 6}, false);
    const Weights weights = weights_for(net, {hint, step});
    std::vector<Tensor> inputs;
    inputs.push_back(config.bgr ? flipped(of("hint")) : of("hint"));
    Tensor read = twice(run_all(hint, weights, std::move(inputs))[0]);
    inputs.clear();
    for (const char* name : {"latent", "timestep", "text"}) inputs.push_back(of(name));
    if (config.net.added) inputs.push_back(of("added"));
    inputs.push_back(std::move(read));
    inputs.emplace_back(Shape{2, residual_count(config.net)});
    std::ranges::fill(inputs.back().floats(), 0.7f);
    const std::vector<Tensor> residuals = run_all(step, weights, std::move(inputs));
    ASSERT_EQ(residuals.size(), static_cast<size_t>(residual_count(config.net)));
    for (size_t i = 0; i < residuals.size(); ++i) {
      const Tensor right = as_tokens(of(residual_name(static_cast<int>(i)).erase(8, 1).c_str()), residuals[i].dim(1));
      EXPECT_LE(relative_rms(residuals[i], right), GetParam().bound) << net << " " << i;
    }
  }
}

TEST_P(ControlNetworks, give_the_features_of_diffusers) {
  for (const std::string net : {"sketch", "color", "xl-lines", "light", "full", "full-xl"}) {
    const T2iConfig config = std::get<T2iConfig>(config_of_net(net));
    const Shape first = golden().read(net + "/feature0").shape();
    const int64_t s = config.scale, w = first[3], h = first[2];
    const Graph graph = t2i_graph(config, h * s, w * s);
    const Weights weights = weights_for(net, {graph});
    const GivenFile file = given_file(read_file(kFixtures / "control_1.png", 1 << 20), "control_1.png");
    const Image picture =
        resize(read_picture(file.bytes, file.source).image, static_cast<int>(w * s), static_cast<int>(h * s));
    std::vector<Tensor> inputs;
    Tensor& hint = inputs.emplace_back(Shape{1, config.hint_channels * s * s, h, w});
    for (int64_t i = 0; i < hint.size(); ++i) {
      const int64_t x = i % w, y = i / w % h, channel = i / (w * h);
      const int64_t pixel = (y * s + channel / s % s) * picture.width + x * s + channel % s;
      hint.floats()[static_cast<size_t>(i)] =
          static_cast<float>(picture.rgb[static_cast<size_t>(3 * pixel + channel / (s * s))]) / 255;
    }
    const std::vector<Tensor> features = run_all(graph, weights, std::move(inputs));
    ASSERT_FALSE(features.empty()) << net;
    for (size_t i = 0; i < features.size(); ++i) {
      const Tensor right = as_tokens(golden().read(net + "/feature" + std::to_string(i)), features[i].dim(1));
      EXPECT_LE(relative_rms(features[i], right), GetParam().bound) << net << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ControlNetworks,
                         testing::Values(NetworkDevice{"reference", Precision::kFp32, 1e-5},
                                         NetworkDevice{"cpu", Precision::kFp32, 1e-5},
                                         NetworkDevice{"cpu", Precision::kBf16, 2e-2}),
                         [](const auto& row) {
                           return std::string(row.param.name) +
                                  (row.param.precision == Precision::kFp32 ? "" : "_bf16");
                         });

TEST(ControlFiles, have_the_names_of_the_training_code) {
  ASSERT_FALSE(control_list().at("files").as_array().empty());
  for (const Json& file : control_list().at("files").as_array()) {
    const ControlConfig config = config_of_net(std::string(file.at("net").as_string()));
    const auto* net = std::get_if<ControlnetConfig>(&config);
    ASSERT_FALSE(file.at("names").as_object().empty());
    for (const auto& [name, stored] : file.at("names").as_object()) {
      std::string made;
      if (net)
        made = "control_model." + ldm_controlnet_name(name, *net);
      else
        made = t2i_name(name, std::get<T2iConfig>(config).blocks, std::get<T2iConfig>(config).light);
      EXPECT_EQ(made, std::string(stored.as_string())) << std::string(name);
    }
  }
}

class ControlRuns : public testing::TestWithParam<const char*> {};

TEST_P(ControlRuns, are_those_of_diffusers) {
  ASSERT_GE(control_list().at("runs").as_array().size(), 17u);
  for (const Json& item : control_list().at("runs").as_array()) {
    const std::string name(item.at("name").as_string());
    // the slow one draws a few
    const std::set<std::string> few{"two", "guess", "pooled", "xl", "t2i-xl"};
    if (GetParam() == std::string("reference") && !few.contains(name)) continue;
    Pipeline pipeline = Pipeline::open(kFixtures / "models" / std::string(item.at("model").as_string()));
    ImageRequest request = golden_request(item);
    request.prompt_syntax = "plain";
    request.control_guess = item.at("guess").as_bool();
    request.control.emplace();
    for (const Json& use : item.at("controls").as_array()) {
      const std::string net(use.at("net").as_string());
      if (std::ranges::find(pipeline.controls, net, &Control::name) == pipeline.controls.end())
        add_control(pipeline, write_net(made() / "runs", net));
      const fs::path picture = kFixtures / ("control_" + std::to_string(use.at("picture").to_number<int>()) + ".png");
      request.control->push_back({net, given_file(read_file(picture, 1 << 20), picture.string()),
                                  use.at("scale").to_number<float>(), use.at("start").to_number<float>(),
                                  use.at("end").to_number<float>()});
    }
    EngineOptions options;
    options.device = GetParam();
    options.precision = Precision::kFp32;
    Engine engine(std::move(pipeline), options);
    Job job = stepped(engine, request);
    EXPECT_LE(largest_difference(job.latent, golden().read(name + "/latents")), 1e-3) << name;
    EXPECT_LE(largest_difference(engine.finish(job), golden().read(name + "/image")), 1) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ControlRuns, testing::Values("reference", "cpu"),
                         [](const auto& row) { return std::string(row.param); });

}  // namespace
}  // namespace inkstone
