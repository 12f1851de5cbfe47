// A model's card, from its files.
#pragma once

#include <cstdint>
#include <filesystem>

#include "diffusion/pipeline.h"
#include "serve/wire/model_card.h"

namespace inkstone::serve {

// $INKSTONE_CACHE/hashes, $XDG_CACHE_HOME/inkstone/hashes, ~/.cache/inkstone/hashes; "": none
std::filesystem::path default_hash_cache();

// All but what a worker plans: max_side and max_pixels. The hash is the SHA-256 of the U-Net's
// safetensors files one after another, by name: of one file, what sha256sum says. It is read whole
// once, and then kept in `cache` for as long as the files' sizes and times of change stay.
ModelCard describe_model(const Pipeline& model, const std::filesystem::path& cache = default_hash_cache());

// Changes with any file of the model, or below its folder, of what is replaced in it, and of the
// first so many of its adapters.
std::string model_fingerprint(const Pipeline& model, size_t adapters = SIZE_MAX);

}  // namespace inkstone::serve
