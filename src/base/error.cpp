#include "base/error.h"

#include <cstdio>

namespace inkstone {

void ErrorPart::append_to(std::string& text) const {
  switch (kind_) {
    case Kind::kWords: text += words_; return;
    case Kind::kLetter: text += letter_; return;
    case Kind::kSigned: text += std::to_string(signed_); return;
    case Kind::kUnsigned: text += std::to_string(unsigned_); return;
    case Kind::kReal:
      char digits[32];
      std::snprintf(digits, sizeof digits, "%g", real_);
      text += digits;
  }
}

std::string text_of(std::initializer_list<ErrorPart> parts) {
  std::string text;
  for (const ErrorPart& part : parts) part.append_to(text);
  return text;
}

}  // namespace inkstone
