// A textual inversion's file: vectors that stand for words which a text encoder has not, a set for each
// encoder. The forms are those of AUTOMATIC1111's web UI and of diffusers:
//   {"string_to_param": {"*": [k, width]}, ...}   .pt
//   {"emb_params": [k, width]}                    .safetensors, or one tensor of any name
//   {"<token>": [width] or [k, width]}            diffusers' learned_embeds.bin and .safetensors
//   {"clip_l": [k, 768], "clip_g": [k, 1280]}     SDXL
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace inkstone {

// As many as a chunk of a prompt has tokens of text.
inline constexpr int64_t kMaxEmbeddingVectors = 75;

struct EmbeddingSet {
  std::string encoder;  // "text_encoder" of clip_l, "text_encoder_2" of clip_g; "": the one that is as wide
  int64_t count = 0, width = 0;
  std::vector<float> values;  // [count, width]
};

struct EmbeddingFile {
  std::string path;
  std::string name;   // the file's, without its extension
  std::string token;  // which diffusers calls it; "": the file says none
  std::string hash;   // SHA-256 of the file, as the web UI has it in its "TI hashes"
  std::vector<EmbeddingSet> sets;
};

// Throws Error naming the file and the tensor: one that is no vectors, too large, not finite, or stored in a
// type that is not read; a file that is no textual inversion.
EmbeddingFile read_embedding(const std::filesystem::path& path);

}  // namespace inkstone
