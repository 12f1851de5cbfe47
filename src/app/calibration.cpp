#include "app/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstring>
#include <map>

#include "app/prompts.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "diffusion/component_graphs.h"
#include "diffusion/engine.h"
#include "models/vae.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 8, kStepsKept = 4;  // of a prompt: the noise levels differ more than the prompts

// Writes a sample of one graph: each port's values as many times as its rows ask for.
class Samples {
 public:
  Samples(const GraphRecord& graph, fs::path folder) : graph_(graph), folder_(std::move(folder)) {
    for (const Port& port : graph_.inputs) fs::create_directories(folder_ / graph_.name / port.name);
  }

  void add(const std::map<std::string, const Tensor*>& values, const std::string& prompt, int call) {
    const std::string name = fmt::format("{:03}.bin", samples_.size());
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      const std::string& port = graph_.inputs[i].name;
      const Tensor& value = *values.at(port);
      const size_t wanted = bytes(graph_.gears[0].inputs[i], graph_.inputs[i].type);
      INKSTONE_CHECK(value.bytes() > 0 && wanted % value.bytes() == 0, graph_.name, ": the port ", port, " takes ",
                     wanted, " bytes, a sample has ", value.bytes());
      FileWriter file(folder_ / graph_.name / port / name);
      for (size_t done = 0; done < wanted; done += value.bytes()) file.write({value.data(), value.bytes()});
      file.finish();
    }
    samples_.push_back(JsonObject{{"file", name}, {"prompt", prompt}, {"call", call}});
  }

  JsonObject index() const {
    JsonArray ports;
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      const Shape& shape = graph_.gears[0].inputs[i];
      ports.push_back(JsonObject{{"name", graph_.inputs[i].name},
                                 {"type", name_of(graph_.inputs[i].type)},
                                 {"shape", JsonArray(shape.begin(), shape.end())}});
    }
    return {{"graph", graph_.name}, {"inputs", std::move(ports)}, {"samples", samples_}};
  }

 private:
  const GraphRecord& graph_;
  fs::path folder_;
  JsonArray samples_;
};

const GraphRecord& record_of(const Manifest& manifest, const std::string& part, const GraphRecord* like = nullptr) {
  const GraphRecord* best = nullptr;
  for (const GraphRecord& graph : manifest.graphs) {
    if (graph.part != part || graph.vae_tile) continue;
    if (like && (graph.width != like->width || graph.height != like->height)) continue;
    const bool better = !best || (graph.width == best->width && graph.height == best->height &&
                                  std::pair(-graph.cfg_copies, graph.gears[0].batch) <
                                      std::pair(-best->cfg_copies, best->gears[0].batch));
    if (better) best = &graph;
  }
  INKSTONE_CHECK(best, "the export has no ", part, " to calibrate");
  return *best;
}

// What the engine gives to a step's program for this job alone, by port.
class StepInputs {
 public:
  StepInputs(Engine& engine, const Job& job) : latent_(job.latent.clone()) {
    for (float& value : latent_.floats()) value *= job.request.scheduler->input_scale(job.call);
    by_port_["latent"] = &latent_;
    for (const PipelineStage& stage : engine.programs().before_steps())
      for (size_t i = 0; i < stage.values.size(); ++i)
        for (const NamedTensor& value : job.conditioning)
          if (value.name == stage.values[i]) by_port_[port_name(stage.depends, i)] = &value.tensor;
    BoundProgram& time = engine.programs().before_steps("unet_time");
    time.host_input("timestep").floats()[0] = job.request.scheduler->timesteps()[static_cast<size_t>(job.call)];
    times_ = time.run_for_new_outputs();
    for (size_t i = 0; i < times_.size(); ++i) by_port_["time_" + std::to_string(i)] = &times_[i];
  }
  const std::map<std::string, const Tensor*>& by_port() const { return by_port_; }

 private:
  Tensor latent_;
  std::vector<Tensor> times_;
  std::map<std::string, const Tensor*> by_port_;
};

ResolvedRequest request_for(const Engine& engine, const GraphRecord& step, const std::string& prompt, uint64_t seed) {
  constexpr float kGuided = 1.5f;  // at least
  ImageRequest request;
  request.prompt = prompt;
  request.seed = seed;
  request.steps = kSteps;
  if (step.cfg_copies == 2) request.guidance_scale = std::max(kGuided, engine.pipeline().traits.guidance_scale);
  request.width = step.width;
  request.height = step.height;
  return engine.resolve(request);
}

}  // namespace

std::vector<std::string> calibration_prompts(const fs::path& file) {
  return prompt_lines(read_file(file, size_t{1} << 20), "--calibration " + file.string());
}

void write_calibration(Pipeline model, const std::vector<std::string>& prompts, const Manifest& manifest,
                       const fs::path& folder, const std::function<void(const std::string&)>& tell) {
  const GraphRecord& step = record_of(manifest, "step");
  const GraphRecord& vae = record_of(manifest, "vae_decoder", &step);
  const fs::path to = folder / "calibration";
  Samples steps(step, to), decodings(vae, to);
  EngineOptions options;
  options.precision = Precision::kFp32;
  Engine engine(std::move(model), options);
  INKSTONE_CHECK_USAGE(engine.pipeline().unet_config.guidance_channels == 0,
                       "--calibration: a model distilled with guidance is not calibrated");
  for (size_t i = 0; i < prompts.size(); ++i) {
    tell(fmt::format("calibration: prompt {} of {}", i + 1, prompts.size()));
    Job job = engine.start(request_for(engine, step, prompts[i], i));
    for (int kept = 0; !job.done(); engine.step(job)) {
      if (job.call * kStepsKept < kept * job.calls()) continue;
      ++kept;
      steps.add(StepInputs(engine, job).by_port(), prompts[i], job.call);
    }
    decoder_input(engine.pipeline().vae_config, job.latent.floats(), job.latent.floats());
    decodings.add({{"latent", &job.latent}}, prompts[i], job.calls());
  }
  const std::string text = json_text(JsonArray{steps.index(), decodings.index()}) + "\n";
  write_file(to / "index.json", std::as_bytes(std::span(text)));
}

}  // namespace inkstone
