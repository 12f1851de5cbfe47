#include "diffusion/tokenizer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "diffusion/tokenizer_files.h"
#include "diffusion/tokenizer_merges.h"
#include "diffusion/tokenizer_text.h"

namespace inkstone {
namespace {

constexpr size_t kAll = std::numeric_limits<size_t>::max();

struct Pattern {
  std::u32string text;
  int32_t id;
};

std::u32string codes(const Text& text) {
  std::u32string result;
  for (const Letter& letter : text) result += letter.code;
  return result;
}

// The longest pattern that begins at text[at]. Patterns are sorted, the longest first.
const Pattern* pattern_at(TextView text, size_t at, const std::vector<Pattern>& patterns) {
  for (const Pattern& pattern : patterns) {
    if (pattern.text.size() > text.size() - at) continue;
    const auto same = [](char32_t code, const Letter& letter) { return code == letter.code; };
    if (std::equal(pattern.text.begin(), pattern.text.end(), text.begin() + static_cast<ptrdiff_t>(at), same)) {
      return &pattern;
    }
  }
  return nullptr;
}

}  // namespace

struct Tokenizer::Data {
  Merges merges;
  // The token of a byte inside a word, and at the word's end.
  std::array<int32_t, 256> inner, last;
  std::vector<Pattern> raw_added, normalized_added;  // longest first
  int32_t start, end, padding;
  std::optional<int32_t> comma;
  int max_length, vocabulary = 0;

  explicit Data(TokenizerFiles files);
};

Tokenizer::Data::Data(TokenizerFiles files)
    : merges(std::move(files.merges)),
      start(files.start),
      end(files.end),
      padding(files.padding),
      max_length(files.max_length) {
  const auto id_of = [&](const std::string& token) {
    const auto found = files.vocabulary.find(token);
    return found == files.vocabulary.end() ? files.unknown : found->second;
  };
  for (int byte = 0; byte < 256; ++byte) {
    const std::string written = written_byte(static_cast<uint8_t>(byte));
    inner[byte] = id_of(written);
    last[byte] = id_of(written + "</w>");
  }
  if (const auto found = files.vocabulary.find(",</w>"); found != files.vocabulary.end()) comma = found->second;
  for (const auto& [token, id] : files.vocabulary) vocabulary = std::max(vocabulary, id + 1);
  for (const AddedToken& token : files.added) {
    vocabulary = std::max(vocabulary, token.id + 1);
    const Text text = decode_utf8(token.content);
    if (token.normalized) {
      normalized_added.push_back({codes(normalized(text)), token.id});
    } else {
      raw_added.push_back({codes(text), token.id});
    }
  }
  for (auto* patterns : {&raw_added, &normalized_added}) {
    std::stable_sort(patterns->begin(), patterns->end(),
                     [](const Pattern& a, const Pattern& b) { return a.text.size() > b.text.size(); });
  }
}

// Takes tokens while there is room. Remembers the position of the first token, or its word, that
// did not fit.
class Tokenizer::Page {
 public:
  explicit Page(size_t room) : room_(room) {}
  bool full() const { return cut_at_ != kAll; }
  size_t cut_at() const { return cut_at_; }
  const std::vector<int32_t>& ids() const { return ids_; }

  void add(std::span<const int32_t> tokens, size_t at) {
    if (full()) return;
    const size_t fitting = std::min(tokens.size(), room_ - ids_.size());
    if (fitting < tokens.size()) cut_at_ = at;
    ids_.insert(ids_.end(), tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(fitting));
    places_.resize(ids_.size(), at);
  }
  std::vector<size_t> take_places() { return std::move(places_); }

 private:
  size_t room_, cut_at_ = kAll;
  std::vector<int32_t> ids_;
  std::vector<size_t> places_;
};

namespace {

// Calls piece() with each text between patterns, and adds the patterns' tokens to the page, in
// order.
template <typename Page, typename Piece>
void split(TextView text, const std::vector<Pattern>& patterns, Page& page, const Piece& piece) {
  size_t begin = 0;
  for (size_t at = 0; at < text.size() && !page.full();) {
    const Pattern* found = pattern_at(text, at, patterns);
    if (!found) {
      ++at;
      continue;
    }
    piece(text.subspan(begin, at - begin));
    page.add({&found->id, 1}, text[at].at);
    begin = at += found->text.size();
  }
  if (!page.full()) piece(text.subspan(begin));
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::open(const std::filesystem::path& folder) {
  return Tokenizer(std::make_unique<Data>(read_tokenizer(folder)));
}

Tokenizer Tokenizer::from_merges(std::string_view merges_text, const std::string& padding) {
  return Tokenizer(std::make_unique<Data>(tokenizer_of_merges(merges_text, padding)));
}

int Tokenizer::vocabulary() const { return data_->vocabulary; }
int Tokenizer::max_length() const { return data_->max_length; }
int32_t Tokenizer::start() const { return data_->start; }
int32_t Tokenizer::end() const { return data_->end; }
int32_t Tokenizer::padding() const { return data_->padding; }
std::optional<int32_t> Tokenizer::comma() const { return data_->comma; }

std::vector<int32_t> Tokenizer::ids(std::string_view text) const {
  std::vector<size_t> places;
  return ids(text, places);
}

std::vector<int32_t> Tokenizer::ids(std::string_view text, std::vector<size_t>& places) const {
  Page page(kAll);
  fill(page, decode_utf8(text));
  places = page.take_places();
  return page.ids();
}

void Tokenizer::fill(Page& page, TextView prompt) const {
  const Data& data = *data_;
  std::string bytes;
  std::vector<int32_t> tokens;
  const auto add_words = [&](TextView text) {
    for (const Word& word : words(text)) {
      if (page.full()) return;
      const TextView letters = text.subspan(word.begin, word.end - word.begin);
      // Combining marks may have changed places, so the smallest position counts.
      size_t first = kAll;
      for (const Letter& letter : letters) first = std::min(first, letter.at);
      bytes = encode_utf8(letters);
      tokens.clear();
      for (const char byte : bytes) tokens.push_back(data.inner[static_cast<uint8_t>(byte)]);
      tokens.back() = data.last[static_cast<uint8_t>(bytes.back())];
      data.merges.apply(tokens);
      page.add(tokens, first);
    }
  };
  const auto add_piece = [&](TextView text) { split(normalized(text), data.normalized_added, page, add_words); };
  split(prompt, data.raw_added, page, add_piece);
}

Tokens Tokenizer::encode(std::string_view prompt) const {
  const Data& data = *data_;
  Page page(static_cast<size_t>(data.max_length) - 2);
  const Text text = decode_utf8(prompt);
  fill(page, text);
  Tokens result;
  result.ids.push_back(data.start);
  result.ids.insert(result.ids.end(), page.ids().begin(), page.ids().end());
  result.ids.push_back(data.end);
  result.used = static_cast<int>(result.ids.size());
  result.ids.resize(static_cast<size_t>(data.max_length), data.padding);
  if (page.full()) {
    const auto is_text = [](const Letter& letter) { return !is_space(letter.code); };
    const auto after = std::find_if(text.rbegin(), text.rend(), is_text).base();
    const size_t stop = after == text.end() ? prompt.size() : after->at;
    result.cut = prompt.substr(page.cut_at(), stop - page.cut_at());
  }
  return result;
}

}  // namespace inkstone
