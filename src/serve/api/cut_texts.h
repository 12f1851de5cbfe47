// Pictures stand in JSON as long texts. They are taken out before the rest is parsed, so that they are neither copied
// nor walked byte by byte.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone::serve {

struct CutJson {
  std::string rest;                     // with "\u0000N" in place of text N
  std::vector<std::string_view> texts;  // as they stand in the document, which outlives them
};
// Takes out texts of at least kLongText bytes without escapes. A document that is no JSON gives a rest that is none.
// Throws ApiFault 413 where the rest has more than `max_rest` bytes; looks no further then.
inline constexpr size_t kLongText = 64 << 10;
CutJson cut_texts(std::string_view json, size_t max_rest);

// Which one a text of the rest stands for; nothing: it is a text like others.
std::optional<size_t> cut_text_number(std::string_view text, size_t count);

}  // namespace inkstone::serve
