#include "diffusion/file_defaults.h"

#include "base/error.h"
#include "base/json.h"
#include "base/spelling.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/request_fields.h"
#include "models/config_reader.h"

namespace inkstone {
namespace {

constexpr const char *kKey = "inkstone.defaults", *kScheduler = "scheduler", *kSample = "sample_size",
                     *kZeros = "force_zeros_for_empty_prompt";
constexpr int kMaxSample = 1 << 16;

}  // namespace

FileMetadata file_defaults(const Pipeline& model) {
  const JsonObject said{{kScheduler, *model.traits.scheduler},
                        {kSample, JsonArray{model.unet_config.sample_height, model.unet_config.sample_width}},
                        {kZeros, model.zeros_for_no_negative},
                        {request_field(&ImageRequest::steps).name, model.traits.steps},
                        {request_field(&ImageRequest::guidance_scale).name, shortest(model.traits.guidance_scale)}};
  return {{kKey, json_text(said)}};
}

void apply_file_defaults(Pipeline& model, const FileMetadata& metadata, const std::string& source) {
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return;
  const std::string place = source + " (" + kKey + " of its metadata)";
  INKSTONE_CHECK(found->second.size() <= kMaxConfigBytes, place, " has ", found->second.size(), " bytes, at most ",
                 kMaxConfigBytes, " are read");
  const Json json = parse_json(found->second, place, kMaxOutsideValues);
  ConfigReader reader(json, place);
  const std::vector<int> sizes = reader.integers(kSample, 0, 0, kMaxSample);
  if (sizes.size() > 2) reader.refuse(kSample, "[height, width] is wanted");
  if (!sizes.empty()) {
    model.unet_config.sample_height = sizes.front();
    model.unet_config.sample_width = sizes.back();
  }
  model.zeros_for_no_negative = reader.boolean(kZeros, model.zeros_for_no_negative);
  if (reader.has(kScheduler)) {
    model.traits.scheduler = std::make_shared<const Json>(json.get_object().at(kScheduler));
    model.traits.scheduler_file = place;
  }
  const ImageRequest request = generation_defaults(json, place);
  model.traits.steps = request.steps.value_or(model.traits.steps);
  model.traits.guidance_scale = request.guidance_scale.value_or(model.traits.guidance_scale);
}

}  // namespace inkstone
