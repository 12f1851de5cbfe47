// The lists that AUTOMATIC1111's clients ask for at their start. Most are empty: there are no
// extensions. No path is told.
#include <algorithm>

#include "base/json.h"
#include "base/utf8.h"
#include "diffusion/scheduler_names.h"
#include "serve/api/a1111.h"
#include "serve/api/a1111_samplers.h"
#include "serve/api/a1111_upscalers.h"
#include "serve/api/answers.h"
#include "serve/api/fault.h"
#include "serve/api/limits.h"

namespace inkstone::serve {
namespace {

Json samplers_json(A1111State&) {
  JsonArray json;
  for (const SamplerName& sampler : sampler_names()) {
    if (sampler.stands != Stands::kItself) continue;
    JsonArray aliases;
    for (const std::string& alias : aliases_of(sampler)) aliases.emplace_back(alias);
    JsonObject options;
    const Schedule automatic = sampler.automatic;
    if (automatic != Schedule::kDefault && automatic != Schedule::kUniform)
      options["scheduler"] = schedule_name(automatic).name;
    json.push_back(
        JsonObject{{"name", sampler.name}, {"aliases", std::move(aliases)}, {"options", std::move(options)}});
  }
  return json;
}

Json schedulers_json(A1111State&) {
  JsonArray json;
  for (const ScheduleName& schedule : schedule_names())
    if (schedule.stands == Stands::kItself && takes_schedule(SchedulerKind::kEuler, schedule.schedule))
      json.push_back(JsonObject{{"name", schedule.name},
                                {"label", schedule.label},
                                {"aliases", nullptr},
                                {"default_rho", schedule.schedule == Schedule::kKarras ? 7.0 : -1.0},
                                {"need_inner_model", false}});
  return json;
}

Json models_json(A1111State& state) {
  JsonArray json;
  for (const ModelCard* card : ready_models(state.context.service, true)) {
    const bool known = !card->hash.empty();
    json.push_back(JsonObject{{"title", model_title(*card)},
                              {"model_name", card->name},
                              {"hash", known ? Json(card->hash.substr(0, 10)) : Json()},
                              {"sha256", known ? Json(card->hash) : Json()},
                              {"filename", card->file},
                              {"config", nullptr}});
  }
  return json;
}

Json loras_json(A1111State& state) {
  JsonArray json;
  const std::vector<AdapterName>* adapters = state.context.service.adapters();
  for (const AdapterName& adapter : adapters ? *adapters : std::vector<AdapterName>{}) {
    const std::string name = clean_utf8(adapter.name);
    json.push_back(
        JsonObject{{"name", name}, {"alias", name}, {"path", name + ".safetensors"}, {"metadata", JsonObject{}}});
  }
  return json;
}

// Of the default model.
Json embeddings_json(A1111State& state) {
  JsonObject loaded, skipped;
  for (const EmbeddingCard& one : ready_models(state.context.service).front()->embeddings)
    (one.skipped ? skipped : loaded)[one.name] = JsonObject{{"step", nullptr},
                                                            {"sd_checkpoint", nullptr},
                                                            {"sd_checkpoint_name", nullptr},
                                                            {"shape", one.width},
                                                            {"vectors", one.vectors}};
  return JsonObject{{"loaded", std::move(loaded)}, {"skipped", std::move(skipped)}};
}

// Answers when that was done.
void rescan(A1111State& state, const http::ExchangePtr& exchange) {
  state.context.service.rescan([exchange] { exchange->reply(json_reply(200, nullptr)); });
}

JsonObject memory_part(size_t free, size_t used, size_t total) {
  return {{"free", free}, {"used", used}, {"total", total}};
}

Json memory_json(A1111State& state) {
  DeviceFigures ram, device;
  for (const WorkerFigures& worker : state.context.service.figures().workers) {
    DeviceFigures& sum = worker.device == "cpu" ? ram : device;
    sum.memory_total = std::max(sum.memory_total, worker.device_figures.memory_total);
    sum.memory_free = std::max(sum.memory_free, worker.device_figures.memory_free);
    sum.memory_used += worker.device_figures.memory_used;
  }
  return JsonObject{
      {"ram", memory_part(ram.memory_free, ram.memory_used, ram.memory_total)},
      {"cuda", JsonObject{{"system", memory_part(device.memory_free, device.memory_used, device.memory_total)}}}};
}

// Those of pixels, and the operator's networks; latent-upscale-modes has the others.
Json upscalers_json(A1111State& state) {
  JsonArray rows;
  const auto add = [&](const std::string& name, const Json& model, int scale) {
    rows.push_back(JsonObject{
        {"name", name}, {"model_name", model}, {"model_path", nullptr}, {"model_url", nullptr}, {"scale", scale}});
  };
  add("None", nullptr, 1);
  for (const HiresUpscaler& one : hires_upscalers_all())
    if (!one.of_latent) add(one.label, nullptr, 1);
  for (const UpscalerTrait& one : served_upscalers(state.context.service))
    add(clean_utf8(one.name), Json(clean_utf8(one.name)), one.factor);
  return rows;
}

// Of the default model.
Json control_models_json(A1111State& state) {
  JsonArray names;
  for (const ControlTrait& control : ready_model(state.context.service).traits.controls)
    names.emplace_back(control.name);
  return JsonObject{{"model_list", std::move(names)}};
}
Json control_modules_json(A1111State&) {
  return JsonObject{{"module_list", JsonArray{"none"}}, {"module_detail", JsonObject{}}};
}
Json control_version_json(A1111State&) { return JsonObject{{"version", 3}}; }

Json latent_upscalers_json(A1111State&) {
  JsonArray json;
  for (const HiresUpscaler& one : hires_upscalers_all())
    if (one.of_latent) json.push_back(JsonObject{{"name", one.label}});
  return json;
}

Json empty_array(A1111State&) { return JsonArray{}; }
Json nothing(A1111State&) { return nullptr; }

struct List {
  const char* name;
  Json (*json)(A1111State&);
};
constexpr List kLists[] = {
    {"samplers", samplers_json},
    {"schedulers", schedulers_json},
    {"sd-models", models_json},
    {"upscalers", upscalers_json},
    {"memory", memory_json},
    {"embeddings", embeddings_json},
    {"scripts",
     [](A1111State&) -> Json {
       return JsonObject{{"txt2img", JsonArray{}}, {"img2img", JsonArray{}}};
     }},
    {"cmd-flags",
     [](A1111State&) -> Json {
       return JsonObject{{"api", true}, {"nowebui", false}, {"gradio_debug", false}};
     }},
    {"sd-vae", empty_array},
    {"latent-upscale-modes", latent_upscalers_json},
    {"hypernetworks", empty_array},
    {"face-restorers", empty_array},
    {"realesrgan-models", empty_array},
    {"prompt-styles", empty_array},
    {"loras", loras_json},
    {"script-info", empty_array},
    {"extensions", empty_array},
};
// Of the ControlNet extension, below /controlnet/.
constexpr List kControlLists[] = {
    {"model_list", control_models_json}, {"module_list", control_modules_json}, {"version", control_version_json}};
constexpr const char* kRescans[] = {"refresh-checkpoints", "refresh-loras"};
// What is in memory is the server's to decide, and nobody's request changes the rest.
constexpr const char* kWithoutEffect[] = {"refresh-vae", "refresh-embeddings", "unload-checkpoint",
                                          "reload-checkpoint"};

}  // namespace

void add_a1111_lists(http::Router& router, const std::shared_ptr<A1111State>& state) {
  const auto add = [&](const char* method, const char* name, Json (*json)(A1111State&)) {
    add_a1111_route(router, state, method, name, [json](A1111State& here, const http::ExchangePtr& exchange) {
      exchange->reply(json_reply(200, json(here)));
    });
  };
  for (const List& list : kLists) add("GET", list.name, list.json);
  for (const List& list : kControlLists)
    router.add({"GET", std::string("/controlnet/") + list.name,
                handled(http::ErrorShape::kA1111,
                        [state, json = list.json](const http::ExchangePtr& exchange) {
                          exchange->reply(json_reply(200, json(*state)));
                        }),
                http::ErrorShape::kA1111});
  for (const char* name : kRescans) add_a1111_route(router, state, "POST", name, rescan);
  for (const char* name : kWithoutEffect) add("POST", name, nothing);
}

}  // namespace inkstone::serve
