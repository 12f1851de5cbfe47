#include "diffusion/embedding_table.h"

#include <algorithm>
#include <functional>

#include "base/spelling.h"

namespace inkstone {
namespace {

void note(std::vector<size_t>* seen, const PromptToken& token) {
  if (seen && std::ranges::find(*seen, *token.embedding) == seen->end()) seen->push_back(*token.embedding);
}

bool in_angle_brackets(std::string_view name) { return name.size() > 2 && name.front() == '<' && name.back() == '>'; }

PromptToken placed(PromptToken token, size_t at) {
  token.at = at;
  return token;
}

}  // namespace

void EmbeddingTable::add(const Words& words, std::span<const float> vectors, const Tokenizer& tokenizer) {
  const auto count_of = [&](size_t floats) { return static_cast<int32_t>(floats / static_cast<size_t>(width_)); };
  const PromptToken stands{vocabulary_ + count_of(vectors_.size()), count_of(vectors.size()), words.embedding, 0};
  vectors_.insert(vectors_.end(), vectors.begin(), vectors.end());
  for (const std::string& one : {words.name, words.token}) {
    if (one.empty()) continue;
    by_name_.emplace(one, stands);
    if (in_angle_brackets(one)) {
      std::vector<Written>& texts = by_text_[one[0]];
      texts.push_back({lower(one), stands});
      std::ranges::stable_sort(texts, std::greater(), [](const Written& written) { return written.text.size(); });
    } else if (std::vector<int32_t> name = tokenizer.ids(one); !name.empty()) {
      std::vector<Entry>& entries = by_first_[name[0]];
      entries.push_back({std::move(name), stands});
      std::ranges::stable_sort(entries, std::greater(), [](const Entry& entry) { return entry.name.size(); });
    }
  }
}

// What may stand here: the longest that has vectors. Longer ones that have none are noted.
const EmbeddingTable::Entry* EmbeddingTable::entry_at(std::span<const int32_t> ids, std::vector<size_t>* seen) const {
  const auto found = by_first_.find(ids[0]);
  if (found == by_first_.end()) return nullptr;
  for (const Entry& entry : found->second) {
    if (entry.name.size() > ids.size() || !std::ranges::equal(entry.name, ids.first(entry.name.size()))) continue;
    if (entry.stands.ids > 0) return &entry;
    note(seen, entry.stands);
  }
  return nullptr;
}

const EmbeddingTable::Written* EmbeddingTable::written_at(std::string_view lower_text, size_t at,
                                                          std::vector<size_t>* seen) const {
  const auto found = by_text_.find(lower_text[at]);
  if (found == by_text_.end()) return nullptr;
  for (const Written& written : found->second) {
    if (!lower_text.substr(at).starts_with(written.text)) continue;
    if (written.stands.ids > 0) return &written;
    note(seen, written.stands);
  }
  return nullptr;
}

// Text in which no name in angle brackets stands.
void EmbeddingTable::add_run(std::string_view text, size_t at, const Tokenizer& tokenizer, Found& to) const {
  std::vector<size_t> places;
  const std::vector<int32_t> ids = tokenizer.ids(text, places);
  for (size_t i = 0; i < ids.size();) {
    const Entry* entry = entry_at(std::span(ids).subspan(i), to.seen);
    if (entry) note(to.seen, entry->stands);
    to.tokens.push_back(placed(entry ? entry->stands : PromptToken{ids[i]}, at + places[i]));
    i += entry ? entry->name.size() : 1;
  }
}

std::vector<PromptToken> EmbeddingTable::tokens_of(std::string_view text, const Tokenizer& tokenizer,
                                                   std::vector<size_t>* seen) const {
  Found found{{}, seen};
  size_t begin = 0;
  if (!by_text_.empty()) {
    const std::string letters = lower(text);
    for (size_t at = 0; at < text.size();) {
      const Written* written = written_at(letters, at, seen);
      if (!written) {
        ++at;
        continue;
      }
      add_run(text.substr(begin, at - begin), begin, tokenizer, found);
      note(seen, written->stands);
      found.tokens.push_back(placed(written->stands, at));
      begin = at += written->text.size();
    }
  }
  add_run(text.substr(begin), begin, tokenizer, found);
  return std::move(found.tokens);
}

std::optional<PromptToken> EmbeddingTable::named(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> EmbeddingTable::names() const {
  std::vector<std::string> names;
  for (const auto& [name, stands] : by_name_) names.push_back(name);
  return names;
}

std::span<const float> EmbeddingTable::vector(int32_t id) const {
  return std::span(vectors_).subspan(static_cast<size_t>(id - vocabulary_) * static_cast<size_t>(width_),
                                     static_cast<size_t>(width_));
}

}  // namespace inkstone
