// What a file of weights is, by the names and shapes of its tensors: a model, one of its networks, or what changes one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace inkstone {

struct FileKind {
  bool model = false;                // a model, perhaps without some of its components
  std::vector<std::string> missing;  // of a model: "vae", "unet", "text_encoder"
  std::string what;                  // "a LoRA for SDXL"
  std::string use;                   // which flag takes it, or why none does
  std::vector<std::string> facts;    // more lines for people
};

// Throws Error naming the file that is none of weights, or has a network that is not run.
FileKind kind_of(const std::filesystem::path& path);

// "Stable Diffusion 1.x", by the width of the text that a U-Net takes; "" for another.
std::string family_of_context(int64_t width);

}  // namespace inkstone
