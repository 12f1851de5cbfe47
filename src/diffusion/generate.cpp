#include "diffusion/generate.h"

#include <chrono>

#include "diffusion/pipeline_embeddings.h"

namespace inkstone {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

Generated generate(Engine& engine, const ResolvedRequest& request, const Progress& progress) {
  Generated made;
  const auto begun = Clock::now();
  engine.prepare(request, progress.preparing);
  made.times.prepare = seconds_since(begun);

  const auto encoding = Clock::now();
  Job job = engine.start(request);
  made.warnings = job.warnings;
  made.embedding_hashes = embedding_hashes(engine.pipeline(), job.prompts.embeddings);
  made.times.text_encoder = seconds_since(encoding);

  if (progress.denoising) progress.denoising();
  const auto denoising = Clock::now();
  while (!job.done()) {
    engine.step(job);
    if (progress.stepped) progress.stepped(job.call, job.calls(), seconds_since(denoising));
  }
  made.times.unet = seconds_since(denoising);

  if (progress.decoding) progress.decoding();
  const auto decoding = Clock::now();
  made.image = engine.finish(job);
  made.times.vae = seconds_since(decoding);
  made.times.total = seconds_since(begun);
  return made;
}

}  // namespace inkstone
