// A VAE that is not a model's own: a file with nothing else or with a whole model, TAESD's files, or a folder with
// its config.json.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "models/config.h"
#include "weights/weights.h"

namespace inkstone {

struct VaeFile {
  VaeConfig config;
  // Whether it says its scaling factor; else the model's family does.
  bool says_scaling = false;
  std::function<Weights(std::span<const WeightSpec> specs)> weights;  // bound to them
};

// Reads headers alone. A half of TAESD is completed by the other one beside it, if its name differs only in
// "encoder" for "decoder". Throws Error naming the file that has no VAE's decoder, with the way out.
VaeFile open_vae(const std::filesystem::path& path);

// What its name says against the model, for people: TAESD of another family, whose tensors look the same; "":
// nothing.
std::string taesd_name_warning(const std::filesystem::path& path, bool sdxl);

}  // namespace inkstone
