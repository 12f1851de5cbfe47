// Prompts composed with AND: against numpy over diffusers' U-Net (tests/fixtures/composed.*, by tools/fixtures/composed.py),
// and in a batch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "base/json.h"
#include "diffusion/engine.h"
#include "diffusion/golden_runs.h"
#include "support/differences.h"
#include "weights/weights.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

const fs::path kFixtures = fs::path(INKSTONE_SOURCE_DIR) / "tests" / "fixtures";

Engine engine_of(const std::string& model, const std::string& device = "cpu") {
  EngineOptions options;
  options.device = device;
  options.precision = Precision::kFp32;
  return Engine(Pipeline::open(kFixtures / "models" / model), options);
}

ImageRequest request_of(const std::string& prompt, float guidance = 5) {
  ImageRequest request;
  request.prompt = prompt;
  request.seed = 42;
  request.steps = 4;
  request.guidance_scale = guidance;
  request.width = request.height = 32;
  request.scheduler = "ddim";
  return request;
}

std::vector<float> drawn(Engine& engine, const ImageRequest& request) {
  const Job job = stepped(engine, request);
  return {job.latent.floats().begin(), job.latent.floats().end()};
}

class Composed : public testing::TestWithParam<const char*> {};

TEST_P(Composed, is_the_web_uis_arithmetic_over_diffusers) {
  const Weights golden = Weights::open_files({kFixtures / "composed.safetensors"});
  const Json list = read_json(kFixtures / "composed.json");
  ASSERT_GE(list.at("runs").as_array().size(), 5u);
  for (const Json& item : list.at("runs").as_array()) {
    const std::string name(item.at("name").as_string());
    Engine engine = engine_of(std::string(item.at("model").as_string()), GetParam());
    const ImageRequest request = golden_request(item);
    EXPECT_EQ(engine.resolve(request).part_weights.size(), item.at("weights").as_array().size()) << name;
    EXPECT_LE(largest_difference(stepped(engine, request).latent, golden.read(name + "/latents")), 1e-3) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, Composed, testing::Values("reference", "cpu"));

TEST(ComposedPrompts, one_prompt_twice_by_halves_is_that_prompt) {
  Engine engine = engine_of("tiny-sd15");
  const std::vector<float> once = drawn(engine, request_of("a red fox")),
                           halves = drawn(engine, request_of("a red fox:0.5 AND a red fox:0.5"));
  for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(halves[i], once[i], 1e-3);
  EXPECT_NE(drawn(engine, request_of("a red fox AND a red fox")), once);
}

// Each job has the bytes that it has alone, whoever steps with it, in the order in which they join.
TEST(ComposedPrompts, do_not_depend_on_the_batch) {
  Engine engine = engine_of("tiny-sd15");
  const std::vector<ImageRequest> requests{
      request_of("a fox"),           request_of("a fox AND bee:0.5"),  request_of("a fox", 1),
      request_of("a AND b AND c:2"), request_of("a [b:c:2] AND d", 3), request_of("a AND b AND c AND d AND e")};
  std::vector<std::vector<float>> alone;
  for (const ImageRequest& request : requests) alone.push_back(drawn(engine, request));
  std::vector<Job> jobs;
  for (const ImageRequest& request : requests) jobs.push_back(engine.start(engine.resolve(request)));
  engine.step(jobs[0]);
  engine.step(jobs[3]);
  for (bool left = true; left;) {
    std::vector<Job*> step;
    for (Job& job : jobs)
      if (!job.done()) step.push_back(&job);
    left = !step.empty();
    if (!left) break;
    EXPECT_TRUE(engine.step(step).empty());
    for (Job* job : step) engine.offload(*job);  // as a server does while they wait
  }
  for (size_t i = 0; i < jobs.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(jobs[i].latent.floats(), alone[i])) << *requests[i].prompt;
}

}  // namespace
}  // namespace inkstone
