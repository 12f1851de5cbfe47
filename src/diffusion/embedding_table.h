// Textual inversions in a prompt, of one text encoder: which words they stand for, and their vectors.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "diffusion/tokenizer.h"

namespace inkstone {

struct PromptToken {
  int32_t id = 0;
  int ids = 1;                        // so many from `id` on: of an embedding its vectors, which follow one another
  std::optional<size_t> embedding{};  // by its number
  size_t at = 0;                      // where in the text it begins
};

class EmbeddingTable {
 public:
  EmbeddingTable() = default;
  // The vectors' ids follow the vocabulary's, in the order in which they are added, as in diffusers.
  EmbeddingTable(int32_t vocabulary, int64_t width) : vocabulary_(vocabulary), width_(width) {}

  // Its tokens stand for the vectors, as in the web UI. Of a name in angle brackets the text does, wherever it is and
  // in any case, as in diffusers, because a tokenizer joins such signs with those beside them.
  struct Words {
    std::string name, token;  // the file's, and what diffusers calls it; "": nothing
    size_t embedding = 0;     // its number
  };
  // [count, width] floats; none: its words are found and stay text.
  void add(const Words& words, std::span<const float> vectors, const Tokenizer& tokenizer);

  // The tokens of a text; of words that several embeddings have, the longest count, then those added first.
  // `seen`, if it is not null, gets the numbers of all that were found.
  std::vector<PromptToken> tokens_of(std::string_view text, const Tokenizer& tokenizer,
                                     std::vector<size_t>* seen = nullptr) const;
  // That of this name; nothing where there is none.
  std::optional<PromptToken> named(std::string_view name) const;
  std::vector<std::string> names() const;

  bool holds(int32_t id) const { return id >= vocabulary_ && !vectors_.empty(); }
  std::span<const float> vector(int32_t id) const;  // of an id that it holds

 private:
  struct Entry {
    std::vector<int32_t> name;
    PromptToken stands;  // no ids: it stands for nothing
  };
  struct Written {
    std::string text;  // in lower case
    PromptToken stands;
  };
  struct Found {
    std::vector<PromptToken> tokens;
    std::vector<size_t>* seen;
  };
  const Entry* entry_at(std::span<const int32_t> ids, std::vector<size_t>* seen) const;
  const Written* written_at(std::string_view lower_text, size_t at, std::vector<size_t>* seen) const;
  void add_run(std::string_view text, size_t at, const Tokenizer& tokenizer, Found& to) const;

  int32_t vocabulary_ = 0;
  int64_t width_ = 1;
  std::vector<float> vectors_;
  std::map<int32_t, std::vector<Entry>> by_first_;  // by the first token of their names; the longest first
  std::map<char, std::vector<Written>> by_text_;    // by the first byte; the longest first
  std::map<std::string, PromptToken, std::less<>> by_name_;
};

// What reads the prompts of a text encoder.
struct PromptReader {
  PromptReader(const Tokenizer& a_tokenizer, const EmbeddingTable* table = nullptr, bool largest = true)
      : tokenizer(a_tokenizer), embeddings(table), end_is_largest(largest) {}

  const Tokenizer& tokenizer;
  const EmbeddingTable* embeddings;
  bool end_is_largest;  // ClipConfig's
};

}  // namespace inkstone
