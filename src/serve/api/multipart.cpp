// body = "--" boundary CRLF part *(CRLF "--" boundary CRLF part) CRLF "--" boundary "--" [CRLF]
// part = head lines, each with CRLF, CRLF, content
#include "serve/api/multipart.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/spelling.h"
#include "base/utf8.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxParts = 128, kMaxHead = 4096, kMaxName = 128, kMaxBoundary = 70;
constexpr std::string_view kLineEnd = "\r\n";

[[noreturn]] void malformed(const std::string& why) { refuse(400, "invalid_form", "the form: " + why); }

std::string_view trimmed_blanks(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// NAME=VALUE of a header, where the value may stand in quotes, in which a backslash hides a quote.
struct Parameter {
  std::string name, value;
};

// The next one behind a semicolon, taken off; nothing where no more is there.
std::optional<Parameter> take_parameter(std::string_view& text) {
  text = trimmed_blanks(text);
  if (text.empty()) return std::nullopt;
  if (text.front() != ';') malformed("a header's parts must be separated by \";\"");
  text = trimmed_blanks(text.substr(1));
  if (text.empty()) return std::nullopt;
  const size_t equals = text.find('=');
  if (equals == text.npos) malformed("a header's parameter has no value");
  Parameter parameter{lower(trimmed_blanks(text.substr(0, equals))), ""};
  text.remove_prefix(equals + 1);
  if (!text.starts_with('"')) {
    const size_t end = std::min(text.find(';'), text.size());
    parameter.value = trimmed_blanks(text.substr(0, end));
    text.remove_prefix(end);
    return parameter;
  }
  for (text.remove_prefix(1); !text.starts_with('"'); text.remove_prefix(1)) {
    if (text.starts_with('\\') && text.size() > 1 && (text[1] == '"' || text[1] == '\\')) text.remove_prefix(1);
    if (text.empty()) malformed("a header's quotation has no end");
    parameter.value += text.front();
  }
  text.remove_prefix(1);
  return parameter;
}

std::string boundary_of(std::string_view content_type) {
  constexpr std::string_view kOthers = "'()+_,-./:=? ";
  std::string_view rest = content_type.substr(std::min(content_type.find(';'), content_type.size()));
  std::string boundary;
  while (const auto parameter = take_parameter(rest)) {
    if (parameter->name != "boundary") continue;
    if (!boundary.empty()) malformed("its boundary is said twice");
    boundary = parameter->value;
  }
  const bool plain = std::ranges::all_of(boundary, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOthers.find(c) != kOthers.npos;
  });
  if (boundary.empty() || boundary.size() > kMaxBoundary || boundary.ends_with(' ') || !plain)
    malformed("its content-type must say a boundary of 1 to 70 characters");
  return boundary;
}

void read_disposition(std::string_view value, FormPart& part) {
  const size_t end = std::min(value.find(';'), value.size());
  if (lower(trimmed_blanks(value.substr(0, end))) != "form-data") malformed("a part is no form-data");
  value.remove_prefix(end);
  bool named = false;
  while (const auto parameter = take_parameter(value)) {
    if (parameter->name == "name") {
      if (named) malformed("a part has two names");
      named = true;
      part.name = parameter->value;
    }
    part.is_file = part.is_file || parameter->name == "filename" || parameter->name == "filename*";
  }
  if (!named || part.name.empty() || part.name.size() > kMaxName || clean_utf8(part.name) != part.name)
    malformed("each part must have a name, of at most 128 bytes");
}

// The lines of a part's head.
FormPart read_head(std::string_view head) {
  FormPart part;
  while (!head.empty()) {
    const size_t end = std::min(head.find(kLineEnd), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + kLineEnd.size(), head.size()));
    const size_t colon = line.find(':');
    if (colon == line.npos || colon == 0 || line.find_first_of("\r\n", 0) != line.npos ||
        line.find('\0') != line.npos || line.front() == ' ' || line.front() == '\t')
      malformed("a part's head must be lines of NAME: VALUE");
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trimmed_blanks(line.substr(colon + 1));
    if (name == "content-disposition") {
      if (!part.name.empty()) malformed("a part has two content-dispositions");
      read_disposition(value, part);
    }
    if (name != "content-transfer-encoding") continue;
    const std::string encoding = lower(value);
    if (encoding != "binary" && encoding != "8bit" && encoding != "7bit")
      malformed("a part is encoded as " + shown(value) + "; parts must come as they are");
  }
  if (part.name.empty()) malformed("a part has no content-disposition");
  return part;
}

}  // namespace

bool is_form(std::string_view content_type) {
  return lower(trimmed_blanks(content_type.substr(0, content_type.find(';')))) == "multipart/form-data";
}

std::vector<FormPart> parse_form(std::string_view body, std::string_view content_type) {
  const std::string between = "\r\n--" + boundary_of(content_type);
  if (!body.starts_with(std::string_view(between).substr(kLineEnd.size())))
    malformed("it does not begin with its boundary");
  body.remove_prefix(between.size() - kLineEnd.size());
  std::vector<FormPart> parts;
  while (!body.starts_with("--")) {
    if (!body.starts_with(kLineEnd)) malformed("a boundary is not followed by a line's end");
    body.remove_prefix(kLineEnd.size());
    if (parts.size() == kMaxParts) malformed("it has more than " + std::to_string(kMaxParts) + " parts");
    const size_t head = body.substr(0, kMaxHead).find("\r\n\r\n");
    if (head == body.npos) malformed("a part's head has no end, or more than " + std::to_string(kMaxHead) + " bytes");
    FormPart part = read_head(body.substr(0, head));
    body.remove_prefix(head + 2 * kLineEnd.size());
    // In time that grows with the body alone, whatever is in it.
    const void* found = memmem(body.data(), body.size(), between.data(), between.size());
    const size_t end = found ? static_cast<size_t>(static_cast<const char*>(found) - body.data()) : body.npos;
    if (end == body.npos) malformed("it ends within the part " + shown(part.name));
    part.content = body.substr(0, end);
    body.remove_prefix(end + between.size());
    parts.push_back(std::move(part));
  }
  body.remove_prefix(2);
  if (body.find_first_not_of("\r\n \t") != body.npos) malformed("something follows its end");
  return parts;
}

}  // namespace inkstone::serve
