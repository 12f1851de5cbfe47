// What this server takes of one request: the model's limits and the operator's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api/api.h"
#include "serve/api/fields.h"
#include "serve/jobs/order.h"
#include "serve/wire/model_card.h"

namespace inkstone::serve {

inline constexpr size_t kMaxPromptBytes = 16 << 10;
inline constexpr size_t kMaxWordBytes = 256;  // of a name
inline constexpr double kMaxGuidance = 100;

struct Limits {
  int multiple = 64, max_side = 2048;  // pixels
  int64_t max_pixels = 0;
  int max_steps = 200, max_images = 16;
};

// Throws ApiFault 503 where no worker is ready yet.
const ModelCard& ready_model(const ImageService& service);
Limits limits_of(const ApiContext& context, const ModelCard& card);

// Reads width and height by the API's names for them, each with its default; refuses what is no
// multiple, too long or too much.
struct SizeNames {
  std::string_view width, height;
};
void read_size(const Fields& fields, SizeNames names, const Limits& limits, ImageRequest& image);
void check_size(const Fields& fields, SizeNames names, const Limits& limits, int64_t width, int64_t height);

// `--scheduler`'s name for a scheduler named so or as diffusers' class; nothing for another.
std::optional<std::string> scheduler_by_name(std::string_view name);
// Reads "scheduler", "karras" and "eta".
void read_scheduler(const Fields& fields, const ModelCard& card, ImageRequest& image);

// `count` images whose seeds follow one another. `seed_name`: the field's, for the fault where they
// would not.
std::vector<ImageRequest> series(const ImageRequest& first, int count, std::string_view seed_name);

}  // namespace inkstone::serve
