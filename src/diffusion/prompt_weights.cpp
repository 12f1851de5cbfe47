#include "diffusion/prompt_weights.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "diffusion/prompt_words.h"

namespace inkstone {
namespace {

constexpr double kRound = 1.1, kSquare = 1 / 1.1;
constexpr char kBreak[] = "BREAK";

float checked_weight(double weight, std::string_view text) {
  INKSTONE_CHECK_USAGE(std::abs(weight) <= kMaxWeight, "the weight of \"", shown(text.substr(0, 60)), "\" is beyond ",
                       kMaxWeight, " or -", kMaxWeight);
  return static_cast<float>(weight);
}

// ---- AUTOMATIC1111

struct WeightedText {
  std::string text;
  double weight = 1;  // the same sum of doubles as there, so that the same neighbours are equal
  bool ends_chunk = false;
};

struct WeightColon {
  double weight;
  size_t size;  // of ":1.3)"
};

// ":1.3)" at the beginning of the text. What is no number is text.
std::optional<WeightColon> weight_colon(std::string_view text) {
  const auto skip_gap = [&](size_t from) {
    while (from < text.size() && is_gap(text[from])) ++from;
    return from;
  };
  const size_t from = skip_gap(1), stop = std::min(text.find_first_not_of("+-.0123456789", from), text.size());
  const size_t end = skip_gap(stop);
  if (end == text.size() || text[end] != ')') return {};
  const std::optional<double> weight = signed_number(text.substr(from, stop - from));
  if (!weight) return {};
  return WeightColon{*weight, end + 1};
}

class A1111Weights {
 public:
  explicit A1111Weights(std::string_view text) : text_(text) {}

  PromptPieces pieces() && {
    while (at_ < text_.size()) at_ += take();
    for (const size_t begin : round_) multiply(begin, kRound);
    for (const size_t begin : square_) multiply(begin, kSquare);
    PromptPieces merged;
    double last = 0;
    for (WeightedText& one : found_) {
      const bool joins = !merged.empty() && !one.ends_chunk && !merged.back().ends_chunk && last == one.weight;
      last = one.weight;
      if (joins)
        merged.back().text += one.text;
      else
        merged.push_back({std::move(one.text), 0, one.ends_chunk});
      if (!one.ends_chunk) merged.back().weight = checked_weight(one.weight, merged.back().text);
    }
    if (merged.empty()) merged.emplace_back();
    return merged;
  }

 private:
  // Takes what begins here, and returns its length.
  size_t take() {
    switch (const char c = text_[at_]) {
      case '\\': {
        const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : ' ';
        const bool escapes = next == '(' || next == ')' || next == '[' || next == ']' || next == '\\';
        if (escapes) add(text_.substr(at_ + 1, 1));
        return escapes ? 2 : 1;
      }
      case '(':
      case '[': {
        (c == '(' ? round_ : square_).push_back(found_.size());
        check_open_brackets(round_.size() + square_.size());
        fresh_ = true;
        return 1;
      }
      case ')':
      case ']': return close(c, c == ')' ? kRound : kSquare), 1;
      case ':':
        if (const auto colon = round_.empty() ? std::nullopt : weight_colon(text_.substr(at_)))
          return close(')', colon->weight), colon->size;
        return add(":"), 1;
      default: {
        const std::string_view run = text_.substr(at_, text_.substr(at_).find_first_of("\\()[]:"));
        add_words(run);
        return run.size();
      }
    }
  }

  void close(char bracket, double factor) {
    std::vector<size_t>& open = bracket == ')' ? round_ : square_;
    if (open.empty()) return add({&bracket, 1});
    multiply(open.back(), factor);
    open.pop_back();
    fresh_ = true;
  }

  void multiply(size_t begin, double factor) {
    for (size_t i = begin; i < found_.size(); ++i) found_[i].weight *= factor;
  }

  // Between two brackets all text is one piece: its weight is the same.
  void add(std::string_view text) {
    if (fresh_ || found_.empty() || found_.back().ends_chunk) found_.emplace_back();
    fresh_ = false;
    found_.back().text += text;
  }

  // The word BREAK takes the gaps around it with it.
  void add_words(std::string_view run) {
    for (size_t from = 0;;) {
      const size_t at = find_word(run, kBreak, from);
      size_t end = std::min(at, run.size());
      if (at != run.npos)
        while (end > from && is_gap(run[end - 1])) --end;
      if (end > from) add(run.substr(from, end - from));
      if (at == run.npos) return;
      found_.push_back({"", 1, true});
      for (from = at + std::size(kBreak) - 1; from < run.size() && is_gap(run[from]);) ++from;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<WeightedText> found_;
  std::vector<size_t> round_, square_;  // open brackets: what was found before them
  bool fresh_ = true;                   // the next text is a piece of its own
};

// ---- ComfyUI

struct ComfyItem {
  std::string_view text;
  bool bracket;
};

// Texts and outermost brackets. After a bracket that closes nothing, the next that opens is text.
std::vector<ComfyItem> comfy_items(std::string_view text) {
  std::vector<ComfyItem> items;
  size_t begin = 0;
  size_t escaped = 0;  // the end of the last escape
  int64_t depth = 0;
  const auto end_item = [&](size_t end) {
    if (end == begin) return;
    const std::string_view item = text.substr(begin, end - begin);
    items.push_back({item, item.size() >= 2 && item.front() == '(' && item.back() == ')' && escaped != end});
    begin = end;
  };
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '(' || text[at + 1] == ')')) {
      escaped = ++at + 1;
    } else if (text[at] == '(') {
      if (depth++ == 0) end_item(at);
    } else if (text[at] == ')') {
      if (--depth == 0) end_item(at + 1);
    }
  }
  end_item(text.size());
  return items;
}

std::string without_escapes(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool escapes = text[at] == '\\' && at + 1 < text.size() && (text[at + 1] == '(' || text[at + 1] == ')');
    plain += text[at += escapes];
  }
  return plain;
}

void add_comfy(std::string_view text, double weight, size_t depth, PromptPieces& to) {
  check_open_brackets(depth);
  for (const ComfyItem& item : comfy_items(text)) {
    if (!item.bracket) {
      to.push_back({without_escapes(item.text), checked_weight(weight, item.text)});
      continue;
    }
    std::string_view inner = item.text.substr(1, item.text.size() - 2);
    double own = weight * kRound;
    const size_t colon = inner.rfind(':');
    if (colon != inner.npos && colon > 0)
      if (const auto said = signed_number(trimmed(inner.substr(colon + 1)))) {
        own = *said;
        inner = inner.substr(0, colon);
      }
    add_comfy(inner, own, depth + 1, to);
  }
}

}  // namespace

PromptPieces a1111_pieces(std::string_view text) { return A1111Weights(text).pieces(); }

PromptPieces comfy_pieces(std::string_view text) {
  PromptPieces pieces;
  add_comfy(text, 1, 0, pieces);
  if (pieces.empty()) pieces.emplace_back();
  return pieces;
}

}  // namespace inkstone
