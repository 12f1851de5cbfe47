#include "diffusion/generate.h"

#include <chrono>
#include <vector>

#include "diffusion/legs.h"
#include "diffusion/pipeline_embeddings.h"

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct EngineLeg {
  Engine* engine;
  ResolvedRequest request;
};

std::vector<EngineLeg> legs_of(Engine& engine, const ResolvedRequest& request, const Refinement* refinement) {
  if (refinement) return {{&engine, refinement->base}, {refinement->engine, refinement->request}};
  std::vector<EngineLeg> legs{{&engine, request}};
  if (request.is_enlarged_later()) legs.push_back({&engine, hires_leg(request)});
  return legs;
}

}  // namespace

Generated generate(Engine& engine, const ResolvedRequest& request, const Progress& progress,
                   const Refinement* refinement) {
  Generated made;
  const std::vector<EngineLeg> legs = legs_of(engine, request, refinement);
  const auto begun = Clock::now();
  engine.prepare(legs[0].request, progress.preparing);
  made.times.prepare = seconds_since(begun);

  const auto encoding = Clock::now();
  Job job = engine.start(legs[0].request);
  made.warnings = job.warnings;
  made.embedding_hashes = embedding_hashes(engine.pipeline(), job.prompts.embeddings);
  made.times.text_encoder = seconds_since(encoding);

  if (progress.denoising) progress.denoising();
  const auto denoising = Clock::now();
  int calls = 0, done = 0;
  for (const EngineLeg& leg : legs) calls += leg.request.evaluations();
  for (const EngineLeg& leg : legs) {
    if (&leg != &legs.front()) {
      engine.offload(job);
      if (refinement && refinement->in_turn) engine.leave_memory();
      leg.engine->prepare(leg.request, progress.preparing);
      job = leg.engine->start(leg.request, &job);
    }
    while (!job.done()) {
      leg.engine->step(job);
      if (progress.stepped) progress.stepped(++done, calls, seconds_since(denoising));
      if (progress.drawn) progress.drawn(*leg.engine, job);
    }
  }
  made.times.unet = seconds_since(denoising);

  if (progress.decoding) progress.decoding();
  const auto decoding = Clock::now();
  made.image = legs.back().engine->finish(job);
  if (refinement && refinement->in_turn) refinement->engine->leave_memory();
  made.times.vae = seconds_since(decoding);
  made.times.total = seconds_since(begun);
  return made;
}

}  // namespace inkstone
