#include "diffusion/engine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "diffusion/process.h"
#include "models/clip.h"
#include "models/unet.h"
#include "models/vae.h"

namespace inkstone {
namespace {

constexpr int kMostJobs = 64;  // of a program
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
void give_keys(Backend& backend, Job& job, size_t row, const std::vector<Tensor>& keys) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (row == 0) job.keys.push_back(backend.tensor({job.rows, keys[i].dim(1), keys[i].dim(2)}, keys[i].type()));
    backend.copy(keys[i], 0, job.keys[i], row * keys[i].bytes(), keys[i].bytes());
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
  explicit Built(Backend& of) : backend(of) {}

  Backend& backend;
  int jobs = 1;  // that a step is made for
  std::unique_ptr<Program> program;
  std::vector<NamedShape> shapes;   // of the inputs
  std::vector<size_t> keys, times;  // of a step: which of the carried values it reads
  std::vector<NamedShape> results;  // shapes of the outputs
  std::vector<Tensor> inputs, outputs;
  std::vector<const Tensor*> in;
  std::vector<Tensor*> out;

  // The first output is for the host, what else a program gives is for the next.
  void give_outputs() {
    for (const NamedShape& result : results)
      outputs.push_back(outputs.empty() ? Tensor(result.shape, result.type)
                                        : backend.tensor(result.shape, result.type));
    for (Tensor& tensor : outputs) out.push_back(&tensor);
  }

  Tensor& input(size_t i) {  // filled by the host
    if (!inputs[i].data()) inputs[i] = Tensor(shapes[i].shape, shapes[i].type);
    in[i] = &inputs[i];
    return inputs[i];
  }

  // Input `at`, as far as one of several jobs fills it, with a tensor's last rows: where it has more, the first are of the
  // unconditional half, which is not asked for. The only job lends a tensor that is read whole for the next run.
  void give(size_t at, const Tensor& rows, size_t job) {
    const size_t read = bytes(shapes[at].shape, shapes[at].type) / static_cast<size_t>(jobs);
    INKSTONE_CHECK(read <= rows.bytes(), "a step reads ", read, " bytes of \"", shapes[at].name, "\", and the job has ",
                   rows.bytes());
    if (jobs == 1 && read == rows.bytes()) return static_cast<void>(in[at] = &rows);
    if (!inputs[at].data()) inputs[at] = backend.tensor(shapes[at].shape, shapes[at].type);
    in[at] = &inputs[at];
    backend.copy(rows, rows.bytes() - read, inputs[at], job * read, read);
  }

  // A job's rows of an output.
  void take(size_t at, Tensor& rows, size_t job) const {
    Shape shape = outputs[at].shape();
    shape[0] /= jobs;
    if (rows.shape() != shape) rows = backend.tensor(shape, outputs[at].type());
    backend.copy(outputs[at], job * rows.bytes(), rows, 0, rows.bytes());
  }
};

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
  if (const auto found = unets_.find(key); found != unets_.end()) return found->second.get();
  if (absent_.contains(key)) return nullptr;
  UnetParts parts = unet_parts(key, plan_.precision);
  const MemoryUse& planned = key.part == UnetPart::kShallow ? plan_.shallow : plan_.unet;
  if (!backend_->has(parts.step, compile_options(planned))) return absent_.insert(key), nullptr;
  auto built = build(parts.step, model_.unet, planned);
  built->give_outputs();
  built->jobs = key.jobs;
  built->keys = std::move(parts.keys);
  built->times = std::move(parts.times);
  return (unets_[key] = std::move(built)).get();
}

Engine::Built& Engine::unet(const Key& key) {
  if (Built* built = find_unet(key)) return *built;
  // Its backend says what there is instead.
  backend_->compile(unet_parts(key, plan_.precision).step, model_.unet, compile_options(plan_.unet));
  fail(INKSTONE_HERE, "a step of ", key.jobs, " jobs has no program");
}

Engine::Built& Engine::unet_for(Key key) {
  const Key asked = key;
  for (; key.jobs > 0; --key.jobs)
    if (Built* built = find_unet(key)) return *built;
  for (key.jobs = asked.jobs + 1; key.jobs <= kMostJobs; ++key.jobs)
    if (Built* built = find_unet(key)) return *built;
  return unet(asked);
}

Engine::Built& Engine::vae(const Key& key) {
  keep_only("vae");
  std::unique_ptr<Built>& built = vaes_[key];
  const int scale = model_.vae_scale();
  if (!built) {
    const Graph graph = vae_decoder_graph(model_.vae_config, 1, key.height / scale, key.width / scale);
    auto made = build(graph, model_.vae, plan_.vae);
    made->give_outputs();
    built = std::move(made);
  }
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
    absent_.clear();
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
  for (const Key& key : keys) unet_for(key);
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
  std::vector<Tensor> made;
  std::vector<Tensor*> out;
  for (const NamedShape& result : built.results) made.push_back(backend_->tensor(result.shape, result.type));
  for (Tensor& tensor : made) out.push_back(&tensor);
  built.program->run(built.in, out);
  built.program->rest();
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
  for (size_t row = 0; row < prompts.size(); ++row) give_keys(*backend_, job, row, keys_of(*prompts[row]));
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
  while (!jobs.empty()) {
    const Key key{static_cast<int>(jobs.size()), copies, request.width, request.height, part};
    Built& built = unet_for(key);
    const size_t several = std::min(jobs.size(), static_cast<size_t>(built.jobs));
    try {
      run_step(built, jobs.first(several));
      jobs = jobs.subspan(several);
    } catch (const Error& error) {
      if (built.jobs == 1 || error.kind() != Error::Kind::kOutOfMemory) throw;
      Key refused = key;  // fewer at a time
      refused.jobs = built.jobs;
      unets_.erase(refused);
      absent_.insert(refused);
    }
  }
}

// Where the program takes more jobs than these, the first one's rows fill it.
void Engine::run_step(Built& built, std::span<Job* const> jobs) {
  const auto [copies, part] = jobs[0]->next();
  const int64_t size = jobs[0]->latent.size();
  float* latent = built.input(0).floats().data();
  for (size_t i = 0; i < static_cast<size_t>(built.jobs); ++i) {
    const Job& job = *jobs[i < jobs.size() ? i : 0];
    const float scale = job.scheduler->input_scale(job.call);
    latent = std::ranges::transform(job.latent.floats(), latent, [&](float v) { return v * scale; }).out;
    const std::vector<Tensor>& times = times_of(job.scheduler->timesteps()[job.call], job.request);
    size_t at = 1;
    if (part == UnetPart::kShallow) built.give(at++, job.deep, i);
    for (const size_t key : built.keys) built.give(at++, job.keys[key], i);
    for (const size_t time : built.times) built.give(at++, times[time], i);
  }
  built.program->run(built.in, built.out);
  if (part == UnetPart::kWholeAndDeep)
    for (size_t i = 0; i < jobs.size(); ++i) built.take(1, jobs[i]->deep, i);
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
