// The members of all messages between gateway and worker, by their names in JSON.
#pragma once

#include "diffusion/request_fields.h"
#include "serve/wire/fields.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

template <typename V, Of<Interval> M>
void fields(V& visit, M& interval) {
  visit("from", interval.from);
  visit("to", interval.to);
}

template <typename V, Of<ImageRequest> M>
void fields(V& visit, M& request) {
  for (const RequestField& field : request_fields())
    std::visit([&](auto member) { visit(field.name, request.*member); }, field.member);
}

template <typename V, Of<ModelTraits> M>
void fields(V& visit, M& traits) {
  visit("steps", traits.steps);
  visit("guidance_scale", traits.guidance_scale);
  visit("width", traits.width);
  visit("height", traits.height);
  visit("size_multiple", traits.size_multiple);
  visit("distilled", traits.distilled);
  visit("sdxl", traits.sdxl);
  visit("few_step", traits.few_step);
  visit("only_steps", traits.only_steps);
  visit("text_layers", traits.text_layers);
  visit("scheduler", traits.scheduler);
  visit("scheduler_file", traits.scheduler_file);
}

template <typename V, Of<RequestLimits> M>
void fields(V& visit, M& limits) {
  visit("max_side", limits.max_side);
  visit("max_pixels", limits.max_pixels);
  visit("max_steps", limits.max_steps);
  visit("max_prompt_bytes", limits.max_prompt_bytes);
  visit("approximations", limits.approximations);
}

template <typename V, Of<ModelCard> M>
void fields(V& visit, M& card) {
  visit("name", card.name);
  visit("hash", card.hash);
  visit("parameters", card.parameters);
  visit("adapter_tags", card.adapter_tags);
  visit("adapter_hashes", card.adapter_hashes);
  visit("created", card.created);
  visit("fingerprint", card.fingerprint);
  visit("tokens", card.tokens);
  visit("traits", card.traits);
  visit("limits", card.limits);
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
  visit("estimated", times.estimated);
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
