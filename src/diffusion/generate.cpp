#include "diffusion/generate.h"

#include <chrono>

#include "diffusion/pipeline_embeddings.h"

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

Generated generate(Engine& engine, const ResolvedRequest& request, const Progress& progress,
                   const Refinement* refinement) {
  Generated made;
  const auto begun = Clock::now();
  engine.prepare(request, progress.preparing);
  made.times.prepare = seconds_since(begun);

  const auto encoding = Clock::now();
  Job job = engine.start(refinement ? refinement->base : request);
  made.warnings = job.warnings;
  made.embedding_hashes = embedding_hashes(engine.pipeline(), job.prompts.embeddings);
  made.times.text_encoder = seconds_since(encoding);

  if (progress.denoising) progress.denoising();
  const auto denoising = Clock::now();
  const int calls = job.request.evaluations() + (refinement ? refinement->request.evaluations() : 0);
  int done = 0;
  const auto run = [&](Engine& with) {
    while (!job.done()) {
      with.step(job);
      if (progress.stepped) progress.stepped(++done, calls, seconds_since(denoising));
    }
  };
  run(engine);
  if (refinement) {
    engine.offload(job);
    if (refinement->in_turn) engine.leave_memory();
    refinement->engine->prepare(refinement->request, progress.preparing);
    const Handover from{job};
    job = refinement->engine->start(refinement->request, &from);
    run(*refinement->engine);
  }
  made.times.unet = seconds_since(denoising);

  if (progress.decoding) progress.decoding();
  const auto decoding = Clock::now();
  made.image = (refinement ? *refinement->engine : engine).finish(job);
  if (refinement && refinement->in_turn) refinement->engine->leave_memory();
  made.times.vae = seconds_since(decoding);
  made.times.total = seconds_since(begun);
  return made;
}

}  // namespace inkstone
