// What this server takes of one request: the model's limits and the operator's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api/api.h"
#include "serve/api/fields.h"
#include "serve/model_card.h"
#include "serve/order.h"

namespace inkstone {

inline constexpr size_t kMostPromptBytes = 16 << 10;
inline constexpr size_t kMostWordBytes = 256;  // of a name
inline constexpr double kMostGuidance = 100;

struct Limits {
  int multiple = 64, most_side = 2048;  // pixels
  int64_t most_pixels = 0;
  int most_steps = 200, most_pictures = 16;
};

// Throws ApiFault 503 where no worker is ready yet.
const ModelCard& ready_model(const Desk& desk);
Limits limits_of(const ApiContext& context, const ModelCard& card);

// Reads width and height by the API's names for them, each with its default; refuses what is no multiple, too long or too much.
struct SizeNames {
  std::string_view width, height;
};
void read_size(const Fields& fields, SizeNames names, const Limits& limits, PictureRequest& picture);
void check_size(const Fields& fields, SizeNames names, const Limits& limits, int64_t width, int64_t height);

// `--scheduler`'s name for a scheduler named so or as diffusers' class; nothing for another.
std::optional<std::string> scheduler_by_name(std::string_view name);
// Reads "scheduler", "karras" and "eta".
void read_scheduler(const Fields& fields, const ModelCard& card, PictureRequest& picture);

// `count` pictures whose seeds follow one another. `seed_name`: the field's, for the fault where they would not.
std::vector<PictureRequest> series(const PictureRequest& first, int count, std::string_view seed_name);

}  // namespace inkstone
