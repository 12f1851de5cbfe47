// A model as the tensors of one file, under the names that galleries' files have (models/ldm_names.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "convert/whole_model.h"

namespace inkstone {

struct SingleFile {
  std::vector<TensorToWrite> tensors;
  std::map<std::string, std::string> metadata;
};

// Throws Error if the file would be read as another model: where the configuration is not what the tensors' shapes tell
// (models/shape_config.h), or a tokenizer is not CLIP's own, of which a file has none.
SingleFile single_file_of(const WholeModel& model, std::optional<DType> type);

}  // namespace inkstone
