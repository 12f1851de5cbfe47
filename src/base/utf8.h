// Makes text from outside safe for images, JSON and terminals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace inkstone {

// Returns the code point at `at` and moves `at` past it. An ill-formed sequence gives one U+FFFD
// for each of its maximal parts, as the Unicode standard recommends.
char32_t next_code_point(std::string_view text, size_t& at);
void append_utf8(std::string& text, char32_t code_point);

std::string clean_utf8(std::string_view text);  // ill-formed parts and NUL become U+FFFD

// One line: line breaks and other control characters become spaces.
std::string one_line(std::string_view text);

// Text from a document as an error shows it: one line, no control characters, at most 120 bytes.
std::string shown(std::string_view text);

}  // namespace inkstone
