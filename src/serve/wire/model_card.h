// What the gateway, which has no model, knows of its workers' model. A ready worker tells it.
#pragma once

#include <cstdint>
#include <string>

#include "diffusion/resolved_request.h"

namespace inkstone::serve {

struct ModelCard {
  // "stable-diffusion-v1-5"; the only model id that APIs take.
  std::string name;
  // 64 hex digits: SHA-256 of the U-Net's weight files.
  std::string hash;
  int64_t parameters = 0;  // of all components
  int64_t created = 0;     // seconds since 1970, of its files
  // Of all files of the model: their places, sizes and times. All workers must have the same.
  std::string fingerprint;
  // Of the adapters merged into it, for an image's parameters: AdapterTexts.
  std::string adapter_tags, adapter_hashes;
  int tokens = 77;
  ModelTraits traits;
  RequestLimits limits;  // of its workers
};

}  // namespace inkstone::serve
