#include "diffusion/prompt_words.h"

#include <charconv>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

bool is_letter(char32_t code) {
  if (code < 0x80) return code == '_' || (code >= '0' && code <= '9') || ((code | 32) >= 'a' && (code | 32) <= 'z');
  struct Range {
    char32_t first, last;
  };
  // Latin-1's signs, general punctuation to arrows and symbols, CJK punctuation, full-width punctuation, emoji.
  constexpr Range kSigns[] = {{0x80, 0xa9},     {0xab, 0xb4},     {0xb6, 0xb9},     {0xbb, 0xbf},
                              {0xd7, 0xd7},     {0xf7, 0xf7},     {0x2000, 0x206f}, {0x2190, 0x2bff},
                              {0x3000, 0x3003}, {0x3008, 0x3020}, {0xff00, 0xff0f}, {0xff1a, 0xff20},
                              {0xff3b, 0xff40}, {0xff5b, 0xff65}, {0xfffd, 0xfffd}, {0x1f000, 0x1faff}};
  for (const Range& range : kSigns)
    if (code >= range.first && code <= range.last) return false;
  return true;
}

bool letter_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  size_t begin = at - 1;
  while (begin > 0 && at - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
  return is_letter(next_code_point(text, begin));
}

}  // namespace

void check_open_brackets(size_t open) {
  constexpr size_t kMost = 100;
  INKSTONE_CHECK_USAGE(open <= kMost, "more than ", kMost,
                       " brackets are open at once: close them, or write \\( and \\[ for those that are text");
}

size_t find_word(std::string_view text, std::string_view word, size_t from) {
  for (size_t at = text.find(word, from); at != text.npos; at = text.find(word, at + 1)) {
    size_t after = at + word.size();
    if (!letter_before(text, at) && (after == text.size() || !is_letter(next_code_point(text, after)))) return at;
  }
  return text.npos;
}

bool is_gap(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_gap(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_gap(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<double> signed_number(std::string_view text) {
  const bool has_sign = text.starts_with('+') || text.starts_with('-');
  const std::string_view digits = text.substr(has_sign);
  if (digits.empty() || digits[0] == '-' || digits[0] > '9') return {};
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return {};
  return text[0] == '-' ? -value : value;
}

}  // namespace inkstone
