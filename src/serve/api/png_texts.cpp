// A chunk is length, name, data, check sum. tEXt: keyword NUL Latin-1. zTXt: keyword NUL method
// packed-Latin-1. iTXt: keyword NUL packed method language NUL keyword NUL UTF-8.
#include "serve/api/png_texts.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/picture_exif.h"
#include "base/utf8.h"
#include "serve/api/exif_text.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

constexpr size_t kMaxTexts = 256, kMaxBytes = 1 << 20, kMaxKeyword = 79, kPiece = 64 << 10;
// Settings that are read of an infotext.
constexpr size_t kMaxSettings = 256;
constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";

uint32_t big_endian(std::string_view at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(at[static_cast<size_t>(i)]);
  return value;
}

std::string of_latin1(std::string_view text) {
  std::string result;
  for (const char c : text) append_utf8(result, static_cast<uint8_t>(c));
  return result;
}

// What is left of the work that one image may ask for.
struct Allowance {
  size_t texts = kMaxTexts, bytes = kMaxBytes;

  void take_text() {
    if (texts-- == 0) refuse(422, "invalid_image", "the image has more than 256 texts");
  }
  void take_bytes(size_t count) {
    if (count > bytes) refuse(422, "invalid_image", "the texts of the image have more than 1 MiB");
    bytes -= count;
  }
};

// Takes what it unpacks off the allowance, whether or not it comes to its end.
std::optional<std::string> unpacked(std::string_view packed, Allowance& left) {
  static std::array<char, kPiece> piece;  // one event thread
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) return std::nullopt;
  const std::unique_ptr<z_stream, int (*)(z_stream*)> ended(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  for (int state = Z_OK; state != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    state = inflate(&stream, Z_NO_FLUSH);
    const size_t count = piece.size() - stream.avail_out;
    left.take_bytes(count);
    text.append(piece.data(), count);
    const bool stuck = state == Z_OK && stream.avail_out > 0;
    if (stuck || (state != Z_OK && state != Z_STREAM_END)) return std::nullopt;
  }
  return text;
}

// The part up to a NUL, which is taken off too; nothing where there is none.
std::optional<std::string_view> take_text(std::string_view& data) {
  const size_t end = data.find('\0');
  if (end == data.npos) return std::nullopt;
  const std::string_view text = data.substr(0, end);
  data.remove_prefix(end + 1);
  return text;
}

std::optional<std::string> chunk_text(std::string_view name, std::string_view data, Allowance& left) {
  if (name == "tEXt" || (name == "iTXt" && data.starts_with('\0'))) left.take_bytes(data.size());
  if (name == "tEXt") return of_latin1(data);
  if (name == "zTXt") {
    if (data.empty() || data[0] != 0) return std::nullopt;
    const auto text = unpacked(data.substr(1), left);
    return text ? std::optional(of_latin1(*text)) : std::nullopt;
  }
  if (data.size() < 2) return std::nullopt;
  const bool packed = data[0] != 0;
  data.remove_prefix(2);
  if (!take_text(data) || !take_text(data)) return std::nullopt;
  const auto text = packed ? unpacked(data, left) : std::optional(std::string(data));
  return text ? std::optional(clean_utf8(*text)) : std::nullopt;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

// The value that begins at text, which then begins behind it and its comma. Quoted as JSON is.
std::string take_value(std::string_view& text) {
  size_t end = 0;
  std::string value;
  if (text.starts_with('"')) {
    for (end = 1; end < text.size() && text[end] != '"'; ++end) end += text[end] == '\\';
    end = std::min(end + 1, text.size());
    try {
      const Json quoted = parse_json(text.substr(0, end), "value");
      if (quoted.is_string()) value = quoted.as_string();
    } catch (const Error&) {
      value = text.substr(0, end);
    }
    end = std::min(text.find(',', end), text.size());
  } else {
    end = std::min(text.find(','), text.size());
    value = trimmed(text.substr(0, end));
  }
  text.remove_prefix(std::min(end + 1, text.size()));
  return value;
}

void read_settings(std::string_view line, JsonObject& json) {
  for (size_t count = 0; !line.empty() && count < kMaxSettings; ++count) {
    const size_t colon = line.find(':');
    if (colon == line.npos) return;
    const std::string name(trimmed(line.substr(0, colon)));
    line = line.substr(colon + 1);
    while (line.starts_with(' ')) line.remove_prefix(1);
    const std::string value = take_value(line);
    json[name] = value;
    const size_t x = value.find('x');
    if (name != "Size" || x == value.npos) continue;
    json["Size-1"] = value.substr(0, x);
    json["Size-2"] = value.substr(x + 1);
  }
}

}  // namespace

TextChunks png_texts(std::string_view png) {
  constexpr size_t kFrame = 12;
  if (!png.starts_with(kSignature)) refuse(400, "invalid_image", "Invalid encoded image: not a PNG file");
  TextChunks texts;
  Allowance left;
  png.remove_prefix(kSignature.size());
  for (bool first = true; png.size() >= kFrame; first = false) {
    const size_t length = big_endian(png);
    const std::string_view name = png.substr(4, 4);
    if (length > png.size() - kFrame || first != (name == "IHDR"))
      refuse(400, "invalid_image", "Invalid encoded image: its chunks do not follow one another");
    std::string_view data = png.substr(8, length);
    png.remove_prefix(length + kFrame);
    if (name == "IEND") break;
    if (name != "tEXt" && name != "zTXt" && name != "iTXt") continue;
    left.take_text();
    const auto keyword = take_text(data);
    if (!keyword || keyword->empty() || keyword->size() > kMaxKeyword) continue;
    const auto text = chunk_text(name, data, left);
    if (!text) continue;
    texts.emplace_back(of_latin1(*keyword), *text);
  }
  return texts;
}

TextChunks picture_texts(const GivenFile& picture) {
  const std::string_view bytes(reinterpret_cast<const char*>(picture.bytes.data()), picture.bytes.size());
  if (bytes.starts_with("\x89PNG")) return png_texts(bytes);
  TextChunks texts;
  try {
    if (std::string text = exif_user_comment(exif_block(picture.bytes)); !text.empty())
      texts.emplace_back("parameters", std::move(text));
  } catch (const Error& error) {
    refuse(400, "invalid_image", std::string("Invalid encoded image: ") + error.what(), picture.source);
  }
  return texts;
}

JsonObject infotext_json(std::string_view infotext) {
  constexpr std::string_view kNegative = "Negative prompt:";
  JsonObject json;
  std::string_view text = trimmed(infotext);
  const size_t last = text.rfind('\n');
  const std::string_view line = last == text.npos ? text : text.substr(last + 1);
  if (line.starts_with("Steps:")) {
    read_settings(line, json);
    text = last == text.npos ? std::string_view() : trimmed(text.substr(0, last));
  }
  size_t negative = text.starts_with(kNegative) ? 0 : text.find(std::string("\n") + std::string(kNegative));
  json["Prompt"] = trimmed(text.substr(0, negative));
  std::string_view rest = negative == text.npos ? std::string_view() : trimmed(text.substr(negative));
  if (!rest.empty()) rest.remove_prefix(kNegative.size());
  json["Negative prompt"] = trimmed(rest);
  return json;
}

}  // namespace inkstone::serve
