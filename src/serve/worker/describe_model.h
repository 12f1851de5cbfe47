// A model's card, from its files.
#pragma once

#include <cstdint>
#include <filesystem>

#include "diffusion/pipeline.h"
#include "serve/wire/model_card.h"
#include "serve/worker/model_hasher.h"

namespace inkstone::serve {

// All but what a worker plans: max_side and max_pixels. The hash is there if it was kept in `cache`,
// or the weights are few; ModelHasher makes that of others.
ModelCard describe_model(const Pipeline& model, const std::filesystem::path& cache = default_hash_cache());

// Changes with any file of the model, or below its folder, of what is replaced in it, and of the
// first so many of its adapters.
std::string model_fingerprint(const Pipeline& model, size_t adapters = SIZE_MAX);

}  // namespace inkstone::serve
