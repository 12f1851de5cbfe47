// A step: jobs of which the same is asked run together, as many at a time as there is a program and memory for, and each goes on as
// if it were alone. What is wrong with one of them is that one's fault.
#include <algorithm>
#include <cmath>
#include <new>

#include "base/error.h"
#include "diffusion/built.h"
#include "diffusion/engine.h"

namespace inkstone {
namespace {

constexpr int kMostJobs = 64;  // of a program

bool finite(std::span<const float> values) {
  return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

}  // namespace

std::string not_finite(const std::string& what) {
  return what + " gave NaN or infinity: no picture is written; try --precision fp32, or another model file";
}

// For each prompt its row of every tensor.
void Engine::give_keys(Job& job) {
  std::vector<const std::string*> prompts{&job.request.prompt};
  if (job.rows == 2) prompts.insert(prompts.begin(), &job.request.negative_prompt);
  for (const std::string* prompt : prompts) text_of(*prompt);  // all of them before the U-Net's turn
  std::vector<Tensor> made;
  for (size_t row = 0; row < prompts.size(); ++row) {
    const std::vector<Tensor>& keys = keys_of(*prompts[row]);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (row == 0) made.push_back(backend_->tensor({job.rows, keys[i].dim(1), keys[i].dim(2)}, keys[i].type()));
      backend_->copy(keys[i], 0, made[i], row * keys[i].bytes(), keys[i].bytes());
    }
  }
  job.keys = std::move(made);
}

void Engine::park(Job& job) { job.keys.clear(); }

Engine::Built& Engine::unet_for(Key key) {
  const Key asked = key;
  for (; key.jobs > 0; --key.jobs)
    if (Built* built = find_unet(key)) return *built;
  for (key.jobs = asked.jobs + 1; key.jobs <= kMostJobs; ++key.jobs)
    if (Built* built = find_unet(key)) return *built;
  return unet(asked);
}

void Engine::step(Job& job) {
  Job* const jobs[] = {&job};
  for (const RowFault& fault : step(jobs)) throw Error(fault.message, INKSTONE_HERE, fault.kind);
}

std::vector<RowFault> Engine::step(std::span<Job* const> jobs) {
  INKSTONE_CHECK(!jobs.empty(), "a step without jobs");
  std::map<UnetCall, std::vector<Job*>> alike;
  for (Job* job : jobs) {
    INKSTONE_CHECK(!job->done(), "a step of a job that is done");
    INKSTONE_CHECK(job->request.width == jobs[0]->request.width && job->request.height == jobs[0]->request.height,
                   "jobs of two sizes in one step");
    if (job->keys.empty()) give_keys(*job);
    alike[job->next()].push_back(job);
  }
  std::vector<RowFault> faults;
  bool moved = false;
  for (const auto& [call, group] : alike) {
    std::span<Job* const> waiting(group);
    try {
      while (!waiting.empty()) {
        waiting = waiting.subspan(step_alike(waiting, faults));
        moved = true;
      }
    } catch (const Error& error) {
      if (!moved || error.kind() != Error::Kind::kOutOfMemory) throw;
      for (Job* job : waiting) faults.push_back({job, error.kind(), error.what()});
    }
  }
  return faults;
}

// Those that fit into one call; how many there were.
size_t Engine::step_alike(std::span<Job* const> jobs, std::vector<RowFault>& faults) {
  const Request& request = jobs[0]->request;
  const auto [copies, part] = jobs[0]->next();
  const size_t most = capacity_ ? std::min(jobs.size(), static_cast<size_t>(plan_.jobs)) : jobs.size();
  Key key{static_cast<int>(most), copies, request.width, request.height, part};
  for (;;) {
    int tried = 0;
    try {
      Built& built = unet_for(key);
      tried = built.jobs;
      const size_t several = std::min(most, static_cast<size_t>(built.jobs));
      run_step(built, jobs.first(several), faults);
      return several;
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::kOutOfMemory || !fewer(key, tried)) throw;
    } catch (const std::bad_alloc&) {
      if (!fewer(key, tried))
        throw Error("the machine has no memory left for a step of one job", INKSTONE_HERE, Error::Kind::kOutOfMemory);
    }
  }
}

// After a program, of `tried` jobs, or the first that could not be made, found no memory. False where it was for one.
bool Engine::fewer(Key key, int tried) {
  while (!tried && key.jobs > 1 && absent_.contains(key)) --key.jobs;
  if (tried) key.jobs = tried;
  if (key.jobs == 1) return false;
  unets_.erase(key);
  absent(key);
  return true;
}

// Inputs that several jobs share are copies: one program's at a time.
void Engine::stage(const Key& key) {
  if (key.jobs == 1 || staged_ == key) return;
  if (staged_)
    if (const auto before = unets_.find(*staged_); before != unets_.end() && before->second)
      before->second->drop_inputs();
  staged_ = key;
}

// Where the program takes more jobs than these, the first one's rows fill it.
void Engine::run_step(Built& built, std::span<Job* const> jobs, std::vector<RowFault>& faults) {
  const auto [copies, part] = jobs[0]->next();
  const int64_t size = jobs[0]->latent.size();
  stage({built.jobs, copies, jobs[0]->request.width, jobs[0]->request.height, part});
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
    rows += copies * size;
    if (!finite(job->output.floats())) {
      const std::string call = std::to_string(job->call + 1) + " of " + std::to_string(job->calls());
      faults.push_back({job, Error::Kind::kNotFinite, not_finite("the U-Net (call " + call + ")")});
      continue;
    }
    estimate_picture(*job);
    if (job->scheduler->needs_noise(job->call)) job->noise.fill(job->fresh_noise.floats());
    job->scheduler->step(job->call, job->output.floats(), job->fresh_noise.floats(), job->latent.floats(), job->state);
    ++job->call;
  }
}

void Engine::estimate_picture(Job& job) const {
  const Estimate estimate = job.scheduler->picture_estimate(job.call);
  std::ranges::transform(
      job.latent.floats(), job.output.floats(), job.estimate.floats().begin(),
      [&](float x, float m) { return static_cast<float>(estimate.sample * x + estimate.output * m); });
}

// rows: the unconditional prediction, then the conditional one, or the conditional one alone.
void Engine::guide(const Job& job, const float* rows, std::span<float> to) const {
  if (job.next().copies == 1) return static_cast<void>(std::copy_n(rows, to.size(), to.begin()));
  const float guidance = job.request.guidance;
  for (size_t i = 0; i < to.size(); ++i) to[i] = rows[i] + guidance * (rows[to.size() + i] - rows[i]);
}

}  // namespace inkstone
