#include "serve/api/cut_texts.h"

#include <algorithm>
#include <charconv>

#include "serve/api/fault.h"

namespace inkstone::serve {

CutJson cut_texts(std::string_view json, size_t max_rest) {
  CutJson cut;
  const auto keep = [&](std::string_view part) {
    if (part.size() > max_rest - std::min(max_rest, cut.rest.size()))
      refuse(413, "body_too_large",
             "the JSON around its pictures is larger than " + std::to_string(max_rest) + " bytes");
    cut.rest += part;
  };
  while (!json.empty()) {
    const size_t quote = json.find('"');
    keep(json.substr(0, quote));
    if (quote == json.npos) break;
    json.remove_prefix(quote);
    size_t end = json.find('"', 1);
    const bool escaped = json.substr(0, end).find('\\') != json.npos;
    if (!escaped && end != json.npos && end > kLongText) {
      keep("\"\\u0000" + std::to_string(cut.texts.size()) + "\"");
      cut.texts.push_back(json.substr(1, end - 1));
      json.remove_prefix(end + 1);
      continue;
    }
    for (end = 1; escaped && end < json.size() && end <= max_rest; end += 2) {
      end = json.find_first_of("\"\\", end);
      if (end == json.npos || json[end] == '"') break;
    }
    if (!escaped) end = json.find('"', 1);
    const size_t size = end == json.npos ? json.size() : std::min(end + 1, json.size());
    keep(json.substr(0, size));
    json.remove_prefix(size);
  }
  return cut;
}

std::optional<size_t> cut_text_number(std::string_view text, size_t count) {
  size_t number = 0;
  if (!text.starts_with('\0')) return std::nullopt;
  const auto [end, fault] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size() || number >= count) return std::nullopt;
  return number;
}

}  // namespace inkstone::serve
