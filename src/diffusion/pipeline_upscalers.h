// A pipeline with the networks that make images larger between two legs (legs.h), which requests may name.
#pragma once

#include <filesystem>

#include "diffusion/pipeline.h"

namespace inkstone {

// Reads the header, no numbers. No Engine may have the pipeline. Throws Error naming the file that is none, or has a name
// that is taken.
void add_upscaler(Pipeline& pipeline, const std::filesystem::path& path);

}  // namespace inkstone
