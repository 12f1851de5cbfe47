// A model with all tensors that its files have of its networks, also those that no image needs: the last layers of
// SDXL's text encoders.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/pipeline.h"
#include "weights/safetensors_writer.h"

namespace inkstone {

struct WholeModel {
  Pipeline pipeline;
  std::vector<ClipConfig> texts;           // of pipeline.text_encoders, as they were trained
  std::map<std::string, Weights> weights;  // of each component, bound

  bool xl() const { return pipeline.unet_config.added > 0; }
  bool refiner() const { return pipeline.takes_score; }
  // The folder of a text encoder; SDXL's refiner has the second alone.
  std::string folder_of(size_t encoder) const {
    return refiner() ? "text_encoder_2" : pipeline.text_encoders[encoder].component;
  }
  // Whether a text encoder is OpenCLIP's, which files name otherwise.
  bool is_open_clip(size_t encoder) const { return texts[encoder].activation == Activation::kGelu; }
};

// `replaced`: files or folders that stand in for components. `variant`: which form of a folder's weights is read
// (Weights::open). Throws Error as Pipeline::open does, and where a tensor is missing.
WholeModel open_whole(const std::filesystem::path& path, const std::map<std::string, std::filesystem::path>& replaced,
                      const std::optional<std::string>& variant, const ModelSettings& said = {});

// A tensor of bound weights, to be written under `name` in `type`.
TensorToWrite tensor_to_write(std::string name, const Weights& weights, const std::string& spec,
                              std::optional<DType> type);

}  // namespace inkstone
