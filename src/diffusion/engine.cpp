#include "diffusion/engine.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "diffusion/enlargement.h"
#include "diffusion/first_latent.h"
#include "diffusion/request_fields.h"
#include "diffusion/stages.h"

namespace inkstone {
namespace {

// The pipeline's that it uses, each once.
std::vector<int> controls_of(const ResolvedRequest& request) {
  std::set<int> numbers;
  for (const ResolvedControl& control : request.controls) numbers.insert(control.number);
  return {numbers.begin(), numbers.end()};
}

PlanKey plan_key(const ResolvedRequest& request, int chunks, bool encodes) {
  PlanKey key{request.final_width,
              request.final_height,
              request.guided,
              request.cache_interval > 1,
              request.guidance_interval != Interval{},
              chunks,
              encodes};
  key.controls = controls_of(request);
  const auto is_net = [](const ResolvedControl& control) { return control.features == 0; };
  key.several_nets = std::ranges::count_if(request.controls, is_net) > 1;
  if (request.has_pixels_between() && request.hires_upscaler.network >= 0) {
    key.upscalers = {request.hires_upscaler.network};
    key.upscaled = {request.first_width, request.first_height};
  }
  return key;
}

}  // namespace

Engine::Engine(Pipeline pipeline, EngineOptions options)
    : pipeline_(std::move(pipeline)),
      options_(std::move(options)),
      backend_(open_backend(options_.device, {options_.compiled})),
      planner_(pipeline_, *backend_, options_),
      programs_(pipeline_, *backend_),
      conditioner_(pipeline_, *backend_, programs_),
      denoiser_(pipeline_, programs_, conditioner_),
      codec_(pipeline_, programs_),
      upscaler_(pipeline_, *backend_, programs_, options_.precision) {}

Engine::~Engine() = default;

ResolvedRequest Engine::resolve(const ImageRequest& request) const {
  ResolvedRequest resolved =
      inkstone::resolve(request, pipeline_.traits, capacity_ ? capacity_->limits() : RequestLimits{});
  if (resolved.enlargement) return resolved;
  prompts_of(resolved);
  const RequestField& field = resolved.has_pixels_between() ? request_field(&ImageRequest::hires_upscaler)
                                                            : request_field(&ImageRequest::image);
  if (encodes(resolved) && !planner_.encodes({resolved.final_width, resolved.final_height}))
    throw RequestError::sentence(field, "",
                                 std::string(field.name) +
                                     ": the VAE's encoder is not among the compiled files for this size: export with "
                                     "--encoder");
  const HiresUpscaler& how = resolved.hires_upscaler;
  if (resolved.has_pixels_between() && how.network >= 0 &&
      !planner_.upscales(how.network, {resolved.first_width, resolved.first_height}))
    throw RequestError::sentence(field, how.name,
                                 std::string(field.name) + ": " + how.name +
                                     " is not among the compiled files for what it would enlarge: of a model and an "
                                     "upscaler together nothing is exported; take one of latents or lanczos");
  return resolved;
}

JobPrompts Engine::prompts_of(const ResolvedRequest& request) const {
  return job_prompts(request, pipeline_, capacity_ ? programs_.plan().chunks : kMaxPromptChunks);
}

bool Engine::encodes(const ResolvedRequest& request) const {
  return request.image || pipeline_.traits.inpaints || request.has_pixels_between();
}

void Engine::set_memory_budget(size_t bytes) {
  capacity_.reset();
  options_.memory_budget = bytes;
  planner_.set_budget(bytes);
}

EnginePlan Engine::plan(const ResolvedRequest& request) {
  if (capacity_) return programs_.plan();
  return planner_.plan(plan_key(request, prompts_of(request).chunks, encodes(request)));
}

const EnginePlan& Engine::reserve(const Capacity& capacity) {
  capacity_.reset();
  replace_plan(planner_.reserve(capacity));
  capacity_ = capacity;
  return programs_.plan();
}

void Engine::replace_plan(EnginePlan plan) {
  if (!programs_.replace_plan(std::move(plan))) return;
  conditioner_.forget();
  denoiser_.controls().forget();
}

void Engine::prepare(const ResolvedRequest& request, const std::function<void(const std::string&)>& on_component) {
  if (request.enlargement) return;  // its parts are compiled as they run
  prepare_for(request, prompts_of(request).chunks, on_component);
}

void Engine::prepare_for(const ResolvedRequest& request, int chunks,
                         const std::function<void(const std::string&)>& on_component) {
  if (!capacity_) replace_plan(planner_.plan(plan_key(request, chunks, encodes(request))));
  if (programs_.packs_in_turn()) return;  // when each component's turn comes
  const std::vector<int> controls = controls_of(request);
  std::string told;
  const auto tell = [&](const std::string& component) {
    if (on_component && component != told) on_component(component);
    told = component;
  };
  for (const PipelineStage& stage : programs_.before_steps()) {
    if (programs_.has_before_steps(stage.name)) continue;
    if (stage.control >= 0 && !std::ranges::count(controls, stage.control)) continue;
    tell(stage.component);
    programs_.before_steps(stage.name);
  }
  std::set<StageShape> shapes;
  const std::vector<UnetEvaluation> all = unet_schedule(request, request.calls(), chunks);
  const std::span schedule = std::span(all).subspan(static_cast<size_t>(request.first_call));
  for (const UnetEvaluation& one : schedule) shapes.insert(step_shape(1, one, request.width, request.height));
  if (request.cfg_copies() > 2 && request.cfg_copies() % 2 == 1)  // the last pass has one row
    for (UnetEvaluation one : schedule) {
      one.cfg_copies = 1;
      shapes.insert(step_shape(1, one, request.width, request.height));
    }
  for (const StageShape& shape : shapes) {
    if (programs_.has_step(shape)) continue;
    tell("unet");
    programs_.step_for(shape);
  }
  const bool encoder = request.image || pipeline_.traits.inpaints || (request.enlarged && request.has_pixels_between());
  const bool decoder = request.end_call < 0 && (request.hires <= 1 || request.has_pixels_between());
  for (const bool encodes : {true, false}) {
    const VaeShape vae{encodes, request.width, request.height};
    if (!(encodes ? encoder : decoder) || programs_.has_vae(vae)) continue;
    tell("vae");
    programs_.vae(vae);
  }
  if (request.enlarged && request.hires_upscaler.network >= 0) tell(kUpscalerStage);  // it is compiled as it runs
}

const Tensor& Engine::encode_text(const PromptText& text, int clip_skip) {
  return conditioner_.text_of({text, clip_skip}).text;
}

void Engine::leave_memory() {
  programs_.leave_memory();
  conditioner_.forget();
  denoiser_.controls().forget();
}

Job Engine::start(ResolvedRequest resolved, const Job* before) {
  Job job;
  job.request = std::move(resolved);
  job.call = job.request.first_call;
  const ResolvedRequest& request = job.request;
  if (request.enlargement) {
    job.enlarged = enlarged_picture(request, upscaler_);
    return job;
  }
  const std::vector<float>& timesteps = request.scheduler->timesteps();
  job.prompts = prompts_of(request);
  prepare_for(request, job.prompts.chunks, {});
  job.warnings = job.prompts.warnings;
  job.schedule = unet_schedule(request, request.calls(), job.prompts.chunks);
  // all texts, before it is the U-Net's turn
  for (const EncoderText& text : job.prompts.texts) conditioner_.text_of(text);
  const bool reads_mask = pipeline_.traits.inpaints;
  const bool goes_on = before && !request.enlarged;
  EncodedSource source;
  if (!goes_on) source = encode_source(codec_, upscaler_, request, reads_mask, before);
  denoiser_.controls().start(job);
  denoiser_.condition(job);
  const auto begin = static_cast<size_t>(job.call);
  for (size_t call = begin; call < std::min(begin + kTimestepsKept, timesteps.size()); ++call)
    conditioner_.time_embeddings(timesteps[call], request.guidance_scale);

  const int scale = pipeline_.vae_scale();
  const Shape latent{1, pipeline_.unet_config.out_channels, request.height / scale, request.width / scale};
  job.latent = Tensor(latent);
  job.fresh_noise = Tensor(latent);
  job.output = Tensor(latent);
  job.estimate = Tensor(latent);
  if (goes_on) {
    INKSTONE_CHECK(before->latent.shape() == latent, pipeline_.path.string(), ": a latent of ",
                   to_string(before->latent.shape()), " from the first model, this one takes ", to_string(latent));
    std::ranges::copy(before->latent.floats(), job.latent.floats().begin());
    job.noise = before->noise;
    job.put_back = before->put_back;
    if (before->repaint_mask.size() > 0) {
      job.repaint_mask = before->repaint_mask.clone();
      job.picture = before->picture.clone();
      job.picture_noise = before->picture_noise.clone();
    }
  } else {
    draw_first_latent(job, std::move(source), reads_mask);
    if (request.image && request.repaint.any()) job.put_back = std::make_shared<const ResolvedRequest>(request);
  }
  job.state = request.scheduler->start(static_cast<size_t>(job.latent.size()));
  return job;
}

void Engine::step(Job& job) {
  Job* const jobs[] = {&job};
  for (const RowFault& fault : step(jobs)) throw Error(fault.message, INKSTONE_HERE, fault.kind);
}

std::vector<RowFault> Engine::step(std::span<Job* const> jobs) {
  INKSTONE_CHECK(!jobs.empty(), "a step without jobs");
  for (Job* job : jobs) {
    INKSTONE_CHECK(!job->done(), "a step of a job that is done");
    INKSTONE_CHECK(job->request.width == jobs[0]->request.width && job->request.height == jobs[0]->request.height,
                   "jobs of two sizes in one step");
  }
  return denoiser_.step(jobs, capacity_ ? static_cast<size_t>(programs_.plan().jobs) : jobs.size());
}

void Engine::offload(Job& job) { job.forget_conditioning(); }

Image Engine::finish(Job& job) {
  INKSTONE_CHECK(job.done(), "a job of ", job.calls(), " steps finished after ", job.call);
  return decode(job);
}

Image Engine::decode(const Job& job) {
  if (job.enlarged) return *job.enlarged;
  const Tensor& latent = job.has_image() || job.call == job.request.first_call ? job.latent : job.estimate;
  Image image = codec_.decode(latent, job.request.width, job.request.height);
  return job.put_back ? put_back(*job.put_back, std::move(image)) : image;
}

std::optional<Image> Engine::preview(const Job& job) {
  return codec_.preview(job.estimate, job.request.width, job.request.height);
}

}  // namespace inkstone
