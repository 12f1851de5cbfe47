#include "diffusion/engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>

#include "base/error.h"
#include "diffusion/process.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace inkstone {
namespace {

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

// The job's row of every tensor; tensors are made with the first one.
void give_keys(Job& job, size_t row, const std::vector<Tensor>& keys) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (row == 0) job.keys.emplace_back(Shape{job.rows, keys[i].dim(1), keys[i].dim(2)}, keys[i].type());
    std::memcpy(job.keys[i].data() + row * keys[i].bytes(), keys[i].data(), keys[i].bytes());
  }
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
  std::vector<NamedShape> shapes;   // of the inputs
  std::vector<size_t> keys, times;  // of a step: which of the carried values it reads
  std::vector<Tensor> inputs, outputs;
  std::vector<const Tensor*> in;
  std::vector<Tensor*> out;

  Tensor& input(size_t i) {
    if (!inputs[i].data()) inputs[i] = Tensor(shapes[i].shape, shapes[i].type);
    in[i] = &inputs[i];
    return inputs[i];
  }

  // Input `at`, as far as one of several jobs fills it, with a tensor's last rows: where it has more, the first are of the
  // unconditional half, which is not asked for. The only job lends a tensor that is read whole for the next run.
  void give(size_t at, const Tensor& rows, size_t job, size_t jobs) {
    const size_t read = bytes(shapes[at].shape, shapes[at].type) / jobs;
    INKSTONE_CHECK(read <= rows.bytes(), "a step reads ", read, " bytes of \"", shapes[at].name, "\", and the job has ",
                   rows.bytes());
    if (jobs == 1 && read == rows.bytes()) return static_cast<void>(in[at] = &rows);
    std::memcpy(input(at).data() + job * read, rows.data() + rows.bytes() - read, read);
  }

  // A job's rows of an output.
  void take(size_t at, Tensor& rows, size_t job, size_t jobs) const {
    Shape shape = outputs[at].shape();
    shape[0] /= static_cast<int64_t>(jobs);
    if (rows.shape() != shape) rows = Tensor(shape, outputs[at].type());
    std::memcpy(rows.data(), outputs[at].data() + job * rows.bytes(), rows.bytes());
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

std::unique_ptr<Engine::Built> Engine::build(const Graph& graph, const Weights& weights,
                                             const MemoryUse& planned) const {
  auto built = std::make_unique<Built>();
  built->shapes = inputs_of(graph);
  built->inputs.resize(built->shapes.size());
  built->in.resize(built->shapes.size());
  for (int id : graph.outputs()) built->outputs.emplace_back(graph.node(id).shape, graph.node(id).type);
  for (Tensor& tensor : built->outputs) built->out.push_back(&tensor);
  built->program =
      backend_->compile(graph, weights,
                        {plan_.precision, plan_.attention_slicing, &planned == &plan_.vae && plan_.vae_tiling,
                         plan_.weight_streaming ? planned.mapped : SIZE_MAX});
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

Engine::Built& Engine::unet(const Key& key) {
  keep_only("unet");
  std::unique_ptr<Built>& built = unets_[key];
  if (built) return *built;
  UnetParts parts = unet_parts(key, plan_.precision);
  built = build(parts.step, model_.unet, key.part == UnetPart::kShallow ? plan_.shallow : plan_.unet);
  built->keys = std::move(parts.keys);
  built->times = std::move(parts.times);
  return *built;
}

Engine::Built& Engine::vae(const Key& key) {
  keep_only("vae");
  std::unique_ptr<Built>& built = vaes_[key];
  const int scale = model_.vae_scale();
  if (!built)
    built =
        build(vae_decoder_graph(model_.vae_config, 1, key.height / scale, key.width / scale), model_.vae, plan_.vae);
  return *built;
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
    built->program->rest();
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
  backend_->give_back();
}

void Engine::settle(const Request& request) {
  EnginePlan next = plan(request);
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
    vaes_.clear();
    texts_.clear();
    keys_.clear();
    times_.clear();
    backend_->give_back();
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
  for (const Key& key : keys) unet(key);
  prompt();
  time();
  if (!vaes_.contains(picture)) tell("vae"), vae(picture);
}

// What it reads of the model's files does not stay, and meanwhile nobody needs the VAE's pages or the work memory.
std::vector<Tensor> Engine::run_seldom(Built& built) {
  if (!plan_.components_in_turn) {
    for (auto& [key, vae] : vaes_) vae->program->rest();
    backend_->give_back();
  }
  built.program->run(built.in, built.out);
  built.program->rest();
  std::vector<Tensor> made;
  for (const Tensor& tensor : built.outputs) made.push_back(tensor.clone());
  return made;
}

const Engine::Text& Engine::text_of(const std::string& prompt) {
  if (const Text* kept = texts_.find(prompt)) return *kept;
  const Tokens tokens = model_.tokenizer->encode(prompt);
  Built& built = text();
  std::ranges::copy(tokens.ids, built.input(0).ints().begin());
  std::vector<Tensor> made = run_seldom(built);
  check_finite(made[0].floats(), "the text encoder");
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
  for (size_t row = 0; row < prompts.size(); ++row) give_keys(job, row, keys_of(*prompts[row]));
  const std::vector<float>& timesteps = job.scheduler->timesteps();
  for (size_t call = 0; call < std::min(kTimesKept, timesteps.size()); ++call) times_of(timesteps[call], request);

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
  for (const Job* job : jobs) {
    INKSTONE_CHECK(!job->done(), "a step of a job that is done");
    INKSTONE_CHECK(job->request.width == jobs[0]->request.width && job->request.height == jobs[0]->request.height,
                   "jobs of two sizes in one step");
  }
  std::map<UnetCall, std::vector<Job*>> alike;
  for (Job* job : jobs) alike[job->next()].push_back(job);
  for (const auto& [call, group] : alike) step_alike(group);
}

void Engine::step_alike(std::span<Job* const> jobs) {
  const Request& request = jobs[0]->request;
  const auto [copies, part] = jobs[0]->next();
  Built& built = unet({static_cast<int>(jobs.size()), copies, request.width, request.height, part});
  const int64_t size = jobs[0]->latent.size();
  float* latent = built.input(0).floats().data();
  for (size_t i = 0; i < jobs.size(); ++i) {
    const Job& job = *jobs[i];
    const float scale = job.scheduler->input_scale(job.call);
    latent = std::ranges::transform(job.latent.floats(), latent, [&](float v) { return v * scale; }).out;
    const std::vector<Tensor>& times = times_of(job.scheduler->timesteps()[job.call], job.request);
    size_t at = 1;
    if (part == UnetPart::kShallow) built.give(at++, job.deep, i, jobs.size());
    for (const size_t key : built.keys) built.give(at++, job.keys[key], i, jobs.size());
    for (const size_t time : built.times) built.give(at++, times[time], i, jobs.size());
  }
  built.program->run(built.in, built.out);
  if (part == UnetPart::kWholeAndDeep)
    for (size_t i = 0; i < jobs.size(); ++i) built.take(1, jobs[i]->deep, i, jobs.size());
  const float* rows = built.outputs[0].floats().data();
  for (Job* job : jobs) {
    guide(*job, rows, job->output.floats());
    check_finite(job->output.floats(), "the U-Net (call ", job->call + 1, " of ", job->calls(), ")");
    if (job->scheduler->needs_noise(job->call)) job->noise.fill(job->fresh_noise.floats());
    job->scheduler->step(job->call, job->output.floats(), job->fresh_noise.floats(), job->latent.floats(), job->state);
    ++job->call;
    rows += copies * size;
  }
}

// rows: the unconditional prediction, then the conditional one, or the conditional one alone.
void Engine::guide(const Job& job, const float* rows, std::span<float> to) const {
  if (job.next().copies == 1) return static_cast<void>(std::copy_n(rows, to.size(), to.begin()));
  const float guidance = job.request.guidance;
  for (size_t i = 0; i < to.size(); ++i) to[i] = rows[i] + guidance * (rows[to.size() + i] - rows[i]);
}

Image Engine::finish(Job& job) {
  INKSTONE_CHECK(job.done(), "a job of ", job.calls(), " steps finished after ", job.call);
  Built& built = vae({1, 1, job.request.width, job.request.height});
  const VaeConfig& config = model_.vae_config;
  std::ranges::transform(job.latent.floats(), built.input(0).floats().begin(),
                         [&](float v) { return v / config.scaling_factor + config.shift_factor; });
  built.program->run(built.in, built.out);
  const Tensor& pixels = built.outputs[0];
  check_finite(pixels.floats(), "the VAE");
  return to_image(pixels);
}

}  // namespace inkstone
