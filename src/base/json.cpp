// Boost.JSON's parser with our own handler. Boost's DOM parser silently keeps the last of two equal
// keys and reads decimals only to within an ulp; here equal keys are refused and a number is the
// nearest double.
#include "base/json.h"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_stack.hpp>
#include <charconv>
#include <cmath>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

namespace json = boost::json;
using ErrorCode = json::error_code;
using Text = json::string_view;

constexpr size_t kDepth = 64;

// Builds the document from the parts that the parser reports. `fault` says what is refused although
// the grammar allows it.
struct Builder {
  static constexpr size_t max_object_size = JsonObject::max_size();
  static constexpr size_t max_array_size = JsonArray::max_size();
  static constexpr size_t max_key_size = json::string::max_size();
  static constexpr size_t max_string_size = json::string::max_size();

  json::value_stack stack;
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  // of a key or number that comes in pieces
  std::string part;
  std::string fault;
  size_t max_values = SIZE_MAX, values = 0;  // keys too

  // Of containers the begin counts, so that no more is built than may be.
  bool count_one(ErrorCode& code) {
    if (++values <= max_values) return true;
    return refuse(code, "more than " + std::to_string(max_values) + " values and keys");
  }

  bool refuse(ErrorCode& code, std::string why) {
    fault = std::move(why);
    code = json::error::syntax;
    return false;
  }

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_object_begin(ErrorCode& code) {
    keys.emplace_back();
    return count_one(code);
  }
  bool on_object_end(size_t size, ErrorCode&) {
    keys.pop_back();
    stack.push_object(size);
    return true;
  }
  bool on_array_begin(ErrorCode& code) { return count_one(code); }
  bool on_array_end(size_t size, ErrorCode&) {
    stack.push_array(size);
    return true;
  }
  bool on_key_part(Text text, size_t, ErrorCode&) {
    part += text;
    return true;
  }
  bool on_key(Text text, size_t, ErrorCode& code) {
    part += text;
    if (!keys.back().insert(part).second) return refuse(code, "the key \"" + shown(part) + "\" stands twice");
    stack.push_key(part);
    part.clear();
    return count_one(code);
  }
  bool on_string_part(Text text, size_t, ErrorCode&) {
    stack.push_chars(text);
    return true;
  }
  bool on_string(Text text, size_t, ErrorCode& code) {
    stack.push_string(text);
    return count_one(code);
  }
  bool on_number_part(Text text, ErrorCode&) {
    part += text;
    return true;
  }
  bool on_int64(int64_t value, Text, ErrorCode& code) {
    part.clear();
    stack.push_int64(value);
    return count_one(code);
  }
  bool on_uint64(uint64_t value, Text, ErrorCode& code) {
    part.clear();
    stack.push_uint64(value);
    return count_one(code);
  }
  bool on_double(double rough, Text text, ErrorCode& code) {
    part += text;
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error == std::errc::result_out_of_range && std::abs(rough) < 1)
      value = 0;  // smaller than any double
    else if (error != std::errc() || end != part.data() + part.size())
      return refuse(code, "the number " + shown(part) + " does not fit a double");
    part.clear();
    stack.push_double(value);
    return count_one(code);
  }
  bool on_bool(bool value, ErrorCode& code) {
    stack.push_bool(value);
    return count_one(code);
  }
  bool on_null(ErrorCode& code) {
    stack.push_null();
    return count_one(code);
  }
  bool on_comment_part(Text, ErrorCode&) { return true; }
  bool on_comment(Text, ErrorCode&) { return true; }
};

// "12:7": lines and columns from 1, columns in bytes.
std::string position(std::string_view text, size_t at) {
  const std::string_view before = text.substr(0, at);
  const auto line = 1 + std::ranges::count(before, '\n');
  const size_t start = before.rfind('\n') + 1;  // npos + 1 is 0
  return std::to_string(line) + ":" + std::to_string(at - start + 1);
}

std::string describe(const ErrorCode& code, const std::string& fault, std::string_view text, size_t at) {
  if (!fault.empty()) return fault;
  if (code == json::error::too_deep) return "nested more than " + std::to_string(kDepth) + " levels deep";
  if (code == json::error::extra_data) return "more text after the end of the document";
  if (code == json::error::incomplete) return "the document ends before it is complete";
  if (code != json::error::syntax || at >= text.size()) return "malformed JSON (" + code.message() + ")";
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte >= 0x80) return "malformed JSON (a byte that is not valid UTF-8 or stands outside a string)";
  if (byte < 0x20) return "malformed JSON (a control character or line break where none may be)";
  return std::string("malformed JSON at '") + text[at] + "'";
}

// The text with Python's NaN, Infinity and -Infinity, which stand outside of strings, in quotes.
std::string quote_non_numbers(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  bool quoted = false;
  while (!text.empty()) {
    size_t taken = 1;
    std::string_view word;
    const char first = text.front();
    if (first == '"') quoted = !quoted;
    if (quoted) {
      taken = first == '\\' ? std::min<size_t>(2, text.size()) : 1;
    } else {
      for (const std::string_view known : {"-Infinity", "Infinity", "NaN"})
        if (text.starts_with(known)) word = known;
    }
    if (word.empty())
      result += text.substr(0, taken);
    else
      result.append("\"").append(word).append("\"");
    text.remove_prefix(word.empty() ? taken : word.size());
  }
  return result;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& source, size_t max_values) {
  INKSTONE_CHECK(!text.starts_with("\xef\xbb\xbf"), source,
                 ":1:1: begins with a byte order mark; save it as plain UTF-8");
  json::parse_options options;
  options.max_depth = kDepth;
  json::basic_parser<Builder> parser(options);
  parser.handler().stack.reset();
  parser.handler().max_values = max_values;
  ErrorCode code;
  const size_t read = parser.write_some(false, text.data(), text.size(), code);
  if (!code && read < text.size()) code = json::error::extra_data;
  if (!code) return parser.handler().stack.release();
  fail(INKSTONE_HERE, {source, ":", position(text, read), ": ", describe(code, parser.handler().fault, text, read)});
}

Json read_json(const std::filesystem::path& path, size_t max_bytes) {
  const std::string text = read_file(path, max_bytes);
  constexpr std::string_view kMark = "\xef\xbb\xbf";  // what Windows' editors write before the text
  const std::string_view rest = std::string_view(text).substr(text.starts_with(kMark) ? kMark.size() : 0);
  constexpr size_t kMaxValues = 1'000'000;
  return parse_json(quote_non_numbers(rest), path.string(), kMaxValues);
}

namespace {

void write(std::string& to, const Json& value) {
  if (const double* number = value.if_double()) {
    if (!std::isfinite(*number)) return static_cast<void>(to += "null");
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *number).ptr;
    const std::string_view text(digits.data(), end);
    to.append(text).append(text.find_first_of(".e") == text.npos ? ".0" : "");
  } else if (const JsonArray* array = value.if_array()) {
    to += '[';
    for (const Json& part : *array) {
      if (&part != array->data()) to += ',';
      write(to, part);
    }
    to += ']';
  } else if (const JsonObject* object = value.if_object()) {
    to += '{';
    for (const auto& [key, part] : *object) {
      if (to.back() != '{') to += ',';
      (to += json::serialize(key)) += ':';
      write(to, part);
    }
    to += '}';
  } else {
    to += json::serialize(value);
  }
}

}  // namespace

std::string json_quoted(std::string_view text) { return json::serialize(json::string(text)); }

std::string json_text(const Json& value) {
  std::string text;
  write(text, value);
  return text;
}

}  // namespace inkstone
