// For messages: the word that a misspelled one probably meant, and lists of words.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace inkstone {

std::string lower(std::string_view text);  // ASCII letters only

// The candidate that differs from `word` by the fewest letters; "" where none is near.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// "a, b, c"; "a, b and 7 more" where there are more words than `most`.
std::string listed(std::span<const std::string> words, size_t most = SIZE_MAX);

// "a whole number from 1 to 1000"; a limit of 1e9 or more is none: "a number of at least 0".
std::string range_rule(std::string_view kind, double min, double max);

double shortest(float value);  // the double that a person would write for it: 0.1f -> 0.1

}  // namespace inkstone
