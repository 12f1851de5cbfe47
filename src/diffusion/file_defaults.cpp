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

void apply_file_defaults(Opening& opening, const FileMetadata& metadata, const std::string& source) {
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return;
  const std::string place = source + " (" + kKey + " of its metadata)";
  INKSTONE_CHECK(found->second.size() <= kMaxConfigBytes, place, " has ", found->second.size(), " bytes, at most ",
                 kMaxConfigBytes, " are read");
  const Json json = parse_json(found->second, place, kMaxOutsideValues);
  ConfigReader reader(json, place);
  const std::vector<int> sizes = reader.integers(kSample, 0, 0, kMaxSample);
  if (sizes.size() > 2) reader.refuse(kSample, "[height, width] is wanted");
  std::optional<bool> zeros;
  if (reader.has(kZeros)) zeros = reader.boolean(kZeros, false);
  std::shared_ptr<const Json> scheduler;
  if (reader.has(kScheduler)) scheduler = std::make_shared<const Json>(json.get_object().at(kScheduler));
  const ImageRequest request = generation_defaults(json, place);
  opening.steps = request.steps;
  opening.guidance_scale = request.guidance_scale;
  opening.has_own_scheduler = scheduler != nullptr;
  opening.decide = [=, decide = std::move(opening.decide)](Pipeline& model) {
    decide(model);
    if (!sizes.empty()) {
      model.unet_config.sample_height = sizes.front();
      model.unet_config.sample_width = sizes.back();
    }
    model.zeros_for_no_negative = zeros.value_or(model.zeros_for_no_negative);
    if (!scheduler) return;
    model.traits.scheduler = scheduler;
    model.traits.scheduler_file = place;
  };
}

}  // namespace inkstone
