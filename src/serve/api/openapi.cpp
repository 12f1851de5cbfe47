#include "serve/api/openapi.h"

#include <span>
#include <string_view>

#include "base/json.h"
#include "base/version.h"
#include "serve/api/a1111_extras.h"
#include "serve/api/a1111_request.h"
#include "serve/api/fields.h"
#include "serve/api/generate_request.h"
#include "serve/api/openai_request.h"

namespace inkstone::serve {
namespace {

struct RouteInfo {
  const char *method, *path, *tag, *summary;
  std::span<const FieldInfo> (*fields)() = nullptr;  // of its JSON body
  // Which may stand in the query as well, and in a form.
  bool in_query = false, in_form = false;
};

std::span<const FieldInfo> text_fields() { return a1111_fields(A1111Task::kText); }
std::span<const FieldInfo> picture_fields() { return a1111_fields(A1111Task::kPicture); }
std::span<const FieldInfo> single_fields() { return a1111_extras_fields(A1111Extras::kSingle); }
std::span<const FieldInfo> batch_fields() { return a1111_extras_fields(A1111Extras::kBatch); }

constexpr RouteInfo kRoutes[] = {
    {"post", "/generate", "generate",
     "Images from a text. The answer comes when they are done; as events while they are made (Accept: "
     "text/event-stream); at once "
     "with a job's URL (Prefer: respond-async); or as the bytes of one image (Accept: image/png).",
     generate_fields, true, true},
    {"get", "/jobs", "jobs",
     "Your jobs, under way or still kept, the newest first: ?limit=1 to 100, 20 if not said; ?before=ID for older "
     "ones, which `next` names."},
    {"get", "/jobs/{id}", "jobs", "A job of yours: its status, progress, position, and links to its images."},
    {"delete", "/jobs/{id}", "jobs",
     "Cancels it; answers the job as it then is, \"done\" where it was too late. May be repeated."},
    {"get", "/jobs/{id}/images/{n}", "jobs", "The bytes of its image n, from 0; with ?download as an attachment."},
    {"get", "/jobs/{id}/events", "jobs",
     "The job's progress as server-sent events: queued, step, preview, image, done or error."},
    {"get", "/queue", "server", "The server's state: queue, workers, their measured curves and memory."},
    {"get", "/v1/info", "server",
     "A model, its defaults, and the limits of a request: the default model's, or ?model=NAME's; and the names of "
     "all."},
    {"get", "/models", "server", "The models, adapters and upscalers that a request may name."},
    {"post", "/models", "server", "Looks into the operator's folders again, and answers the same."},
    {"get", "/health/live", "server", "200 while work passes through the scheduler."},
    {"get", "/health/ready", "server", "200 while requests are admitted."},
    {"get", "/health", "server", "As /health/live."},
    {"get", "/healthz", "server", "As /health/live."},
    {"get", "/ping", "server", "As /health/live."},
    {"get", "/internal/ping", "server", "An empty object, as AUTOMATIC1111 answers."},
    {"get", "/metrics", "server", "Figures for Prometheus."},
    {"get", "/openapi.json", "server", "This document."},
    {"get", "/docs", "server", "This document as a page."},
    {"post", "/v1/images/generations", "openai", "OpenAI's image generation, with streams of partial images.",
     openai_fields, false, true},
    {"post", "/v1/images/edits", "openai",
     "OpenAI's image edits: an image, and a mask whose transparent part is drawn anew.", openai_fields, false, true},
    {"post", "/v1/images/variations", "openai", "OpenAI's image variations.", openai_fields, false, true},
    {"get", "/v1/models", "openai", "The models that can be asked for, the default first."},
    {"get", "/v1/models/{id}", "openai", "One of them."},
    {"get", "/v1/files/img/{file}", "openai", "An image by the link that an answer gave, for some minutes."},
    {"post", "/sdapi/v1/txt2img", "a1111", "AUTOMATIC1111's text to image.", text_fields},
    {"get", "/sdapi/v1/progress", "a1111", "Progress of your own jobs."},
    {"post", "/sdapi/v1/interrupt", "a1111",
     "Ends the steps of your own jobs; they answer with the images as they are."},
    {"post", "/sdapi/v1/skip", "a1111", "Ends the steps of the first of your own jobs."},
    {"get", "/sdapi/v1/options", "a1111", "Your own options."},
    {"post", "/sdapi/v1/options", "a1111", "Changes your own options."},
    {"post", "/sdapi/v1/png-info", "a1111", "The texts in a PNG, JPEG or WebP file: {\"image\": base64}."},
    {"get", "/sdapi/v1/samplers", "a1111", "Samplers and their aliases."},
    {"get", "/sdapi/v1/schedulers", "a1111", "Schedule types."},
    {"get", "/sdapi/v1/sd-models", "a1111", "The models that can be asked for, the default first."},
    {"get", "/sdapi/v1/upscalers", "a1111",
     "What hr_upscaler and upscaler_1 may be, the server's networks among them."},
    {"get", "/sdapi/v1/memory", "a1111", "Memory of host and device."},
    {"get", "/sdapi/v1/embeddings", "a1111", "Empty."},
    {"get", "/sdapi/v1/scripts", "a1111", "Empty."},
    {"get", "/sdapi/v1/cmd-flags", "a1111", "A few."},
    {"get", "/sdapi/v1/sd-vae", "a1111", "Empty."},
    {"get", "/sdapi/v1/latent-upscale-modes", "a1111", "What enlarges latents, for hr_upscaler."},
    {"get", "/sdapi/v1/hypernetworks", "a1111", "Empty."},
    {"get", "/sdapi/v1/face-restorers", "a1111", "Empty."},
    {"get", "/sdapi/v1/realesrgan-models", "a1111", "Empty."},
    {"get", "/sdapi/v1/prompt-styles", "a1111", "Empty."},
    {"get", "/sdapi/v1/loras", "a1111", "The adapters that <lora:NAME:0.8> in a prompt may name."},
    {"get", "/controlnet/model_list", "a1111", "The ControlNets that a unit may name."},
    {"get", "/controlnet/module_list", "a1111", "none: there are no preprocessors."},
    {"get", "/controlnet/version", "a1111", "Of the ControlNet extension that is spoken here."},
    {"get", "/sdapi/v1/script-info", "a1111", "Empty."},
    {"get", "/sdapi/v1/extensions", "a1111", "Empty."},
    {"post", "/sdapi/v1/refresh-checkpoints", "a1111", "Looks for models and adapters again."},
    {"post", "/sdapi/v1/refresh-vae", "a1111", "Without effect."},
    {"post", "/sdapi/v1/refresh-embeddings", "a1111", "Without effect."},
    {"post", "/sdapi/v1/refresh-loras", "a1111", "The same."},
    {"post", "/sdapi/v1/unload-checkpoint", "a1111", "Without effect."},
    {"post", "/sdapi/v1/reload-checkpoint", "a1111", "Without effect."},
    {"post", "/sdapi/v1/img2img", "a1111", "AUTOMATIC1111's image to image, and inpainting.", picture_fields},
    {"post", "/sdapi/v1/extra-single-image", "a1111", "AUTOMATIC1111's extras: a picture is made larger.",
     single_fields},
    {"post", "/sdapi/v1/extra-batch-images", "a1111", "The same of several pictures.", batch_fields},
    {"post", "/sdapi/v1/interrogate", "a1111", "501: not supported."},
    {"get", "/v2", "oip", "The server's metadata, by the Open Inference Protocol."},
    {"get", "/v2/health/live", "oip", "As /health/live."},
    {"get", "/v2/health/ready", "oip", "As /health/ready."},
    {"get", "/v2/models/{model}", "oip", "The model's metadata."},
    {"get", "/v2/models/{model}/ready", "oip", "Whether it is ready."},
    {"get", "/v2/models/{model}/versions/{version}", "oip", "The same."},
    {"get", "/v2/models/{model}/versions/{version}/ready", "oip", "The same."},
};

JsonObject schema_of(std::span<const FieldInfo> fields) {
  JsonObject properties;
  for (const FieldInfo& field : fields) {
    JsonObject one{{"type", field.type}, {"description", field.about}};
    if (field.example != "null") one["examples"] = JsonArray{parse_json(field.example, "example")};
    properties[field.name] = std::move(one);
  }
  return {{"type", "object"}, {"properties", std::move(properties)}};
}

JsonArray parameters_of(const RouteInfo& route) {
  JsonArray parameters;
  const std::string_view path = route.path;
  for (size_t open = path.find('{'); open != path.npos; open = path.find('{', open + 1))
    parameters.push_back(JsonObject{{"name", path.substr(open + 1, path.find('}', open) - open - 1)},
                                    {"in", "path"},
                                    {"required", true},
                                    {"schema", JsonObject{{"type", "string"}}}});
  if (!route.in_query) return parameters;
  for (const FieldInfo& field : route.fields())
    parameters.push_back(JsonObject{{"name", field.name},
                                    {"in", "query"},
                                    {"description", field.about},
                                    {"schema", JsonObject{{"type", field.type}}}});
  return parameters;
}

JsonObject operation_of(const RouteInfo& route) {
  const JsonObject error{
      {"description", "What is wrong, in the API's own shape, with the field, its value and what is allowed."}};
  JsonObject operation{{"tags", JsonArray{route.tag}},
                       {"summary", route.summary},
                       {"responses", JsonObject{{"200", JsonObject{{"description", "Done."}}}, {"default", error}}}};
  if (JsonArray parameters = parameters_of(route); !parameters.empty()) operation["parameters"] = std::move(parameters);
  if (!route.fields) return operation;
  const JsonObject schema{{"schema", schema_of(route.fields())}};
  JsonObject content{{"application/json", schema}};
  if (route.in_form) content["multipart/form-data"] = schema;
  operation["requestBody"] = JsonObject{{"content", std::move(content)}};
  return operation;
}

}  // namespace

JsonObject openapi_json() {
  JsonObject paths;
  for (const RouteInfo& route : kRoutes) {
    Json& path = paths[route.path];
    if (!path.is_object()) path = JsonObject{};
    path.as_object()[route.method] = operation_of(route);
  }
  return {{"openapi", "3.1.0"},
          {"info", JsonObject{{"title", "Inkstone"},
                              {"version", kVersion},
                              {"description", "Images from texts: many people's at once, each as if alone."}}},
          {"externalDocs", JsonObject{{"description", "The same as a page."}, {"url", "docs"}}},
          {"paths", std::move(paths)},
          {"components",
           JsonObject{{"securitySchemes", JsonObject{{"key", JsonObject{{"type", "http"}, {"scheme", "bearer"}}}}}}},
          {"security", JsonArray{JsonObject{}, JsonObject{{"key", JsonArray{}}}}}};
}

std::string openapi_document(const std::string& prefix) {
  static const std::string text = json_text(openapi_json());  // without the prefix it is written once
  if (prefix.empty()) return text;
  JsonObject document = openapi_json();
  document["servers"] = JsonArray{JsonObject{{"url", prefix}}};
  return json_text(document);
}

}  // namespace inkstone::serve
