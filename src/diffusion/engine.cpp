#include "diffusion/engine.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "diffusion/built.h"
#include "diffusion/process.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace inkstone {
namespace {

constexpr size_t kHeavyPacking =
    size_t{64} << 20;  // bytes of packed weights: a program with more is dropped rather than put to rest

void check_finite(std::span<const float> values, const char* what) {
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
    throw Error(not_finite(what), INKSTONE_HERE, Error::Kind::kNotFinite);
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

Engine::Engine(Model model, EngineOptions options)
    : model_(std::move(model)),
      options_(std::move(options)),
      backend_(open_backend(options_.device, {options_.compiled})),
      program_bytes_(backend_->info().own_memory ? 0 : resident_bytes()),
      memory_free_(backend_->info().memory_free) {}

Engine::~Engine() = default;

DeviceInfo Engine::device() const { return backend_->info(); }

CompileOptions Engine::compile_options(const MemoryUse& planned) const {
  return {plan_.precision, plan_.attention_slicing, &planned == &plan_.vae && plan_.vae_tiling,
          plan_.weight_streaming ? planned.mapped : SIZE_MAX};
}

std::unique_ptr<Engine::Built> Engine::build(const Graph& graph, const Weights& weights,
                                             const MemoryUse& planned) const {
  auto built = std::make_unique<Built>(*backend_);
  built->shapes = inputs_of(graph);
  built->inputs.resize(built->shapes.size());
  built->in.resize(built->shapes.size());
  for (const int id : graph.outputs()) built->results.push_back({"", graph.node(id).shape, graph.node(id).type});
  built->program = backend_->compile(graph, weights, compile_options(planned));
  return built;
}

UnetParts Engine::unet_parts(const Key& key, Precision precision) const {
  const int scale = model_.vae_scale();
  const LatentSize size{key.jobs, key.height / scale, key.width / scale, model_.clip_config.tokens, key.copies,
                        key.part};
  return inkstone::unet_parts(model_.unet_config, size, precision == Precision::kBf16 ? DType::kBF16 : DType::kF32);
}

UnetParts Engine::unet_parts() const {
  return unet_parts({1, 1, model_.size_multiple(), model_.size_multiple()}, plan_.precision);
}

Engine::Built& Engine::text() {
  keep_only("text_encoder");
  if (!text_) text_ = build(clip_graph(model_.clip_config, 1), model_.clip, plan_.text_encoder);
  return *text_;
}

Engine::Built& Engine::prompt() {
  keep_only("unet");
  if (!prompt_) prompt_ = build(unet_parts().prompt, model_.unet, plan_.prompt);
  return *prompt_;
}

Engine::Built& Engine::time() {
  keep_only("unet");
  if (!time_) time_ = build(unet_parts().time, model_.unet, plan_.time);
  return *time_;
}

Engine::Built* Engine::find_unet(const Key& key) {
  keep_only("unet");
  if (const auto found = unets_.find(key); found != unets_.end() && found->second) return used(*found->second);
  if (absent_.contains(key)) return nullptr;
  UnetParts parts = unet_parts(key, plan_.precision);
  const MemoryUse& planned = key.part == UnetPart::kShallow ? plan_.shallow : plan_.unet;
  if (!backend_->has(parts.step, compile_options(planned))) return absent(key), nullptr;
  auto built = build(parts.step, model_.unet, planned);
  built->give_outputs();
  built->jobs = key.jobs;
  built->keys = std::move(parts.keys);
  built->times = std::move(parts.times);
  make_room(unets_, kUnetsKept);
  return used(*(unets_[key] = std::move(built)));
}

Engine::Built* Engine::used(Built& built) {
  built.used = ++clock_;
  return &built;
}

// Clients choose the sizes: what was used longest ago goes.
void Engine::make_room(std::map<Key, std::unique_ptr<Built>>& programs, size_t most) {
  while (programs.size() >= most)
    programs.erase(std::ranges::min_element(programs, {},
                                            [](const auto& entry) { return entry.second ? entry.second->used : 0; }));
}

void Engine::absent(const Key& key) {
  if (absent_.size() >= kAbsentKept) absent_.clear();  // they will be found again
  absent_.insert(key);
}

Engine::Built& Engine::unet(const Key& key) {
  if (Built* built = find_unet(key)) return *built;
  // Its backend says what there is instead.
  backend_->compile(unet_parts(key, plan_.precision).step, model_.unet, compile_options(plan_.unet));
  fail(INKSTONE_HERE, {"a step of ", key.jobs, " jobs has no program"});
}

Engine::Built& Engine::vae(const Key& key) {
  keep_only("vae");
  if (const auto found = vaes_.find(key); found != vaes_.end() && found->second) return *used(*found->second);
  const int scale = model_.vae_scale();
  const Graph graph = vae_decoder_graph(model_.vae_config, 1, key.height / scale, key.width / scale);
  auto made = build(graph, model_.vae, plan_.vae);
  made->give_outputs();
  make_room(vaes_, kVaesKept);
  return *used(*(vaes_[key] = std::move(made)));
}

Program& Engine::text_program() { return *text().program; }
Program& Engine::prompt_program() { return *prompt().program; }
Program& Engine::time_program() { return *time().program; }
Program& Engine::unet_program(int rows, int width, int height, UnetPart part) {
  const int copies = distilled() || rows % 2 ? 1 : 2;
  return *unet({rows / copies, copies, width, height, part}).program;
}
Program& Engine::vae_program(int width, int height) { return *vae({1, 1, width, height}).program; }

void Engine::keep_only(const char* component) {
  const std::string name = component;
  if (!plan_.components_in_turn || name == awake_) return;
  awake_ = name;
  const auto rest = [&](std::unique_ptr<Built>& built) {
    if (!built) return;
    built->program->release_pages();
    if (built->program->memory().weights > kHeavyPacking) built.reset();
  };
  if (name != "text_encoder") rest(text_);
  if (name != "unet") {
    rest(prompt_);
    rest(time_);
    for (auto& [key, built] : unets_) rest(built);
  }
  if (name != "vae")
    for (auto& [key, built] : vaes_) rest(built);
  backend_->trim();
}

void Engine::settle(const Request& request) {
  if (!capacity_) adopt(plan(request));
}

void Engine::adopt(EnginePlan next) {
  const auto mapped = [](const EnginePlan& p) {
    return std::array{p.text_encoder.mapped, p.prompt.mapped, p.time.mapped,
                      p.unet.mapped,         p.vae.mapped,    p.shallow.mapped};
  };
  if (next.precision != plan_.precision || next.attention_slicing != plan_.attention_slicing ||
      next.vae_tiling != plan_.vae_tiling || next.components_in_turn != plan_.components_in_turn ||
      next.weight_streaming != plan_.weight_streaming || (next.weight_streaming && mapped(next) != mapped(plan_))) {
    awake_.clear();
    text_.reset();
    prompt_.reset();
    time_.reset();
    unets_.clear();
    absent_.clear();
    vaes_.clear();
    texts_.clear();
    keys_.clear();
    times_.clear();
    backend_->trim();
  }
  plan_ = std::move(next);
}

void Engine::prepare(const Request& request, const std::function<void(const std::string&)>& on_component) {
  check(request);
  settle(request);
  const auto heavy = [](const MemoryUse& use) { return use.weights > kHeavyPacking; };
  if (plan_.components_in_turn &&
      (heavy(plan_.text_encoder) || heavy(plan_.prompt) || heavy(plan_.time) || heavy(plan_.unet) || heavy(plan_.vae)))
    return;  // packed when their turn comes
  const auto tell = [&](const char* component) {
    if (on_component) on_component(component);
  };
  const Key picture{1, 1, request.width, request.height};
  const int calls = static_cast<int>(make_scheduler(request.scheduler, request.steps)->timesteps().size());
  std::set<Key> keys;
  for (const UnetCall& call : course_of(request, guided(request), calls))
    keys.insert({1, call.copies, request.width, request.height, call.part});
  std::erase_if(keys, [&](const Key& key) { return unets_.contains(key); });
  if (!text_) tell("text_encoder"), text();
  if (!keys.empty()) tell("unet");
  for (const Key& key : keys) unet_for(key);
  prompt();
  time();
  if (!vaes_.contains(picture)) tell("vae"), vae(picture);
}

// What it reads of the model's files does not stay, and meanwhile nobody needs the VAE's pages or the work memory.
std::vector<Tensor> Engine::run_seldom(Built& built) {
  if (!plan_.components_in_turn) {
    for (auto& [key, vae] : vaes_) vae->program->release_pages();
    backend_->trim();
  }
  std::vector<Tensor> made;
  std::vector<Tensor*> out;
  for (const NamedShape& result : built.results) made.push_back(backend_->tensor(result.shape, result.type));
  for (Tensor& tensor : made) out.push_back(&tensor);
  built.program->run(built.in, out);
  built.program->release_pages();
  return made;
}

const Engine::Text& Engine::text_of(const std::string& prompt) {
  if (const Text* kept = texts_.find(prompt)) return *kept;
  const Tokens tokens = model_.tokenizer->encode(prompt);
  Built& built = text();
  std::ranges::copy(tokens.ids, built.input(0).ints().begin());
  std::vector<Tensor> made = run_seldom(built);
  if (!made[0].on_device()) check_finite(made[0].floats(), "the text encoder");  // else the U-Net's output tells
  return texts_.put(prompt, {std::move(made[0]), tokens.cut});
}

const Tensor& Engine::encode_text(const std::string& prompt, std::string* cut) {
  const Text& text = text_of(prompt);
  if (cut) *cut = text.cut;
  return text.embedding;
}

const std::vector<Tensor>& Engine::keys_of(const std::string& prompt_text) {
  if (const std::vector<Tensor>* kept = keys_.find(prompt_text)) return *kept;
  const Tensor& embedding = text_of(prompt_text).embedding;
  Built& built = prompt();
  built.in[0] = &embedding;
  return keys_.put(prompt_text, run_seldom(built));
}

const std::vector<Tensor>& Engine::times_of(float timestep, const Request& request) {
  const std::pair key{timestep, distilled() ? request.guidance : 0};
  if (const std::vector<Tensor>* kept = times_.find(key)) return *kept;
  Built& built = time();
  built.input(0).floats()[0] = timestep;
  if (distilled()) built.input(1) = guidance_embedding(request.guidance, model_.unet_config.guidance_channels);
  return times_.put(key, run_seldom(built));
}

Job Engine::start(const Request& request) {
  prepare(request);
  Job job;
  job.request = request;
  job.rows = guided(request) ? 2 : 1;
  job.scheduler = make_scheduler(request.scheduler, request.steps);
  job.course = course_of(request, guided(request), static_cast<int>(job.scheduler->timesteps().size()));

  std::vector<const std::string*> prompts{&request.prompt};
  if (job.rows == 2) prompts.insert(prompts.begin(), &request.negative_prompt);
  for (const std::string* prompt : prompts)  // all of them before the U-Net's turn
    if (const std::string& cut = text_of(*prompt).cut; !cut.empty())
      job.warnings.push_back(std::string(prompt == &request.prompt ? "the prompt" : "the negative prompt") +
                             " is longer than " + std::to_string(model_.clip_config.tokens) +
                             " tokens; this part was cut: \"" + cut + "\"");
  give_keys(job);
  const std::vector<float>& timesteps = job.scheduler->timesteps();
  for (size_t call = 0; call < std::min(kTimesKept, timesteps.size()); ++call) times_of(timesteps[call], request);

  const int scale = model_.vae_scale();
  const Shape latent{1, model_.unet_config.in_channels, request.height / scale, request.width / scale};
  job.latent = Tensor(latent);
  job.fresh_noise = Tensor(latent);
  job.output = Tensor(latent);
  job.estimate = Tensor(latent);
  job.noise = NoiseGenerator(request.seed);
  job.noise.fill(job.latent.floats());
  for (float& value : job.latent.floats()) value *= job.scheduler->init_noise_sigma();
  job.state = job.scheduler->start(static_cast<size_t>(job.latent.size()));
  return job;
}

Image Engine::finish(Job& job) {
  INKSTONE_CHECK(job.done(), "a job of ", job.calls(), " steps finished after ", job.call);
  return decode(job);
}

Image Engine::decode(const Job& job) {
  Built& built = vae({1, 1, job.request.width, job.request.height});
  const VaeConfig& config = model_.vae_config;
  const Tensor& latent = job.done() || job.call == 0 ? job.latent : job.estimate;
  std::ranges::transform(latent.floats(), built.input(0).floats().begin(),
                         [&](float v) { return v / config.scaling_factor + config.shift_factor; });
  built.program->run(built.in, built.out);
  const Tensor& pixels = built.outputs[0];
  check_finite(pixels.floats(), "the VAE");
  return to_image(pixels);
}

}  // namespace inkstone
