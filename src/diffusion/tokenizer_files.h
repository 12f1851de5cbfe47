// A tokenizer's files, read and checked: the vocabulary, its merges, and added tokens, which are
// matched as a whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "diffusion/tokenizer_merges.h"

namespace inkstone {

// A token that is searched in the prompt before it is cut into words. `normalized`: its normalized
// content is searched in the normalized prompt.
struct AddedToken {
  std::string content;
  bool normalized = false;
  int32_t id = -1;
};

struct TokenizerFiles {
  std::unordered_map<std::string, int32_t> vocabulary;  // bytes written as CLIP writes them
  std::vector<Merge> merges;                            // by rank
  std::vector<AddedToken> added;
  int32_t start = 0, end = 0, unknown = 0, padding = 0;
  int max_length = 77;
};

// They throw Error naming file and line (or token).
TokenizerFiles read_tokenizer(const std::filesystem::path& folder);
// `padding`: the token that fills up; "" is the end token.
TokenizerFiles tokenizer_of_merges(std::string_view merges_text, const std::string& padding = "");

// CLIP writes a byte as one character: itself if it is printable, else one from U+0100 on.
std::string written_byte(uint8_t byte);

}  // namespace inkstone
