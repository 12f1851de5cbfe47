#include "diffusion/prompt_chunks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

namespace inkstone {
namespace {

constexpr size_t kBackToComma = 20;  // tokens that move with what follows a comma
constexpr size_t kTokensOfLong = 8;  // a word of so many tokens is cut where a chunk ends
constexpr size_t kStartAndEnd = 2;
constexpr size_t kMostUnknown = 8;  // names that are told

constexpr std::string_view kEmbedding = "embedding:";

std::vector<PromptToken> tokens_of(std::string_view text, const PromptReader& reader, std::vector<size_t>& seen) {
  static const EmbeddingTable none;
  return (reader.embeddings ? reader.embeddings : &none)->tokens_of(text, reader.tokenizer, &seen);
}

int end_place(const std::vector<int32_t>& ids, const PromptReader& reader) {
  const auto found =
      reader.end_is_largest ? std::ranges::max_element(ids) : std::ranges::find(ids, reader.tokenizer.end());
  return static_cast<int>(found - ids.begin());
}

// As ComfyUI finds the file of "embedding:NAME": in a folder or not, with its extension or not.
std::optional<PromptToken> named_embedding(std::string_view name, const PromptReader& reader) {
  if (!reader.embeddings) return {};
  if (const size_t slash = name.find_last_of("/\\"); slash != name.npos) name.remove_prefix(slash + 1);
  std::optional<PromptToken> found = reader.embeddings->named(name);
  for (const std::string_view extension : {".safetensors", ".pt", ".bin"})
    if (!found && name.ends_with(extension))
      found = reader.embeddings->named(name.substr(0, name.size() - extension.size()));
  return found;
}

class Chunker {
 public:
  Chunker(const PromptReader& reader, size_t max_chunks)
      : reader_(reader),
        room_(static_cast<size_t>(reader.tokenizer.max_length()) - kStartAndEnd),
        max_chunks_(max_chunks) {}

  bool stopped() const { return made_.chunks.size() > max_chunks_; }

  void add_by_commas(const PromptPiece& piece) {
    for (const PromptToken& token : tokens_of(piece.text, reader_, made_.embeddings)) {
      if (stopped()) return;
      if (!token.embedding && token.id == reader_.tokenizer.comma())
        last_comma_ = ids_.size();
      else if (ids_.size() == room_ && last_comma_ && ids_.size() - *last_comma_ <= kBackToComma)
        end_chunk_at(*last_comma_ + 1);
      if (static_cast<size_t>(token.ids) > room_ - ids_.size()) end_chunk();
      for (int i = 0; i < token.ids; ++i) ids_.push_back(token.id + i);
      weights_.resize(ids_.size(), piece.weight);
    }
  }

  void add_by_words(const PromptPiece& piece) {
    const std::string& text = piece.text;
    for (size_t begin = 0; begin < text.size() && !stopped();) {
      const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
      std::string_view word = std::string_view(text).substr(begin, end - begin);
      begin = end + 1;
      if (word.starts_with(kEmbedding)) word = add_embedding(word.substr(kEmbedding.size()), piece.weight);
      add_word(reader_.tokenizer.ids(word), piece.weight);
    }
  }

  void end_chunk() { end_chunk_at(ids_.size()); }

  PromptChunks chunks() && {
    if (!stopped() && (!ids_.empty() || made_.chunks.empty())) end_chunk();
    return std::move(made_);
  }

 private:
  void add_word(const std::vector<int32_t>& word, float weight) {
    const bool is_long = word.size() >= kTokensOfLong;
    for (std::span<const int32_t> rest = word; !rest.empty() && !stopped();) {
      if (!is_long && rest.size() > room_ - ids_.size()) end_chunk();
      const size_t fitting = std::min(rest.size(), room_ - ids_.size());
      ids_.insert(ids_.end(), rest.begin(), rest.begin() + static_cast<ptrdiff_t>(fitting));
      weights_.resize(ids_.size(), weight);
      rest = rest.subspan(fitting);
      if (!rest.empty()) end_chunk();
    }
  }

  // Returns what is no part of its name: commas behind it.
  std::string_view add_embedding(std::string_view name, float weight) {
    std::optional<PromptToken> found = named_embedding(name, reader_);
    std::string_view rest;
    if (!found) {
      const size_t end = name.find_last_not_of(',') + 1;
      rest = name.substr(end);
      name = name.substr(0, end);
      if (!rest.empty()) found = named_embedding(name, reader_);
    }
    if (!found) {
      if (std::ranges::find(made_.unknown, name) == made_.unknown.end() && made_.unknown.size() < kMostUnknown)
        made_.unknown.emplace_back(name);
      return rest;
    }
    if (std::ranges::find(made_.embeddings, *found->embedding) == made_.embeddings.end())
      made_.embeddings.push_back(*found->embedding);
    std::vector<int32_t> ids(static_cast<size_t>(found->ids));
    std::iota(ids.begin(), ids.end(), found->id);
    add_word(ids, weight);
    return rest;
  }

  // What is beyond `size` begins the next chunk.
  void end_chunk_at(size_t size) {
    const auto length = static_cast<size_t>(reader_.tokenizer.max_length());
    const auto split = static_cast<ptrdiff_t>(size);
    PromptChunk& chunk = made_.chunks.emplace_back();
    chunk.ids.push_back(reader_.tokenizer.start());
    chunk.ids.insert(chunk.ids.end(), ids_.begin(), ids_.begin() + split);
    chunk.ids.push_back(reader_.tokenizer.end());
    chunk.ids.resize(length, reader_.tokenizer.padding());
    chunk.end = end_place(chunk.ids, reader_);
    chunk.weights.push_back(1);
    chunk.weights.insert(chunk.weights.end(), weights_.begin(), weights_.begin() + split);
    chunk.weights.resize(length, 1);
    ids_.erase(ids_.begin(), ids_.begin() + split);
    weights_.erase(weights_.begin(), weights_.begin() + split);
    last_comma_.reset();
  }

  const PromptReader& reader_;
  const size_t room_, max_chunks_;
  PromptChunks made_;
  std::vector<int32_t> ids_;  // of the chunk that is not full yet
  std::vector<float> weights_;
  std::optional<size_t> last_comma_;
};

// With embeddings: their vectors are cut like tokens, as in diffusers.
Tokens encoded_with(const std::vector<PromptToken>& tokens, const std::string& text, const Tokenizer& tokenizer) {
  const auto length = static_cast<size_t>(tokenizer.max_length());
  Tokens made;
  made.ids.push_back(tokenizer.start());
  for (const PromptToken& token : tokens)
    for (int i = 0; i < token.ids; ++i) {
      if (made.ids.size() < length - 1)
        made.ids.push_back(token.id + i);
      else if (made.cut.empty())
        made.cut = text.substr(token.at);
    }
  made.ids.push_back(tokenizer.end());
  made.ids.resize(length, tokenizer.padding());
  return made;
}

PromptChunks plain_chunk(const PromptText& text, const PromptReader& reader) {
  PromptChunks made;
  const std::string& prompt = text.pieces.at(0).text;
  const std::vector<PromptToken> read = tokens_of(prompt, reader, made.embeddings);
  const bool embeds = std::ranges::any_of(read, [](const PromptToken& token) { return token.embedding.has_value(); });
  Tokens tokens = embeds ? encoded_with(read, prompt, reader.tokenizer) : reader.tokenizer.encode(prompt);
  PromptChunk& chunk = made.chunks.emplace_back();
  chunk.ids = std::move(tokens.ids);
  chunk.weights.assign(chunk.ids.size(), 1);
  chunk.end = end_place(chunk.ids, reader);
  made.cut = std::move(tokens.cut);
  return made;
}

double mean(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

bool PromptChunk::weighted() const {
  return std::ranges::any_of(weights, [](float weight) { return weight != 1; });
}

PromptChunks prompt_chunks(const PromptText& text, const PromptReader& reader, size_t max_chunks) {
  if (text.syntax == PromptSyntax::kPlain) return plain_chunk(text, reader);
  Chunker chunker(reader, max_chunks);
  for (const PromptPiece& piece : text.pieces) {
    if (chunker.stopped()) break;
    if (piece.ends_chunk)
      chunker.end_chunk();
    else if (text.syntax == PromptSyntax::kComfy)
      chunker.add_by_words(piece);
    else
      chunker.add_by_commas(piece);
  }
  return std::move(chunker).chunks();
}

void weigh_as_a1111(std::span<float> hidden, std::span<const float> weights) {
  const size_t width = hidden.size() / weights.size();
  const double before = mean(hidden);
  for (size_t i = 0; i < hidden.size(); ++i) hidden[i] *= weights[i / width];
  const double factor = before / mean(hidden);
  if (!std::isfinite(factor)) return;  // the weights are 0 everywhere
  for (float& value : hidden) value *= static_cast<float>(factor);
}

void weigh_as_comfy(std::span<float> hidden, std::span<const float> empty, std::span<const float> weights) {
  const size_t width = hidden.size() / weights.size();
  for (size_t i = 0; i < hidden.size(); ++i)
    if (const float weight = weights[i / width]; weight != 1) hidden[i] = (hidden[i] - empty[i]) * weight + empty[i];
}

}  // namespace inkstone
