// The members of all messages between gateway and worker, by their names in JSON.
#pragma once

#include "serve/wire/fields.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

template <typename V, Of<ImageRequest> M>
void fields(V& visit, M& request) {
  visit("prompt", request.prompt);
  visit("negative_prompt", request.negative_prompt);
  visit("seed", request.seed);
  visit("steps", request.steps);
  visit("guidance", request.guidance);
  visit("width", request.width);
  visit("height", request.height);
  visit("scheduler", request.scheduler);
  visit("karras", request.karras);
  visit("eta", request.eta);
}

template <typename V, Of<ModelCard> M>
void fields(V& visit, M& card) {
  visit("name", card.name);
  visit("hash", card.hash);
  visit("parameters", card.parameters);
  visit("created", card.created);
  visit("width", card.width);
  visit("height", card.height);
  visit("steps", card.steps);
  visit("guidance", card.guidance);
  visit("scheduler", card.scheduler);
  visit("size_multiple", card.size_multiple);
  visit("tokens", card.tokens);
  visit("max_side", card.max_side);
  visit("max_pixels", card.max_pixels);
  visit("distilled", card.distilled);
}

template <typename V, Of<StartCommand> M>
void fields(V& visit, M& command) {
  visit("job", command.job);
  visit("request", command.request);
}

template <typename V, Of<StepCommand> M>
void fields(V& visit, M& command) {
  visit("jobs", command.jobs);
  visit("previews", command.previews);
}

template <typename V, Of<FinishCommand> M>
void fields(V& visit, M& command) {
  visit("job", command.job);
}

template <typename V, Of<DropCommand> M>
void fields(V& visit, M& command) {
  visit("jobs", command.jobs);
}

template <typename V, Of<JobFault> M>
void fields(V& visit, M& fault) {
  visit("job", fault.job);
  visit("code", fault.code);
  visit("message", fault.message);
}

template <typename V, Of<Preview> M>
void fields(V& visit, M& preview) {
  visit("job", preview.job);
  visit("call", preview.call);
  visit("image", preview.image);
}

template <typename V, Of<DeviceFigures> M>
void fields(V& visit, M& figures) {
  visit("memory_total", figures.memory_total);
  visit("memory_free", figures.memory_free);
  visit("memory_used", figures.memory_used);
  visit("fragmentation", figures.fragmentation);
  visit("utilisation", figures.utilisation);
  visit("temperature", figures.temperature);
  visit("health", figures.health);
}

template <typename V, Of<BatchTime> M>
void fields(V& visit, M& time) {
  visit("batch_rows", time.batch_rows);
  visit("seconds", time.seconds);
}

template <typename V, Of<ShapeTimes> M>
void fields(V& visit, M& times) {
  visit("width", times.width);
  visit("height", times.height);
  visit("steps", times.steps);
  visit("encode_seconds", times.encode_seconds);
  visit("decode_seconds", times.decode_seconds);
}

template <typename V, Of<Hello> M>
void fields(V& visit, M& hello) {
  visit("device", hello.device);
  visit("description", hello.description);
  visit("precision", hello.precision);
  visit("model", hello.model);
  visit("max_jobs", hello.max_jobs);
  visit("times", hello.times);
  visit("memory", hello.memory);
  visit("figures", hello.figures);
}

template <typename V, Of<Started> M>
void fields(V& visit, M& started) {
  visit("job", started.job);
  visit("seconds", started.seconds);
  visit("rows", started.rows);
  visit("calls", started.calls);
  visit("warnings", started.warnings);
}

template <typename V, Of<Stepped> M>
void fields(V& visit, M& stepped) {
  visit("seconds", stepped.seconds);
  visit("faults", stepped.faults);
  visit("previews", stepped.previews);
  visit("figures", stepped.figures);
}

template <typename V, Of<DidNotFit> M>
void fields(V&, M&) {}

template <typename V, Of<Finished> M>
void fields(V& visit, M& finished) {
  visit("job", finished.job);
  visit("seconds", finished.seconds);
  visit("image", finished.image);
  visit("figures", finished.figures);
}

template <typename V, Of<Failed> M>
void fields(V& visit, M& failed) {
  visit("fault", failed.fault);
}

template <typename V, Of<Unusable> M>
void fields(V& visit, M& unusable) {
  visit("message", unusable.message);
}

}  // namespace inkstone::serve
