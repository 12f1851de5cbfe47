#include "base/spelling.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/error.h"

namespace inkstone {
namespace {

// Letters added, dropped, replaced, or two neighbours swapped.
size_t edits(std::string_view a, std::string_view b) {
  const size_t columns = b.size() + 1;
  std::vector<size_t> table((a.size() + 1) * columns);
  const auto at = [&](size_t i, size_t j) -> size_t& { return table[i * columns + j]; };
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        at(i, j) = i + j;
        continue;
      }
      at(i, j) = std::min({at(i - 1, j - 1) + (a[i - 1] != b[j - 1]), at(i - 1, j) + 1, at(i, j - 1) + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  }
  return at(a.size(), b.size());
}

std::string number_text(double value) {
  constexpr double kExact = 1e15;
  const auto whole = static_cast<long long>(std::clamp(value, -kExact, kExact));
  return static_cast<double>(whole) == value ? std::to_string(whole) : text_of({value});
}

}  // namespace

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string nearest(std::string_view word, std::span<const std::string> candidates) {
  // the search takes time in the product of the lengths
  constexpr size_t kLongestWord = 64;
  if (word.size() > kLongestWord) return "";
  std::string best;
  size_t fewest = 1 + std::max<size_t>(1, word.size() / 3);
  for (const std::string& candidate : candidates) {
    const size_t distance = edits(lower(word), lower(candidate));
    if (distance < fewest) fewest = distance, best = candidate;
  }
  return best;
}

std::string listed(std::span<const std::string> words, size_t most) {
  std::string result;
  for (const std::string& word : words.first(std::min(words.size(), most)))
    result += (result.empty() ? "" : ", ") + word;
  return words.size() > most ? result + " and " + std::to_string(words.size() - most) + " more" : result;
}

std::string range_rule(std::string_view kind, double min, double max) {
  constexpr double kUnlimited = 1e9;
  if (max >= kUnlimited) return text_of({kind, " of at least ", number_text(min)});
  return text_of({kind, " from ", number_text(min), " to ", number_text(max)});
}

double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double result = 0;
  std::from_chars(text, end, result);
  return result;
}

}  // namespace inkstone
