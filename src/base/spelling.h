// For messages: the word that a misspelled one probably meant, and lists of words.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace inkstone {

std::string lower(std::string_view text);  // ASCII letters only

// The candidate that differs from `word` by the fewest letters; "" where none is near.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

std::string listed(std::span<const std::string> words);  // "a, b, c"

}  // namespace inkstone
