// What the lists of goldens' runs (made by tools/fixtures) have in common.
#pragma once

#include <string>
#include <utility>

#include "base/json.h"
#include "diffusion/engine.h"

namespace inkstone {

// What diffusers was asked for. Lists that say neither size nor scheduler mean 32x32 and ddim.
inline ImageRequest golden_request(const Json& run) {
  const auto text = [&](const char* key) { return std::string(run.at(key).as_string()); };
  const auto says = [&](const char* key) { return run.as_object().contains(key); };
  ImageRequest request;
  request.prompt = text("prompt");
  request.negative_prompt = text("negative_prompt");
  request.seed = run.at("seed").is_string() ? std::stoull(text("seed")) : run.at("seed").to_number<uint64_t>();
  request.steps = run.at("steps").to_number<int>();
  request.guidance_scale = run.at("guidance").to_number<float>();
  request.width = says("width") ? run.at("width").to_number<int>() : 32;
  request.height = says("height") ? run.at("height").to_number<int>() : 32;
  request.scheduler = says("scheduler") ? text("scheduler") : "ddim";
  return request;
}

// With its last latent.
inline Job stepped(Engine& engine, Job job) {
  while (!job.done()) engine.step(job);
  return job;
}

inline Job stepped(Engine& engine, const ImageRequest& request) {
  return stepped(engine, engine.start(engine.resolve(request)));
}

}  // namespace inkstone
