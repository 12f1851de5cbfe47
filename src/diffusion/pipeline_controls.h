// A pipeline with the ControlNets and T2I-Adapters that requests may name.
#pragma once

#include <filesystem>

#include "diffusion/pipeline.h"

namespace inkstone {

// Reads headers, no numbers. No Engine may have the pipeline. Throws Error naming the file that is none, or was made for
// another model than this.
void add_control(Pipeline& pipeline, const std::filesystem::path& path);

// "a ControlNet for SDXL", by what the network says of its model.
std::string control_text(const ControlConfig& config);

}  // namespace inkstone
