// What the defaults and limits of a request depend on, of a model. It needs no weights: a gateway
// has it as well as an engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace inkstone {

struct ControlTrait {  // of a ControlNet or T2I-Adapter that requests may name
  std::string name;
  int features = 0;       // that a T2I-Adapter gives; 0: a ControlNet
  int size_multiple = 1;  // of the sides of images that it takes, in pixels
  bool operator==(const ControlTrait&) const = default;
};

struct UpscalerTrait {  // of a network that makes images larger, which requests may name
  std::string name;
  int factor = 1;
  bool operator==(const UpscalerTrait&) const = default;
};

struct ModelTraits {
  // Defaults: of the model's own files, else these.
  int steps = 20;
  float guidance_scale = 7.5f;
  int width = 512, height = 512;

  int size_multiple = 8;   // width and height must be multiples of it
  bool distilled = false;  // with guidance: there is no unconditional half
  bool sdxl = false;       // its table of Align Your Steps
  bool refiner = false;    // SDXL's: it finishes what a base began (refine.h)
  // Of a model that was distilled to few steps, what it is and how that is known ("Lightning by its
  // name"); and the one step count that it draws at, where that is known. "", 0: of others.
  std::string few_step{};
  int only_steps = 0;
  // Of the text encoder, for clip_skip; 1: it always stops before its last layer.
  int text_layers = 1;
  bool encodes = true;  // the VAE has an encoder, so that an image may begin with a picture
  // The U-Net reads a mask and the masked picture beside the latent: an inpainting model of nine channels.
  bool inpaints = false;
  std::vector<ControlTrait> controls{};                              // in the order of Pipeline::controls
  std::vector<UpscalerTrait> upscalers{};                            // in the order of Pipeline::upscalers
  std::shared_ptr<const Json> scheduler;                             // scheduler_config.json
  std::string scheduler_file = "the model's scheduler_config.json";  // how errors call it
};

}  // namespace inkstone
