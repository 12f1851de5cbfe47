// A model as a folder in diffusers' layout, which its from_pretrained() loads.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convert/whole_model.h"

namespace inkstone {

struct FolderFile {
  std::string path;                    // "unet/diffusion_pytorch_model.safetensors"
  std::string text;                    // of a file that has no tensors
  std::vector<TensorToWrite> tensors;  // of one that has
  bool has_tensors = false;
};

// `source`: where the model comes from. Of a folder its configurations and tokenizers are taken as they are, unless the component is
// another's; of a file they are made. model_index.json comes last.
std::vector<FolderFile> folder_files_of(const WholeModel& model, const std::filesystem::path& source,
                                        std::optional<DType> type);

}  // namespace inkstone
