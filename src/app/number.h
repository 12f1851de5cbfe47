// Numbers in what a user writes.
#pragma once

#include <charconv>
#include <string_view>
#include <system_error>

namespace inkstone {

// Whether all of the text is a number that T holds; a + may stand before it.
template <typename T>
bool parse_number(std::string_view text, T& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace inkstone
