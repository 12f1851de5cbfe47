#include "load/dialect.h"

#include <array>
#include <boost/json/serialize.hpp>
#include <utility>

#include "base/error.h"

namespace inkstone {
namespace {

constexpr std::pair<Dialect, std::string_view> kDialects[] = {
    {Dialect::kGenerate, "generate"}, {Dialect::kOpenAi, "openai"}, {Dialect::kA1111, "a1111"}};

HttpText written_for_generate(const LoadRequest& request, const Wording& wording) {
  JsonObject body{{"prompt", request.prompt}, {"seed", request.seed}};
  if (!request.negative_prompt.empty()) body["negative_prompt"] = request.negative_prompt;
  if (request.width > 0) body["width"] = request.width;
  if (request.height > 0) body["height"] = request.height;
  if (request.steps > 0) body["num_inference_steps"] = request.steps;
  if (request.guidance) body["guidance_scale"] = *request.guidance;
  if (!request.scheduler.empty()) body["scheduler"] = request.scheduler;
  if (request.images > 1) body["num_images_per_prompt"] = request.images;
  if (!request.priority.empty()) body["priority"] = request.priority;
  if (wording.deadlines && request.slo) body["deadline_ms"] = static_cast<int64_t>(*request.slo * 1000);
  return {"/generate", boost::json::serialize(body)};
}

HttpText written_for_openai(const LoadRequest& request, const Wording& wording) {
  JsonObject body{{"prompt", request.prompt}, {"response_format", "b64_json"}, {"seed", request.seed}};
  if (!wording.model.empty()) body["model"] = wording.model;
  if (!request.negative_prompt.empty()) body["negative_prompt"] = request.negative_prompt;
  if (request.width > 0) body["size"] = std::to_string(request.width) + "x" + std::to_string(request.height);
  if (request.steps > 0) body["num_inference_steps"] = request.steps;
  if (request.guidance) body["guidance_scale"] = *request.guidance;
  if (!request.scheduler.empty()) body["scheduler"] = request.scheduler;
  body["n"] = request.images;
  return {"/v1/images/generations", boost::json::serialize(body)};
}

HttpText written_for_a1111(const LoadRequest& request) {
  JsonObject body{{"prompt", request.prompt}, {"seed", request.seed}, {"batch_size", request.images}};
  body["negative_prompt"] = request.negative_prompt;
  if (request.width > 0) body["width"] = request.width;
  if (request.height > 0) body["height"] = request.height;
  if (request.steps > 0) body["steps"] = request.steps;
  if (request.guidance) body["cfg_scale"] = *request.guidance;
  if (!request.scheduler.empty()) body["sampler_name"] = request.scheduler;
  return {"/sdapi/v1/txt2img", boost::json::serialize(body)};
}

const Json* image_in(const Json& entry) {
  if (entry.is_string()) return &entry;
  if (!entry.is_object()) return nullptr;
  for (const char* name : {"b64_json", "image"})
    if (const Json* text = entry.get_object().if_contains(name); text && text->is_string()) return text;
  return nullptr;
}

int digit_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

Dialect dialect(std::string_view name) {
  for (const auto& [value, known] : kDialects)
    if (name == known) return value;
  fail<UsageError>(INKSTONE_HERE, {"--api ", name, ": there are generate, openai and a1111"});
}

std::string_view dialect_name(Dialect dialect) {
  for (const auto& [value, known] : kDialects)
    if (dialect == value) return known;
  return "";
}

HttpText written(const LoadRequest& request, const Wording& wording) {
  if (wording.dialect == Dialect::kOpenAi) return written_for_openai(request, wording);
  if (wording.dialect == Dialect::kA1111) return written_for_a1111(request);
  return written_for_generate(request, wording);
}

std::string from_base64(std::string_view text) {
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const int digit = digit_of(c);
    INKSTONE_CHECK(digit >= 0, "an image in base64 has the character ", static_cast<int>(c), " in it");
    bits = bits << 6 | static_cast<uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xff);
  }
  return bytes;
}

std::vector<std::string> images_of(std::string_view json) {
  const Json value = parse_json(json, "answer");
  INKSTONE_CHECK(value.is_object(), "the answer is not an object");
  const JsonObject& object = value.get_object();
  std::vector<const Json*> texts;
  for (const char* name : {"images", "data"})
    if (const Json* list = object.if_contains(name); list && list->is_array())
      for (const Json& entry : list->get_array()) texts.push_back(image_in(entry));
  if (texts.empty()) texts.push_back(image_in(value));
  std::vector<std::string> images;
  for (const Json* text : texts) {
    INKSTONE_CHECK(text != nullptr, "the answer has no image in it");
    std::string_view base64(text->get_string());
    if (base64.substr(0, 5) == "data:") base64.remove_prefix(base64.find(',') + 1);
    images.push_back(from_base64(base64));
  }
  return images;
}

}  // namespace inkstone
