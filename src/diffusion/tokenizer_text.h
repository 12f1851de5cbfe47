// The text side of CLIP's tokenizer: a prompt as code points, normalized as the `tokenizers` library (0.23) does it,
// and cut into words by CLIP's pattern. Every step is linear in the text (sorting runs of marks apart).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct Letter {
  char32_t code;
  size_t at;  // the byte of the prompt that it came from
};
using Text = std::vector<Letter>;
using TextView = std::span<const Letter>;

Text decode_utf8(std::string_view bytes);  // a malformed sequence becomes U+FFFD
std::string encode_utf8(TextView text);
Text normalized(TextView text);  // NFC, runs of white space to one space, lower case code point by code point
bool is_space(char32_t code);

struct Word {
  size_t begin, end;  // of the text
};
// A word is a run of letters, one number, a contraction ('s 't 're 've 'm 'll 'd), or a run of anything else but space.
std::vector<Word> words(TextView text);

}  // namespace inkstone
