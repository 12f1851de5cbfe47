#include "diffusion/parameters.h"

#include <fmt/format.h>

#include "adapters/tags.h"
#include "base/json_fwd.h"
#include "base/version.h"
#include "diffusion/enlargement.h"
#include "diffusion/request_fields.h"
#include "diffusion/scheduler_names.h"

namespace inkstone {
namespace {

// A value with a comma, a colon or a line break would end its field early: such a one stands as a JSON string.
std::string quoted(const std::string& value) {
  if (value.find_first_of(",:\n") == std::string::npos) return value;
  return json_quoted(value);
}

// The noise levels by the name of the web UI's schedule types. "Automatic" stands for the sampler's own there, which for
// some are Karras' or exponential: so for those the model's own say Uniform.
const char* schedule_type(const SchedulerConfig& config) {
  if (config.schedule != Schedule::kDefault) return schedule_name(config.schedule).label;
  switch (config.kind) {
    case SchedulerKind::kPndm:
    case SchedulerKind::kDdim:
    case SchedulerKind::kUniPc:
    case SchedulerKind::kLcm:
    case SchedulerKind::kDeis:
    case SchedulerKind::kTcd: return "Automatic";
    default: return "Uniform";
  }
}

}  // namespace

AdapterTexts adapter_texts(const std::vector<MergedAdapter>& adapters) {
  constexpr size_t kHashDigits = 12;
  AdapterTexts texts;
  for (const MergedAdapter& adapter : adapters) {
    texts.tags += (texts.tags.empty() ? "" : " ") + tag_text({adapter.name, adapter.use.text, adapter.use.unet});
    texts.hashes +=
        fmt::format("{}{}: {}", texts.hashes.empty() ? "" : ", ", adapter.name, adapter.hash.substr(0, kHashDigits));
  }
  return texts;
}

std::string parameters_text(const ResolvedRequest& request, const std::string& model_name, const AdapterTexts& adapters,
                            const RefinerText& refiner) {
  if (request.enlargement) return enlargement_text(request);
  std::string text = request.prompt + (adapters.tags.empty() ? "" : " ") + adapters.tags + "\n";
  if (!request.negative_prompt.empty()) text += "Negative prompt: " + request.negative_prompt + "\n";
  text += fmt::format("Steps: {}, Sampler: {}, Schedule type: {}, CFG scale: {}, Seed: {}, Size: {}x{}", request.steps,
                      sampler_name(request.scheduler_config.kind).name, schedule_type(request.scheduler_config),
                      request.guidance_scale, request.seed, request.width, request.height);
  const ImageRequest said = request.said(), usual = ResolvedRequest{}.said();
  for (const RequestField& field : request_fields()) {
    if (!field.infotext || value_text(field, said) == value_text(field, usual)) continue;
    // As the web UI writes them.
    const bool is_upscaler = field.member == RequestMember(&ImageRequest::hires_upscaler);
    if (field.member == RequestMember(&ImageRequest::hires_steps) && request.hires_steps == 0) continue;
    text += fmt::format(", {}: {}", field.infotext,
                        quoted(is_upscaler ? request.hires_upscaler.label : value_text(field, said)));
  }
  if (!refiner.name.empty())
    text += fmt::format(", Refiner: {}, Refiner switch at: {}", quoted(refiner.name), refiner.start);
  if (!adapters.hashes.empty()) text += ", Lora hashes: " + json_quoted(adapters.hashes);
  if (!adapters.embedding_hashes.empty()) text += ", TI hashes: " + json_quoted(adapters.embedding_hashes);
  return text + fmt::format(", Model: {}, Version: inkstone {}", quoted(model_name), kVersion);
}

}  // namespace inkstone
