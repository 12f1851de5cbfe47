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

template <typename V, Of<ControlUse> M>
void fields(V& visit, M& use) {
  visit("model", use.model);
  visit("image", use.image);
  visit("scale", use.scale);
  visit("start", use.start);
  visit("end", use.end);
}

template <typename V, Of<ControlTrait> M>
void fields(V& visit, M& control) {
  visit("name", control.name);
  visit("features", control.features);
  visit("size_multiple", control.size_multiple);
}

template <typename V, Of<UpscalerTrait> M>
void fields(V& visit, M& upscaler) {
  visit("name", upscaler.name);
  visit("factor", upscaler.factor);
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
  visit("refiner", traits.refiner);
  visit("few_step", traits.few_step);
  visit("only_steps", traits.only_steps);
  visit("text_layers", traits.text_layers);
  visit("controls", traits.controls);
  visit("upscalers", traits.upscalers);
  visit("encodes", traits.encodes);
  visit("inpaints", traits.inpaints);
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

template <typename V, Of<EmbeddingCard> M>
void fields(V& visit, M& embedding) {
  visit("name", embedding.name);
  visit("vectors", embedding.vectors);
  visit("width", embedding.width);
  visit("skipped", embedding.skipped);
}

template <typename V, Of<ModelCard> M>
void fields(V& visit, M& card) {
  visit("name", card.name);
  visit("file", card.file);
  visit("hash", card.hash);
  visit("parameters", card.parameters);
  visit("created", card.created);
  visit("fingerprint", card.fingerprint);
  visit("shape", card.shape);
  visit("tokens", card.tokens);
  visit("traits", card.traits);
  visit("limits", card.limits);
  visit("embeddings", card.embeddings);
}

template <typename V, Of<ModelFile> M>
void fields(V& visit, M& file) {
  visit("path", file.path);
  visit("state", file.state);
}

template <typename V, Of<VariantAdapter> M>
void fields(V& visit, M& adapter) {
  visit("path", adapter.path);
  visit("state", adapter.state);
  visit("text", adapter.text);
  visit("unet", adapter.unet);
}

template <typename V, Of<Variant> M>
void fields(V& visit, M& variant) {
  visit("key", variant.key);
  visit("model", variant.model);
  visit("adapters", variant.adapters);
}

template <typename V, Of<LoadedVariants> M>
void fields(V& visit, M& loaded) {
  visit("seconds", loaded.seconds);
  visit("keys", loaded.keys);
}

template <typename V, Of<StartCommand> M>
void fields(V& visit, M& command) {
  visit("job", command.job);
  visit("request", command.request);
  visit("variant", command.variant);
  visit("first_call", command.first_call);
  visit("end_call", command.end_call);
  visit("goes_on", command.goes_on);
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

template <typename V, Of<DescribeCommand> M>
void fields(V& visit, M& command) {
  visit("model", command.model);
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
  visit("model_file", hello.model_file);
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
  visit("adapter_tags", started.adapter_tags);
  visit("adapter_hashes", started.adapter_hashes);
  visit("embedding_hashes", started.embedding_hashes);
  visit("loaded", started.loaded);
}

template <typename V, Of<Stepped> M>
void fields(V& visit, M& stepped) {
  visit("seconds", stepped.seconds);
  visit("faults", stepped.faults);
  visit("previews", stepped.previews);
  visit("figures", stepped.figures);
  visit("loaded", stepped.loaded);
}

template <typename V, Of<DidNotFit> M>
void fields(V&, M&) {}

template <typename V, Of<KnownHash> M>
void fields(V& visit, M& known) {
  visit("path", known.path);
  visit("hash", known.hash);
}

template <typename V, Of<Finished> M>
void fields(V& visit, M& finished) {
  visit("job", finished.job);
  visit("seconds", finished.seconds);
  visit("image", finished.image);
  visit("figures", finished.figures);
  visit("loaded", finished.loaded);
  visit("hashes", finished.hashes);
}

template <typename V, Of<Failed> M>
void fields(V& visit, M& failed) {
  visit("fault", failed.fault);
  visit("loaded", failed.loaded);
}

template <typename V, Of<Unusable> M>
void fields(V& visit, M& unusable) {
  visit("message", unusable.message);
}

template <typename V, Of<Described> M>
void fields(V& visit, M& described) {
  visit("card", described.card);
  visit("times", described.times);
  visit("fault", described.fault);
}

}  // namespace inkstone::serve
