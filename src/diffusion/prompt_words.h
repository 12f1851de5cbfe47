// Words and numbers in a prompt that mean something.
#pragma once

#include <optional>
#include <string_view>

namespace inkstone {

// Throws UsageError where more brackets are open at once than may be. It bounds the depth of every
// tree of a prompt.
void check_open_brackets(size_t open);

// Where `word` stands at or after `from`, with no letter, digit or underscore beside it; npos if nowhere. Of other
// scripts, all but punctuation counts as a letter.
size_t find_word(std::string_view text, std::string_view word, size_t from = 0);

bool is_gap(char c);  // a space, a tab or the end of a line
std::string_view trimmed(std::string_view text);

// "1.3", "-2", "+.5", "1e-2": all of the text.
std::optional<double> signed_number(std::string_view text);

}  // namespace inkstone
