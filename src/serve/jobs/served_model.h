// A model that can be asked for, as APIs and gateway know it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "serve/wire/model_card.h"
#include "serve/wire/variant.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

struct ServedModel {
  std::string name;
  ModelFile file;
  // Nothing: no worker has read it yet, or it cannot be run.
  std::optional<ModelCard> card;
  // Why it cannot be run, for the operator; empty: it can, or nobody knows yet.
  std::string fault;
  std::vector<ShapeTimes> times{};  // of an image, as a worker estimates them
};

}  // namespace inkstone::serve
