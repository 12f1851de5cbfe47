// What the gateway, which has no model, knows of one that its workers run. A worker tells it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffusion/resolved_request.h"

namespace inkstone::serve {

struct EmbeddingCard {  // a textual inversion
  std::string name;
  int64_t vectors = 0, width = 0;  // 0 where it is skipped
  bool skipped = false;            // made for another model, or no textual inversion
};

struct ModelCard {
  // "stable-diffusion-v1-5": the id that APIs take.
  std::string name;
  // Of its file or folder, without the place: "stable-diffusion-v1-5.safetensors".
  std::string file;
  // 64 hex digits: SHA-256 of the U-Net's weight files; empty until it is known.
  std::string hash;
  int64_t parameters = 0;  // of all components
  int64_t created = 0;     // seconds since 1970, of its files
  // Of all files of the model: their places, sizes and times. All workers must have the same.
  std::string fingerprint;
  // Its components with their sizes and types: models of one shape take the same time.
  std::string shape;
  int tokens = 77;
  ModelTraits traits;
  RequestLimits limits;                     // of its workers
  std::vector<EmbeddingCard> embeddings{};  // the first few hundred
};

}  // namespace inkstone::serve
