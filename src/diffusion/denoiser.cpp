#include "diffusion/denoiser.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <new>
#include <numeric>

#include "base/error.h"

namespace inkstone {
namespace {

bool finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

// Of all values of one latent, with a divisor of one less than their number.
double standard_deviation(std::span<const float> values) {
  const double count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double squares = 0;
  for (const float value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / (count - 1));
}

// Lin et al. (2024), formulas 15 and 16: the guided output, as far as `share`, gets the standard
// deviation of the conditional one.
void rescale(std::span<float> guided, std::span<const float> conditional, float share) {
  if (share == 0) return;
  const double wanted = standard_deviation(conditional), own = standard_deviation(guided);
  if (!(own > 0)) return;
  const auto factor = static_cast<float>(1 - share + share * (wanted / own));
  for (float& value : guided) value *= factor;
}

// Classifier-free guidance: unconditional + the sum of weight * guidance * (conditional - unconditional) over the parts
// of the prompt, in their order. `rows` are those of one pass; the first pass has the unconditional one first, or nothing
// but the conditional one.
void guide(Job& job, size_t pass, const float* rows) {
  const std::span<float> to = job.output.floats();
  const auto copies = static_cast<size_t>(job.next(pass).cfg_copies);
  if (pass == 0 && copies == 1) return static_cast<void>(std::copy_n(rows, to.size(), to.begin()));
  const bool has_more = job.passes() > 1;
  if (pass == 0) {
    std::copy_n(rows, to.size(), to.begin());
    if (has_more && job.unconditional.shape() != job.output.shape()) job.unconditional = Tensor(job.output.shape());
    if (has_more) std::copy_n(rows, to.size(), job.unconditional.floats().begin());
  }
  const float* unconditional = has_more ? job.unconditional.floats().data() : rows;
  const float guidance = std::max(job.request.guidance_scale, 1.0f);
  for (size_t copy = pass == 0 ? 1 : 0; copy < copies; ++copy) {
    const float weight = job.request.part_weights[2 * pass + copy - 1] * guidance;
    const float* conditional = rows + copy * to.size();
    for (size_t i = 0; i < to.size(); ++i) to[i] += weight * (conditional[i] - unconditional[i]);
  }
  if (pass + 1 < job.passes()) return;
  if (!has_more) return rescale(to, {rows + to.size(), to.size()}, job.request.guidance_rescale);
  std::vector<float> conditional(to.size());  // of all parts together, as if the guidance scale were 1
  for (size_t i = 0; i < to.size(); ++i) conditional[i] = unconditional[i] + (to[i] - unconditional[i]) / guidance;
  rescale(to, conditional, job.request.guidance_rescale);
}

void estimate_image(Job& job) {
  const Estimate estimate = job.request.scheduler->image_estimate(job.call);
  std::ranges::transform(
      job.latent.floats(), job.output.floats(), job.estimate.floats().begin(),
      [&](float x, float m) { return static_cast<float>(estimate.sample * x + estimate.output * m); });
}

// What is not repainted becomes the picture again, at the noise level of the next call, as in diffusers' inpainting
// pipelines for U-Nets of four channels.
void restore_picture(Job& job) {
  if (job.repaint_mask.size() == 0) return;
  const NoiseLevel level = job.call < job.calls() ? job.request.scheduler->noise_level(job.call) : NoiseLevel{1, 0};
  const std::span<const float> mask = job.repaint_mask.floats();
  for (size_t i = 0; i < job.latent.floats().size(); ++i) {
    const double picture = level.image * job.picture.floats()[i] + level.noise * job.picture_noise.floats()[i];
    const double share = mask[i % mask.size()];
    job.latent.floats()[i] = static_cast<float>((1 - share) * picture + share * job.latent.floats()[i]);
  }
}

}  // namespace

// Makes what a pass reads of the prompts, if the job has not got it.
void Denoiser::condition(Job& job, size_t pass) {
  const std::span<const size_t> rows = job.passes() > 1 ? job.rows(pass) : job.rows();
  if (!job.conditioning.empty() && std::ranges::equal(job.conditioned, rows)) return;
  job.conditioning.clear();
  std::vector<EncoderTextRef> texts;
  for (const size_t row : rows) texts.push_back(&job.prompts.texts[row]);
  job.conditioning = conditioner_.of_texts(texts, {job.prompts.chunks, job.request.width, job.request.height});
  job.conditioned.assign(rows.begin(), rows.end());
}

std::vector<RowFault> Denoiser::step(std::span<Job* const> jobs, size_t max_jobs) {
  Outcome outcome;
  std::vector<Job*> left(jobs.begin(), jobs.end());
  for (size_t pass = 0; !left.empty(); ++pass) {
    std::vector<Job*> more;
    for (Job* job : left)
      if (pass + 1 < job->passes()) more.push_back(job);
    for (Job* job : left) condition(*job, pass);
    run_pass(left, pass, max_jobs, outcome);
    std::erase_if(more, [&](const Job* job) { return std::ranges::count(outcome.faults, job, &RowFault::job) > 0; });
    left = std::move(more);
  }
  return std::move(outcome.faults);
}

void Denoiser::run_pass(std::span<Job* const> jobs, size_t pass, size_t max_jobs, Outcome& outcome) {
  std::map<UnetEvaluation, std::vector<Job*>> alike;
  for (Job* job : jobs) alike[job->next(pass)].push_back(job);
  for (const auto& [evaluation, group] : alike) {
    std::span<Job* const> waiting(group);
    try {
      while (!waiting.empty()) waiting = waiting.subspan(step_alike(waiting, pass, max_jobs, outcome));
    } catch (const Error& error) {
      if (!outcome.moved || error.kind() != Error::Kind::kOutOfMemory) throw;
      for (Job* job : waiting) outcome.faults.push_back({job, error.kind(), error.what()});
    }
  }
}

// Steps as many of the jobs as one program takes, and returns how many.
size_t Denoiser::step_alike(std::span<Job* const> jobs, size_t pass, size_t max_jobs, Outcome& outcome) {
  const ResolvedRequest& request = jobs[0]->request;
  const auto [cfg_copies, part, chunks] = jobs[0]->next(pass);
  const size_t most = std::min(jobs.size(), max_jobs);
  const StageShape shape{static_cast<int>(most), cfg_copies, request.width, request.height, part, chunks};
  for (;;) {
    int tried = 0;
    try {
      BoundProgram& program = programs_.step_for(shape);
      tried = program.jobs();
      const size_t several = std::min(most, static_cast<size_t>(tried));
      run_step(program, jobs.first(several), pass, outcome);
      return several;
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::kOutOfMemory || !programs_.retry_with_fewer(shape, tried)) throw;
    } catch (const std::bad_alloc&) {
      if (!programs_.retry_with_fewer(shape, tried))
        throw Error("the machine has no memory left for a step of one job", INKSTONE_HERE, Error::Kind::kOutOfMemory);
    }
  }
}

// If the program takes more jobs than there are, copies of the first job's rows fill it.
void Denoiser::run_step(BoundProgram& program, std::span<Job* const> jobs, size_t pass, Outcome& outcome) {
  const auto [cfg_copies, part, chunks] = jobs[0]->next(pass);
  const ResolvedRequest& request = jobs[0]->request;
  programs_.claim_shared_inputs({program.jobs(), cfg_copies, request.width, request.height, part, chunks});
  for (size_t i = 0; i < static_cast<size_t>(program.jobs()); ++i) bind_job(program, *jobs[i < jobs.size() ? i : 0], i);
  program.run();
  if (part == UnetPart::kFullKeepFeature)
    for (size_t i = 0; i < jobs.size(); ++i) program.take_rows(1, jobs[i]->cached_feature, i);
  const float* rows = program.output(0).floats().data();
  for (Job* job : jobs) {
    guide(*job, pass, rows);
    if (pass + 1 == job->passes()) {
      advance(*job, outcome.faults);
      outcome.moved = true;
    }
    rows += cfg_copies * job->latent.size();
  }
}

void Denoiser::bind_job(BoundProgram& program, const Job& job, size_t place) {
  const float scale = job.request.scheduler->input_scale(job.call);
  const std::span<const float> latent = job.latent.floats();
  const auto more = job.more_channels.size() ? job.more_channels.floats() : std::span<const float>();
  const auto input = program.host_input("latent").floats().subspan(place * (latent.size() + more.size()));
  std::ranges::transform(latent, input.begin(), [&](float value) { return value * scale; });
  std::ranges::copy(more, input.begin() + std::ssize(latent));
  if (program.reads("cached_feature")) program.bind("cached_feature", job.cached_feature, place);
  const float timestep = job.request.scheduler->timesteps()[static_cast<size_t>(job.call)];
  for (const NamedTensors* values :
       {&job.conditioning, &conditioner_.time_embeddings(timestep, job.request.guidance_scale)})
    for (const NamedTensor& value : *values)
      if (program.reads(value.name)) program.bind(value.name, value.tensor, place);
}

void Denoiser::advance(Job& job, std::vector<RowFault>& faults) const {
  if (!finite(job.output.floats())) {
    const std::string call = std::to_string(job.call + 1) + " of " + std::to_string(job.calls());
    faults.push_back({&job, Error::Kind::kNotFinite, not_finite("the U-Net (call " + call + ")")});
    return;
  }
  estimate_image(job);
  if (job.request.scheduler->needs_noise(job.call)) job.noise.fill(job.fresh_noise.floats());
  job.request.scheduler->step(job.call, job.output.floats(), job.fresh_noise.floats(), job.latent.floats(), job.state);
  ++job.call;
  restore_picture(job);
}

}  // namespace inkstone
