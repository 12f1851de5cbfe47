// A model on disk in diffusers' layout: its configs, graphs and mapped weights. Opening reads headers only, no numbers.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json_fwd.h"
#include "diffusion/hub.h"
#include "diffusion/tokenizer.h"
#include "models/config.h"
#include "weights/weights.h"

namespace inkstone {

std::filesystem::path demo_model();  // the one shipped: beside the program, or in the source tree

struct ComponentInfo {
  std::string name;  // "text_encoder", "unet", "vae"
  std::string kind;  // "CLIPTextModel"
  int64_t parameters = 0;
  DType stored = DType::kF32;
  size_t file_bytes = 0;
};

struct ModelDefaults {  // of the model's own files, else the general ones
  int steps = 20;
  float guidance = 7.5f;
  int width = 512, height = 512;
};

struct Model {
  std::filesystem::path folder;
  ClipConfig clip_config;
  UnetConfig unet_config;
  VaeConfig vae_config;
  Weights clip, unet, vae;  // bound to the graphs: names and shapes are right
  std::unique_ptr<Tokenizer> tokenizer;
  std::shared_ptr<const Json> scheduler_json;  // for scheduler_config()
  ModelDefaults defaults;
  std::vector<ComponentInfo> components;

  static Model open(const std::filesystem::path& folder);
  std::string name() const;   // of the folder, or the hub id it was cached under
  int size_multiple() const;  // width and height must be multiples of this
  int vae_scale() const;      // pixels for each latent pixel: 8 for SD 1.5
};

}  // namespace inkstone
