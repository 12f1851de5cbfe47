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

class Chunker {
 public:
  Chunker(const Tokenizer& tokenizer, size_t max_chunks)
      : tokenizer_(tokenizer),
        room_(static_cast<size_t>(tokenizer.max_length()) - kStartAndEnd),
        max_chunks_(max_chunks) {}

  bool stopped() const { return made_.chunks.size() > max_chunks_; }

  void add_by_commas(const PromptPiece& piece) {
    for (const int32_t id : tokenizer_.ids(piece.text)) {
      if (stopped()) return;
      if (id == tokenizer_.comma())
        last_comma_ = ids_.size();
      else if (ids_.size() == room_ && last_comma_ && ids_.size() - *last_comma_ <= kBackToComma)
        end_chunk_at(*last_comma_ + 1);
      if (ids_.size() == room_) end_chunk();
      ids_.push_back(id);
      weights_.push_back(piece.weight);
    }
  }

  void add_by_words(const PromptPiece& piece) {
    const std::string& text = piece.text;
    for (size_t begin = 0; begin < text.size() && !stopped();) {
      const size_t end = std::min(text.find_first_of(" \n", begin), text.size());
      std::vector<int32_t> word = tokenizer_.ids(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
      const bool is_long = word.size() >= kTokensOfLong;
      for (std::span<const int32_t> rest = word; !rest.empty() && !stopped();) {
        if (!is_long && rest.size() > room_ - ids_.size()) end_chunk();
        const size_t fitting = std::min(rest.size(), room_ - ids_.size());
        ids_.insert(ids_.end(), rest.begin(), rest.begin() + static_cast<ptrdiff_t>(fitting));
        weights_.resize(ids_.size(), piece.weight);
        rest = rest.subspan(fitting);
        if (!rest.empty()) end_chunk();
      }
    }
  }

  void end_chunk() { end_chunk_at(ids_.size()); }

  PromptChunks chunks() && {
    if (!stopped() && (!ids_.empty() || made_.chunks.empty())) end_chunk();
    return std::move(made_);
  }

 private:
  // What is beyond `size` begins the next chunk.
  void end_chunk_at(size_t size) {
    const auto length = static_cast<size_t>(tokenizer_.max_length());
    const auto split = static_cast<ptrdiff_t>(size);
    PromptChunk& chunk = made_.chunks.emplace_back();
    chunk.ids.push_back(tokenizer_.start());
    chunk.ids.insert(chunk.ids.end(), ids_.begin(), ids_.begin() + split);
    chunk.ids.push_back(tokenizer_.end());
    chunk.end = static_cast<int>(std::ranges::find(chunk.ids, tokenizer_.end()) - chunk.ids.begin());
    chunk.ids.resize(length, tokenizer_.padding());
    chunk.weights.push_back(1);
    chunk.weights.insert(chunk.weights.end(), weights_.begin(), weights_.begin() + split);
    chunk.weights.resize(length, 1);
    ids_.erase(ids_.begin(), ids_.begin() + split);
    weights_.erase(weights_.begin(), weights_.begin() + split);
    last_comma_.reset();
  }

  const Tokenizer& tokenizer_;
  const size_t room_, max_chunks_;
  PromptChunks made_;
  std::vector<int32_t> ids_;  // of the chunk that is not full yet
  std::vector<float> weights_;
  std::optional<size_t> last_comma_;
};

PromptChunks plain_chunk(const PromptText& text, const Tokenizer& tokenizer) {
  Tokens tokens = tokenizer.encode(text.pieces.at(0).text);
  PromptChunk chunk;
  chunk.ids = std::move(tokens.ids);
  chunk.weights.assign(chunk.ids.size(), 1);
  chunk.end = static_cast<int>(std::ranges::find(chunk.ids, tokenizer.end()) - chunk.ids.begin());
  return {{std::move(chunk)}, std::move(tokens.cut)};
}

double mean(std::span<const float> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

bool PromptChunk::weighted() const {
  return std::ranges::any_of(weights, [](float weight) { return weight != 1; });
}

PromptChunks prompt_chunks(const PromptText& text, const Tokenizer& tokenizer, size_t max_chunks) {
  if (text.syntax == PromptSyntax::kPlain) return plain_chunk(text, tokenizer);
  Chunker chunker(tokenizer, max_chunks);
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
