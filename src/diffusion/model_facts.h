// What a model is, for people: which family, how that is known, what it predicts, and what its files have that is not read.
#pragma once

#include <string>
#include <vector>

#include "diffusion/pipeline.h"

namespace inkstone {

struct ModelFacts {
  std::string family;               // "SDXL"
  std::string known_by;             // "tensors below conditioner.embedders.0.transformer. (text_encoder), ..."
  std::string prediction;           // "epsilon", "v_prediction", "sample"
  std::vector<std::string> unread;  // tensors of the files that no network of the model has
};

ModelFacts facts_of(const Pipeline& model);

}  // namespace inkstone
