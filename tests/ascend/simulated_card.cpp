#include "ascend/simulated_card.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/error.h"
#include "diffusion/generate.h"

namespace inkstone {
namespace {

const std::filesystem::path kDemo = std::filesystem::path(INKSTONE_SOURCE_DIR) / "demo" / "model";

template <typename Function>
Function* function(const char* name) {
  static void* const library = [] {
    const char* path = std::getenv("INKSTONE_ASCENDCL");
    INKSTONE_CHECK(path, "INKSTONE_ASCENDCL is not set: run these tests by ctest");
    void* opened = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    INKSTONE_CHECK(opened, "the simulator cannot be opened: ", dlerror());
    return opened;
  }();
  auto* found = reinterpret_cast<Function*>(dlsym(library, name));
  INKSTONE_CHECK(found, "this is not the simulator: it has no ", name);
  return found;
}

}  // namespace

SimulatedCard::SimulatedCard(const std::string& settings) {
  function<void()>("ascend_sim_reset")();
  set(settings);
}

SimulatedCard::~SimulatedCard() { function<void()>("ascend_sim_reset")(); }

void SimulatedCard::set(const std::string& settings) {
  if (!settings.empty()) function<void(const char*)>("ascend_sim_set")(settings.c_str());
}

JsonObject SimulatedCard::report() const {
  return parse_json(function<const char*()>("ascend_sim_report")(), "the simulator's report").as_object();
}

int64_t SimulatedCard::copies(const std::string& kind) const {
  const JsonObject all = report();
  const auto* found = all.at("copies").as_object().if_contains(kind);
  return found ? found->at("count").as_int64() : 0;
}

int64_t SimulatedCard::device_allocations() const { return report().at("device_memory").at("allocations").as_int64(); }

std::string SimulatedCard::left_behind() const {
  const JsonObject all = report();
  std::string text;
  for (const auto& [what, count] : all.at("alive").as_object())
    if (count.as_int64()) text += std::to_string(count.as_int64()) + " " + std::string(what) + "; ";
  for (const auto& [what, count] : all.at("violations").as_object()) text += std::string(what) + "; ";
  return text;
}

std::string compiled_demo(const std::string& name) {
  const char* folder = std::getenv("INKSTONE_ASCEND_DEMO");
  INKSTONE_CHECK(folder, "INKSTONE_ASCEND_DEMO is not set: run these tests by ctest");
  return std::string(folder) + "/" + name;
}

std::unique_ptr<Engine> npu_engine(const std::string& compiled, size_t memory_budget) {
  EngineOptions options;
  options.device = "npu:0";
  options.compiled = compiled;
  options.memory_budget = memory_budget;
  return std::make_unique<Engine>(Pipeline::open(kDemo), options);
}

std::unique_ptr<Engine> host_engine(const std::string& device) {
  EngineOptions options;
  options.device = device;
  options.precision = Precision::kFp32;
  return std::make_unique<Engine>(Pipeline::open(kDemo), options);
}

std::unique_ptr<Engine> engine_of(Pipeline model, const std::string& device, const std::string& compiled) {
  EngineOptions options;
  options.device = device;
  options.compiled = compiled;
  if (compiled.empty()) options.precision = Precision::kFp32;
  return std::make_unique<Engine>(std::move(model), options);
}

ImageRequest demo_request(const Engine& engine, const std::string& prompt, uint64_t seed, SchedulerKind kind,
                          int steps) {
  ImageRequest request;
  request.prompt = prompt;
  request.seed = seed;
  request.steps = steps;
  request.guidance_scale = engine.pipeline().traits.guidance_scale;
  request.width = request.height = 64;
  request.scheduler = name_of(kind);
  return request;
}

Image draw(Engine& engine, const ImageRequest& request) { return generate(engine, engine.resolve(request)).image; }

}  // namespace inkstone
