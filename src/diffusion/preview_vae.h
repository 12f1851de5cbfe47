// Previews of unfinished images by a tiny decoder (TAESD) beside the model's own VAE. It is a component of the
// pipeline like any other: planned, compiled and counted; no image depends on it.
#pragma once

#include <filesystem>

#include "diffusion/pipeline.h"

namespace inkstone {

inline constexpr const char* kPreviewVae = "preview_vae";  // the component, and its stage

// Throws Error if the file is no tiny VAE, or of latents that are not the model's.
void add_preview_vae(Pipeline& pipeline, const std::filesystem::path& path);

}  // namespace inkstone
