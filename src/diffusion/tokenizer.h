// CLIP's byte-pair encoding, as transformers.CLIPTokenizer (5.x): special tokens, NFC, white space
// folded, lower case, words cut by CLIP's pattern, merges by rank.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct Letter;

struct Tokens {
  std::vector<int32_t> ids;  // exactly model_max_length: start, text, end, padding
  int used = 0;              // ids before the padding
  // The end of the prompt that did not fit, for a warning; "" if all fitted.
  std::string cut;
};

class Tokenizer {
 public:
  // A diffusers tokenizer folder: vocab.json and merges.txt, or tokenizer.json (transformers 5),
  // which is preferred; with tokenizer_config.json, special_tokens_map.json and added_tokens.json,
  // which may be missing. Throws Error with file and line (or token) for malformed files.
  static Tokenizer open(const std::filesystem::path& folder);
  // From CLIP's merges alone (data/clip/merges.txt): the vocabulary is built from them as CLIP does
  // it.
  // A `padding` of its own is found in prompts, too: "!" in those of Stable Diffusion 2.
  static Tokenizer from_merges(std::string_view merges_text, const std::string& padding = "");
  Tokenizer(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Any text: invalid UTF-8 becomes U+FFFD. The time is linear in its length.
  Tokens encode(std::string_view prompt) const;
  // The text alone, all of it: no start, no end, no padding.
  std::vector<int32_t> ids(std::string_view text) const;
  // The same, and where in the text each token, or its word, begins.
  std::vector<int32_t> ids(std::string_view text, std::vector<size_t>& places) const;
  int vocabulary() const;
  int max_length() const;  // 77
  int32_t start() const;
  int32_t end() const;
  int32_t padding() const;
  std::optional<int32_t> comma() const;  // the token of a comma; nothing where the vocabulary has none

 private:
  struct Data;
  class Page;
  void fill(Page& page, std::span<const Letter> prompt) const;
  explicit Tokenizer(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace inkstone
