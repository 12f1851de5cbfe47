// Unicode as in the `tokenizers` library, which mixes three versions: canonical forms of Unicode 9,
// classes of Unicode 16, lower case of Unicode 17 (found by testing all code points). ICU gives the
// canonical forms, because it knows each character's age. Classes and lower case that are newer
// than ICU 72 (Unicode 15) are in two tables here, which are used only for characters that ICU does
// not know.
#include "diffusion/tokenizer_text.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <string_view>

#include "base/error.h"

namespace inkstone {
namespace {

enum class Kind { kSpace, kLetter, kNumber, kOther };

struct NewRange {
  char32_t first, last;
  Kind kind;
};
constexpr NewRange kNewKinds[] = {
    {0x1C89, 0x1C8A, Kind::kLetter},   {0xA7CB, 0xA7CD, Kind::kLetter},   {0xA7DA, 0xA7DC, Kind::kLetter},
    {0x105C0, 0x105F3, Kind::kLetter}, {0x10D40, 0x10D49, Kind::kNumber}, {0x10D4A, 0x10D65, Kind::kLetter},
    {0x10D6F, 0x10D85, Kind::kLetter}, {0x10EC2, 0x10EC4, Kind::kLetter}, {0x11380, 0x11389, Kind::kLetter},
    {0x1138B, 0x1138B, Kind::kLetter}, {0x1138E, 0x1138E, Kind::kLetter}, {0x11390, 0x113B5, Kind::kLetter},
    {0x113B7, 0x113B7, Kind::kLetter}, {0x113D1, 0x113D1, Kind::kLetter}, {0x113D3, 0x113D3, Kind::kLetter},
    {0x116D0, 0x116E3, Kind::kNumber}, {0x11BC0, 0x11BE0, Kind::kLetter}, {0x11BF0, 0x11BF9, Kind::kNumber},
    {0x13460, 0x143FA, Kind::kLetter}, {0x16100, 0x1611D, Kind::kLetter}, {0x16130, 0x16139, Kind::kNumber},
    {0x16D40, 0x16D6C, Kind::kLetter}, {0x16D70, 0x16D79, Kind::kNumber}, {0x18CFF, 0x18CFF, Kind::kLetter},
    {0x1CCF0, 0x1CCF9, Kind::kNumber}, {0x1E5D0, 0x1E5ED, Kind::kLetter}, {0x1E5F0, 0x1E5F0, Kind::kLetter},
    {0x1E5F1, 0x1E5FA, Kind::kNumber}, {0x2EBF0, 0x2EE5D, Kind::kLetter},
};

struct NewCase {
  // `lower` is first's lower case; the other characters follow in the same order.
  char32_t first, last, lower;
};
constexpr NewCase kNewCases[] = {
    {0x1C89, 0x1C89, 0x1C8A},    {0xA7CB, 0xA7CB, 0x0264},    {0xA7CC, 0xA7CC, 0xA7CD}, {0xA7CE, 0xA7CE, 0xA7CF},
    {0xA7D2, 0xA7D2, 0xA7D3},    {0xA7D4, 0xA7D4, 0xA7D5},    {0xA7DA, 0xA7DA, 0xA7DB}, {0xA7DC, 0xA7DC, 0x019B},
    {0x10D50, 0x10D65, 0x10D70}, {0x16EA0, 0x16EB8, 0x16EBB},
};

bool unknown_to_icu(char32_t code) { return u_charType(static_cast<UChar32>(code)) == U_UNASSIGNED; }

Kind kind_of(char32_t code) {
  if (is_space(code)) return Kind::kSpace;
  const uint32_t category = U_GET_GC_MASK(static_cast<UChar32>(code));
  if (category & U_GC_L_MASK) return Kind::kLetter;
  if (category & U_GC_N_MASK) return Kind::kNumber;
  if (code > 0x7F && unknown_to_icu(code)) {
    for (const NewRange& range : kNewKinds) {
      if (code >= range.first && code <= range.last) return range.kind;
    }
  }
  return Kind::kOther;
}

// Canonical composition, one code point at a time: ICU's own takes quadratic time for a long run of
// marks that are out of order.

struct Decomposed {
  Letter letter;
  uint8_t combining_class;
};

bool in_unicode_9(char32_t code) {
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(code), age);
  return age[0] <= 9;
}

uint8_t combining_class(char32_t code) {
  const uint8_t value = u_getCombiningClass(static_cast<UChar32>(code));
  return value != 0 && in_unicode_9(code) ? value : 0;
}

const UNormalizer2* nfc() {
  UErrorCode error = U_ZERO_ERROR;
  const UNormalizer2* result = unorm2_getNFCInstance(&error);
  INKSTONE_CHECK(U_SUCCESS(error), "tokenizer: ICU has no normalization data: ", u_errorName(error));
  return result;
}

std::vector<Decomposed> decomposed(TextView text) {
  const UNormalizer2* rules = nfc();
  std::vector<Decomposed> result;
  result.reserve(text.size());
  for (const Letter& letter : text) {
    UChar units[32];
    UErrorCode error = U_ZERO_ERROR;
    int32_t length = -1;
    if (letter.code >= 0xC0 && in_unicode_9(letter.code)) {
      length = unorm2_getDecomposition(rules, static_cast<UChar32>(letter.code), units, 32, &error);
    }
    if (length < 0 || U_FAILURE(error)) {
      result.push_back({letter, combining_class(letter.code)});
      continue;
    }
    for (int32_t i = 0; i < length;) {
      UChar32 code;
      U16_NEXT(units, i, length, code);
      const auto part = static_cast<char32_t>(code);
      result.push_back({{part, letter.at}, combining_class(part)});
    }
  }
  return result;
}

void order_marks(std::vector<Decomposed>& text) {
  const auto is_mark = [](const Decomposed& one) { return one.combining_class != 0; };
  for (auto begin = std::find_if(text.begin(), text.end(), is_mark); begin != text.end();) {
    const auto end = std::find_if_not(begin, text.end(), is_mark);
    std::stable_sort(begin, end,
                     [](const Decomposed& a, const Decomposed& b) { return a.combining_class < b.combining_class; });
    begin = std::find_if(end, text.end(), is_mark);
  }
}

Text composed(const std::vector<Decomposed>& text) {
  const UNormalizer2* rules = nfc();
  constexpr size_t kNone = ~size_t{0};
  Text result;
  result.reserve(text.size());
  size_t starter = kNone;
  // Class of the last mark that was kept after the starter.
  uint8_t last = 0;
  for (const auto& [letter, mark] : text) {
    if (starter != kNone && (result.size() == starter + 1 || last < mark)) {
      const UChar32 pair =
          unorm2_composePair(rules, static_cast<UChar32>(result[starter].code), static_cast<UChar32>(letter.code));
      if (pair >= 0 && in_unicode_9(static_cast<char32_t>(pair))) {
        result[starter].code = static_cast<char32_t>(pair);
        continue;
      }
    }
    if (mark == 0) starter = result.size();
    last = mark;
    result.push_back(letter);
  }
  return result;
}

Text canonical(TextView text) {
  constexpr char32_t kFirstMark = 0x300;  // below, nothing composes or moves
  if (std::all_of(text.begin(), text.end(), [](const Letter& letter) { return letter.code < kFirstMark; })) {
    return {text.begin(), text.end()};
  }
  std::vector<Decomposed> parts = decomposed(text);
  order_marks(parts);
  return composed(parts);
}

void append_lower(Text& to, const Letter& letter) {
  constexpr char32_t kDottedI = 0x130;
  // The only code point whose lower case has two code points.
  if (letter.code == kDottedI) {
    to.push_back({U'i', letter.at});
    to.push_back({0x307, letter.at});
    return;
  }
  auto lower = static_cast<char32_t>(u_tolower(static_cast<UChar32>(letter.code)));
  if (lower > 0x7F && lower == letter.code && unknown_to_icu(lower)) {
    for (const NewCase& range : kNewCases) {
      if (lower >= range.first && lower <= range.last)
        return to.push_back({lower - range.first + range.lower, letter.at});
    }
  }
  to.push_back({lower, letter.at});
}

bool starts_with(TextView text, std::u32string_view what) {
  return text.size() >= what.size() &&
         std::equal(what.begin(), what.end(), text.begin(),
                    [](char32_t code, const Letter& letter) { return code == letter.code; });
}

}  // namespace

Text decode_utf8(std::string_view bytes) {
  Text result;
  result.reserve(bytes.size());
  for (size_t at = 0; at < bytes.size();) {
    const size_t begin = at;
    UChar32 code;
    U8_NEXT_OR_FFFD(bytes.data(), at, bytes.size(), code);
    result.push_back({static_cast<char32_t>(code), begin});
  }
  return result;
}

std::string encode_utf8(TextView text) {
  std::string result;
  for (const Letter& letter : text) {
    uint8_t bytes[U8_MAX_LENGTH];
    size_t length = 0;
    U8_APPEND_UNSAFE(bytes, length, static_cast<uint32_t>(letter.code));
    result.append(bytes, bytes + length);
  }
  return result;
}

bool is_space(char32_t code) { return u_isUWhiteSpace(static_cast<UChar32>(code)); }

Text normalized(TextView text) {
  Text result;
  bool after_space = false;
  for (const Letter& letter : canonical(text)) {
    const bool space = is_space(letter.code);
    if (space && !after_space) result.push_back({U' ', letter.at});
    if (!space) append_lower(result, letter);
    after_space = space;
  }
  return result;
}

std::vector<Word> words(TextView text) {
  std::vector<Word> result;
  size_t at = 0;
  const auto push = [&](size_t length) { result.push_back({at, at + length}), at += length; };
  const auto found = [&](std::u32string_view what) { return starts_with(text.subspan(at), what); };
  while (at < text.size()) {
    // A special token's name is cut into "<|", a word and "|>", even if it is plain text here (for
    // example because it was written in capitals).
    if (found(U"<|startoftext|>") || found(U"<|endoftext|>")) {
      for (const size_t length : {size_t{2}, found(U"<|s") ? size_t{11} : size_t{9}, size_t{2}}) push(length);
    } else if (found(U"'s") || found(U"'t") || found(U"'m") || found(U"'d")) {
      push(2);
    } else if (found(U"'re") || found(U"'ve") || found(U"'ll")) {
      push(3);
    } else if (const Kind kind = kind_of(text[at].code); kind == Kind::kSpace) {
      ++at;
    } else {
      size_t length = 1;
      while (kind != Kind::kNumber && at + length < text.size() && kind_of(text[at + length].code) == kind) ++length;
      push(length);
    }
  }
  return result;
}

}  // namespace inkstone
