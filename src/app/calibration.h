// Inputs that a model really sees, for AMCT, which chooses INT8 ranges by them: calibration/GRAPH/PORT/NNN.bin, raw values of the
// port's type, NNN counting samples, and calibration/index.json with shapes and where each sample is from.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "atc/manifest.h"
#include "diffusion/pipeline.h"

namespace inkstone {

// The lines that are not blank. Throws Error naming the file where it cannot be read, UsageError where it has none.
std::vector<std::string> calibration_prompts(const std::filesystem::path& file);

// Draws each prompt on the CPU in fp32 and keeps the inputs of some U-Net calls and of the VAE: for the first size of the
// manifest's steps, its least batch (each sample repeated to fill it).
void write_calibration(Pipeline model, const std::vector<std::string>& prompts, const Manifest& manifest,
                       const std::filesystem::path& folder, const std::function<void(const std::string&)>& tell);

}  // namespace inkstone
