// What a model's folder says and no tensor of a single file tells: how images are made by default. `inkstone convert`
// writes it into a file's metadata, where it counts before what the family would have.
#pragma once

#include <map>
#include <string>

#include "diffusion/open_pipeline.h"

namespace inkstone {

using FileMetadata = std::map<std::string, std::string>;

// {"inkstone.defaults": JSON with "scheduler", "sample_size" ([height, width] of latents),
// "force_zeros_for_empty_prompt", "num_inference_steps", "guidance_scale"}
FileMetadata file_defaults(const Pipeline& model);
// Throws Error naming `source` and the value that cannot be. Without that key nothing changes.
void apply_file_defaults(Opening& opening, const FileMetadata& metadata, const std::string& source);

}  // namespace inkstone
