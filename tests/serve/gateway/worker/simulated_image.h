// What the simulated worker draws: pixels that depend on the request and the steps made alone.
#pragma once

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <string>

#include "base/image.h"
#include "base/json.h"
#include "diffusion/resolved_request.h"
#include "serve/wire/message_fields.h"
#include "serve/wire/model_card.h"
#include "serve/wire/variant.h"

namespace inkstone::serve {

inline ModelCard simulated_card() {
  ModelCard card;
  card.name = card.file = "simulated";
  card.traits.width = card.traits.height = 64;
  card.traits.size_multiple = 8;
  card.traits.scheduler = std::make_shared<const Json>(
      JsonObject{{"_class_name", "PNDMScheduler"}, {"skip_prk_steps", true}, {"steps_offset", 1}});
  card.limits.max_side = 256;
  card.limits.max_pixels = 256 * 256;
  return card;
}

inline uint64_t mixed(uint64_t state, uint64_t value) {
  state ^= value + 0x9e3779b97f4a7c15 + (state << 6) + (state >> 2);
  return (state ^ (state >> 31)) * 0xbf58476d1ce4e5b9;
}

// Of another model than the worker was started with, its file's name and its adapters change the image.
inline uint64_t noise_of(const ImageRequest& request, const Variant& variant) {
  uint64_t state = 1;
  for (const char c : std::filesystem::path(variant.model.path).stem().string())
    state = mixed(state, static_cast<uint8_t>(c));
  for (const VariantAdapter& adapter : variant.adapters)
    for (const char c : std::filesystem::path(adapter.path).stem().string() + std::to_string(adapter.unet))
      state = mixed(state, static_cast<uint8_t>(c));
  for (const char c : boost::json::serialize(FieldWriter::object_of(request)))
    state = mixed(state, static_cast<uint8_t>(c));
  return state;
}

inline ResolvedRequest resolved(const ImageRequest& request) {
  const ModelCard card = simulated_card();
  return resolve(request, card.traits, card.limits);
}

// `request` says every field.
inline Image pixels_of(const ImageRequest& request, uint64_t state) {
  Image image{request.width.value(), request.height.value(), {}};
  image.rgb.resize(static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3);
  for (uint8_t& value : image.rgb) value = static_cast<uint8_t>((state = mixed(state, 1)) >> 56);
  return image;
}

inline Image simulated_image(const ImageRequest& request, int calls, const Variant& variant = {}) {
  uint64_t state = noise_of(request, variant);
  for (int call = 0; call < calls; call++) state = mixed(state, static_cast<uint64_t>(call));
  return pixels_of(request, state);
}

}  // namespace inkstone::serve
