#include "diffusion/engine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>

#include "base/error.h"
#include "diffusion/process.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace inkstone {
namespace {

constexpr size_t kTextsKept = 16;
constexpr size_t kHeavyPacking =
    size_t{64} << 20;  // bytes of packed weights: a program with more is dropped rather than put to rest

void check_finite(std::span<const float> values, const auto&... what) {
  for (const float value : values)
    INKSTONE_CHECK(std::isfinite(value), what...,
                   " gave NaN or infinity: no picture is written; try --precision fp32, or another model file");
}

// What a model distilled with guidance is told of it: sin and cos of 1000 (guidance - 1) at falling frequencies
// (diffusers: pipelines/latent_consistency_models, get_guidance_scale_embedding).
Tensor guidance_embedding(float guidance, int width) {
  Tensor out({1, width});
  const int half = width / 2;
  for (int i = 0; i < half; ++i) {
    const float angle =
        1000 * (guidance - 1) * std::exp(-std::log(10000.0f) * static_cast<float>(i) / static_cast<float>(half - 1));
    out.floats()[i] = std::sin(angle);
    out.floats()[half + i] = std::cos(angle);
  }
  return out;
}

Image to_image(const Tensor& pixels) {
  Image image{static_cast<int>(pixels.dim(3)), static_cast<int>(pixels.dim(2)), {}};
  const int64_t area = pixels.dim(2) * pixels.dim(3);
  image.rgb.resize(3 * area);
  for (int64_t i = 0; i < area; ++i)
    for (int c = 0; c < 3; ++c) {
      const float value = std::clamp(pixels.floats()[c * area + i] / 2 + 0.5f, 0.0f, 1.0f);
      image.rgb[3 * i + c] = static_cast<uint8_t>(std::nearbyint(value * 255));
    }
  return image;
}

}  // namespace

struct Engine::Built {
  std::unique_ptr<Program> program;
  std::vector<Tensor> inputs, outputs;
  std::vector<const Tensor*> in;
  std::vector<Tensor*> out;

  Tensor& run() {
    program->run(in, out);
    return outputs[0];
  }
};

Engine::Engine(Model model, EngineOptions options)
    : model_(std::move(model)),
      options_(std::move(options)),
      backend_(open_backend(options_.device)),
      program_bytes_(resident_bytes()),
      memory_free_(backend_->info().memory_free) {}

Engine::~Engine() = default;

DeviceInfo Engine::device() const { return backend_->info(); }

std::unique_ptr<Engine::Built> Engine::build(const Graph& graph, const Weights& weights, bool vae) const {
  auto built = std::make_unique<Built>();
  for (const NamedShape& input : inputs_of(graph)) built->inputs.emplace_back(input.shape, input.type);
  for (int id : graph.outputs()) built->outputs.emplace_back(graph.node(id).shape);
  for (Tensor& tensor : built->inputs) built->in.push_back(&tensor);
  for (Tensor& tensor : built->outputs) built->out.push_back(&tensor);
  const MemoryUse& use = &weights == &model_.clip ? plan_.text_encoder : vae ? plan_.vae : plan_.unet;
  built->program = backend_->compile(graph, weights,
                                     {plan_.precision, plan_.attention_slicing, vae && plan_.vae_tiling,
                                      plan_.weight_streaming ? use.mapped : SIZE_MAX});
  return built;
}

Engine::Built& Engine::text() {
  keep_only("text_encoder");
  if (!text_) text_ = build(clip_graph(model_.clip_config, 1), model_.clip, false);
  return *text_;
}

Engine::Built& Engine::unet(const Key& key) {
  keep_only("unet");
  std::unique_ptr<Built>& built = unets_[key];
  const int scale = model_.vae_scale();
  if (!built)
    built = build(
        unet_graph(model_.unet_config, {key.rows, key.height / scale, key.width / scale, model_.clip_config.tokens}),
        model_.unet, false);
  return *built;
}

Engine::Built& Engine::vae(const Key& key) {
  keep_only("vae");
  std::unique_ptr<Built>& built = vaes_[key];
  const int scale = model_.vae_scale();
  if (!built)
    built = build(vae_decoder_graph(model_.vae_config, 1, key.height / scale, key.width / scale), model_.vae, true);
  return *built;
}

Program& Engine::text_program() { return *text().program; }
Program& Engine::unet_program(int rows, int width, int height) { return *unet({rows, width, height}).program; }
Program& Engine::vae_program(int width, int height) { return *vae({1, width, height}).program; }

void Engine::keep_only(const char* component) {
  const std::string name = component;
  if (!plan_.components_in_turn || name == awake_) return;
  awake_ = name;
  bool dropped = false;
  const auto rest = [&](std::unique_ptr<Built>& built) {
    if (!built) return;
    built->program->rest();
    if (built->program->memory().weights <= kHeavyPacking) return;
    built.reset();
    dropped = true;
  };
  if (name != "text_encoder") rest(text_);
  if (name != "unet")
    for (auto& [key, built] : unets_) rest(built);
  if (name != "vae")
    for (auto& [key, built] : vaes_) rest(built);
  if (dropped) backend_->free_unused_weights();
}

void Engine::settle(int width, int height, bool guided) {
  EnginePlan next = plan(width, height, guided);
  if (next.precision != plan_.precision || next.attention_slicing != plan_.attention_slicing ||
      next.vae_tiling != plan_.vae_tiling || next.components_in_turn != plan_.components_in_turn ||
      next.weight_streaming != plan_.weight_streaming ||
      (next.weight_streaming && std::tie(next.text_encoder.mapped, next.unet.mapped, next.vae.mapped) !=
                                    std::tie(plan_.text_encoder.mapped, plan_.unet.mapped, plan_.vae.mapped))) {
    awake_.clear();
    text_.reset();
    unets_.clear();
    vaes_.clear();
    texts_.clear();
    backend_->free_unused_weights();
  }
  plan_ = std::move(next);
}

void Engine::prepare(const Request& request, const std::function<void(const std::string&)>& on_component) {
  check(request);
  const bool guided = request.guidance > 1 && !model_.unet_config.guidance_channels;
  settle(request.width, request.height, guided);
  const auto heavy = [](const MemoryUse& use) { return use.weights > kHeavyPacking; };
  if (plan_.components_in_turn && (heavy(plan_.text_encoder) || heavy(plan_.unet) || heavy(plan_.vae)))
    return;  // packed when their turn comes
  const auto tell = [&](const char* component) {
    if (on_component) on_component(component);
  };
  const Key key{guided ? 2 : 1, request.width, request.height};
  if (!text_) tell("text_encoder"), text();
  if (!unets_.contains(key)) tell("unet"), unet(key);
  if (!vaes_.contains({1, key.width, key.height})) tell("vae"), vae({1, key.width, key.height});
}

const Tensor& Engine::encode_text(const std::string& prompt, std::string* cut) {
  auto found = texts_.find(prompt);
  if (found == texts_.end()) {
    const Tokens tokens = model_.tokenizer->encode(prompt);
    Built& built = text();
    std::ranges::copy(tokens.ids, built.inputs[0].ints().begin());
    Tensor& out = built.run();
    built.program->rest();
    check_finite(out.floats(), "the text encoder");
    if (texts_.size() >= kTextsKept) texts_.clear();
    found = texts_.emplace(prompt, std::pair(out.clone(), tokens.cut)).first;
  }
  if (cut) *cut = found->second.second;
  return found->second.first;
}

Job Engine::start(const Request& request) {
  prepare(request);
  Job job;
  job.request = request;
  const int distilled = model_.unet_config.guidance_channels;
  if (distilled) job.guidance = guidance_embedding(request.guidance, distilled);
  job.rows = request.guidance > 1 && !distilled ? 2 : 1;
  job.scheduler = make_scheduler(request.scheduler, request.steps);

  const int64_t tokens = model_.clip_config.tokens, width = model_.clip_config.width;
  job.text = Tensor({job.rows, tokens, width});
  std::vector<const std::string*> prompts{&request.prompt};
  if (job.rows == 2) prompts.insert(prompts.begin(), &request.negative_prompt);
  for (size_t row = 0; row < prompts.size(); ++row) {
    std::string cut;
    std::ranges::copy(encode_text(*prompts[row], &cut).floats(),
                      job.text.floats().begin() + static_cast<int64_t>(row) * tokens * width);
    if (!cut.empty())
      job.warnings.push_back(std::string(prompts[row] == &request.prompt ? "the prompt" : "the negative prompt") +
                             " is longer than " + std::to_string(tokens) + " tokens; this part was cut: \"" + cut +
                             "\"");
  }

  const int scale = model_.vae_scale();
  const Shape latent{1, model_.unet_config.in_channels, request.height / scale, request.width / scale};
  job.latent = Tensor(latent);
  job.fresh_noise = Tensor(latent);
  job.output = Tensor(latent);
  job.noise = NoiseGenerator(request.seed);
  job.noise.fill(job.latent.floats());
  for (float& value : job.latent.floats()) value *= job.scheduler->init_noise_sigma();
  job.state = job.scheduler->start(static_cast<size_t>(job.latent.size()));
  return job;
}

void Engine::step(Job& job) {
  Job* const jobs[] = {&job};
  step(jobs);
}

void Engine::step(std::span<Job* const> jobs) {
  INKSTONE_CHECK(!jobs.empty(), "a step without jobs");
  Key key{0, jobs[0]->request.width, jobs[0]->request.height};
  for (const Job* job : jobs) {
    INKSTONE_CHECK(!job->done(), "a step of a job that is done");
    INKSTONE_CHECK(job->request.width == key.width && job->request.height == key.height,
                   "jobs of two sizes in one step");
    key.rows += job->rows;
  }
  Built& built = unet(key);
  const int64_t size = jobs[0]->latent.size();
  int64_t row = 0;
  for (const Job* job : jobs) {
    const float scale = job->scheduler->input_scale(job->call);
    const int64_t text = job->text.size() / job->rows;
    for (int half = 0; half < job->rows; ++half, ++row) {
      std::ranges::transform(job->latent.floats(), built.inputs[0].floats().begin() + row * size,
                             [&](float v) { return v * scale; });
      built.inputs[1].floats()[row] = job->scheduler->timesteps()[job->call];
      std::copy_n(job->text.floats().begin() + half * text, text, built.inputs[2].floats().begin() + row * text);
      if (job->guidance.size())
        std::ranges::copy(job->guidance.floats(), built.inputs[3].floats().begin() + row * job->guidance.size());
    }
  }
  const Tensor& out = built.run();
  row = 0;
  for (Job* job : jobs) {
    guide(*job, out.floats().data() + row * size, job->output.floats());
    check_finite(job->output.floats(), "the U-Net (call ", job->call + 1, " of ", job->calls(), ")");
    if (job->scheduler->needs_noise(job->call)) job->noise.fill(job->fresh_noise.floats());
    job->scheduler->step(job->call, job->output.floats(), job->fresh_noise.floats(), job->latent.floats(), job->state);
    ++job->call;
    row += job->rows;
  }
}

// rows: the unconditional prediction, then the conditional one, or the conditional one alone.
void Engine::guide(const Job& job, const float* rows, std::span<float> to) const {
  if (job.rows == 1) return static_cast<void>(std::copy_n(rows, to.size(), to.begin()));
  const float guidance = job.request.guidance;
  for (size_t i = 0; i < to.size(); ++i) to[i] = rows[i] + guidance * (rows[to.size() + i] - rows[i]);
}

Image Engine::finish(Job& job) {
  INKSTONE_CHECK(job.done(), "a job of ", job.calls(), " steps finished after ", job.call);
  Built& built = vae({1, job.request.width, job.request.height});
  const VaeConfig& config = model_.vae_config;
  std::ranges::transform(job.latent.floats(), built.inputs[0].floats().begin(),
                         [&](float v) { return v / config.scaling_factor + config.shift_factor; });
  const Tensor& pixels = built.run();
  check_finite(pixels.floats(), "the VAE");
  return to_image(pixels);
}

}  // namespace inkstone
