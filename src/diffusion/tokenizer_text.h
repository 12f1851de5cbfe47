// The text side of CLIP's tokenizer: a prompt becomes code points, is normalized as in the
// `tokenizers` library (0.23), and is cut into words by CLIP's pattern. Every step is linear in the
// text, except for sorting runs of combining marks.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace inkstone {

struct Letter {
  char32_t code;
  // the byte of the prompt that it came from
  size_t at;
};
using Text = std::vector<Letter>;
using TextView = std::span<const Letter>;

Text decode_utf8(std::string_view bytes);  // a malformed sequence becomes U+FFFD
std::string encode_utf8(TextView text);
// NFC, runs of white space to one space, lower case code point by code point
Text normalized(TextView text);
bool is_space(char32_t code);

struct Word {
  size_t begin, end;  // of the text
};
// A word is a run of letters, one number, a contraction ('s 't 're 've 'm 'll 'd), or a run of
// anything else but space.
std::vector<Word> words(TextView text);

}  // namespace inkstone
