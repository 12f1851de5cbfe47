// PNG by libpng, which reports errors by longjmp. So everything with a destructor is outside of
// guarded(), and functions that run inside it (named *_raw, and the callbacks) have plain values
// only. libpng sees only chunks with pixels or text: a walk over the file leaves out the others,
// and checks sizes before any memory is allocated.
#include <png.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <string_view>

#include "base/error.h"
#include "base/image.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

// of one chunk, as stored or unpacked
constexpr size_t kMaxTextBytes = size_t{1} << 20;
constexpr int kMaxTexts = 1000;
// zTXt and iTXt: a few bytes may unpack to the maximum
constexpr int kMaxPackedTexts = 32;
constexpr uint32_t kMaxSide = 1'000'000;  // keeps libpng's row buffers small

struct Png {
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool writing = false;
  std::array<char, 120> message{};

  std::vector<std::span<const std::byte>> input;  // pieces of the file, in order
  size_t piece = 0, at = 0;
  std::vector<std::byte> output;
  uint8_t* pixels = nullptr;
  size_t channels = 3;             // 4 with alpha
  std::span<const uint8_t> alpha;  // to be written beside `pixels`, which have 3 channels then
  std::vector<uint8_t> row;        // of both
  png_uint_32 width = 0, height = 0;
  std::vector<png_text> texts;

  Png() = default;
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;
  ~Png() { writing ? png_destroy_write_struct(&png, &info) : png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto& self = *static_cast<Png*>(png_get_error_ptr(png));
  std::strncpy(self.message.data(), message, self.message.size() - 1);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, size_t length) {
  auto& self = *static_cast<Png*>(png_get_io_ptr(png));
  while (length > 0) {
    if (self.piece == self.input.size()) png_error(png, "the data ends too early");
    const std::span<const std::byte> from = self.input[self.piece].subspan(self.at);
    const size_t some = length < from.size() ? length : from.size();
    std::memcpy(to, from.data(), some);
    to += some;
    length -= some;
    self.at += some;
    if (some == from.size()) ++self.piece, self.at = 0;
  }
}

bool append(std::vector<std::byte>& output, const void* from, size_t length) noexcept {
  try {
    const auto* bytes = static_cast<const std::byte*>(from);
    output.insert(output.end(), bytes, bytes + length);
    return true;
  } catch (...) {
    return false;
  }
}
void on_write(png_structp png, png_bytep from, size_t length) {
  auto& self = *static_cast<Png*>(png_get_io_ptr(png));
  if (!append(self.output, from, length)) png_error(png, "no memory for the file");
}
void on_flush(png_structp) {}

// The only setjmp. Returns true if `body` came to its end.
bool came_through(Png& self, void (*body)(Png&)) {
  if (setjmp(png_jmpbuf(self.png))) return false;
  body(self);
  return true;
}
void guarded(Png& self, void (*body)(Png&)) { INKSTONE_CHECK(came_through(self, body), "png: ", self.message.data()); }

// Texts.

std::string utf8_of_latin1(std::string_view text) {
  std::string result;
  for (const char c : text) append_utf8(result, static_cast<uint8_t>(c));
  return result;
}

// A text as PNG holds it: Latin-1 if it can be, else clean UTF-8.
struct StoredText {
  std::string keyword, text;
  bool latin1 = true;
};
StoredText stored(const std::string& keyword, const std::string& text) {
  StoredText result{keyword, {}, true};
  std::string utf8 = clean_utf8(text);
  for (size_t at = 0; at < utf8.size();) {
    const char32_t code = next_code_point(utf8, at);
    if (code > 0xFF) result.latin1 = false;
    if (result.latin1) result.text += static_cast<char>(code);
  }
  if (!result.latin1) result.text = std::move(utf8);
  return result;
}

void check_keyword(const std::string& keyword) {
  bool good = !keyword.empty() && keyword.size() <= 79 && keyword.front() != ' ' && keyword.back() != ' ' &&
              keyword.find("  ") == std::string::npos;
  for (const char c : keyword) good = good && c >= ' ' && c <= '~';
  INKSTONE_CHECK(good, "png: the keyword \"", keyword, "\" is not 1 to 79 printable ASCII characters");
}

// Writing.

uint8_t* row_to_write(Png& self, size_t y) {
  uint8_t* const rgb = self.pixels + 3 * y * self.width;
  if (self.alpha.empty()) return rgb;
  for (size_t x = 0; x < self.width; ++x) {
    std::copy_n(rgb + 3 * x, 3, self.row.data() + 4 * x);
    self.row[4 * x + 3] = self.alpha[y * self.width + x];
  }
  return self.row.data();
}

void write_raw(Png& self) {
  constexpr int kLevel = 6;
  png_set_write_fn(self.png, &self, on_write, on_flush);
  png_set_user_limits(self.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_compression_level(self.png, kLevel);
  const int colors = self.channels == 4 ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB;
  png_set_IHDR(self.png, self.info, self.width, self.height, 8, colors, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!self.texts.empty()) png_set_text(self.png, self.info, self.texts.data(), static_cast<int>(self.texts.size()));
  png_write_info(self.png, self.info);
  for (size_t y = 0; y < self.height; ++y) png_write_row(self.png, row_to_write(self, y));
  png_write_end(self.png, nullptr);
}

// Reading.

uint32_t big_endian(std::span<const std::byte> at) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(at[i]);
  return value;
}

// The pieces of the file that libpng will see: the signature, and chunks of pixels and text.
struct Walk {
  std::vector<std::span<const std::byte>> pieces;
  uint32_t width = 0, height = 0;
  int texts = 0, packed_texts = 0;
};

void take_header(Walk& walk, std::span<const std::byte> data, int64_t max_pixels) {
  INKSTONE_CHECK(data.size() == 13, "png: a header of ", data.size(), " bytes where PNG has 13");
  walk.width = big_endian(data);
  walk.height = big_endian(data.subspan(4));
  INKSTONE_CHECK(walk.width > 0 && walk.height > 0, "png: a size of ", walk.width, "x", walk.height);
  INKSTONE_CHECK(
      walk.width <= kMaxSide && walk.height <= kMaxSide && int64_t{walk.width} * int64_t{walk.height} <= max_pixels,
      "png: ", walk.width, "x", walk.height, " pixels are more than the ", max_pixels, " allowed");
}

void take_text(Walk& walk, std::string_view name, size_t length) {
  INKSTONE_CHECK(length <= kMaxTextBytes, "png: a ", name, " chunk of ", length, " bytes; at most ", kMaxTextBytes);
  if (name != "tEXt") ++walk.packed_texts;
  INKSTONE_CHECK(++walk.texts <= kMaxTexts && walk.packed_texts <= kMaxPackedTexts, "png: more than ", kMaxTexts,
                 " texts, or ", kMaxPackedTexts, " of them zTXt or iTXt");
}

Walk walk_chunks(std::span<const std::byte> png, int64_t max_pixels) {
  // a chunk is length, name, data, check sum
  constexpr size_t kSignature = 8, kFrame = 12;
  INKSTONE_CHECK(png.size() >= kSignature && png_sig_cmp(reinterpret_cast<png_const_bytep>(png.data()), 0, 8) == 0,
                 "png: not a PNG file (", png.size(), " bytes)");
  Walk walk;
  walk.pieces.push_back(png.first(kSignature));
  std::string_view name;
  for (size_t at = kSignature; name != "IEND";) {
    INKSTONE_CHECK(png.size() - at >= kFrame, "png: the data ends at byte ", png.size(), ", before the end chunk");
    const size_t length = big_endian(png.subspan(at));
    INKSTONE_CHECK(length <= png.size() - at - kFrame, "png: a chunk of ", length, " bytes at byte ", at,
                   " in data of ", png.size(), " bytes");
    name = {reinterpret_cast<const char*>(png.data()) + at + 4, 4};
    const bool first = at == kSignature;
    INKSTONE_CHECK(first == (name == "IHDR"), "png: the header is not the one first chunk");
    const bool text = name == "tEXt" || name == "zTXt" || name == "iTXt";
    const bool pixels = first || name == "PLTE" || name == "tRNS" || name == "IDAT" || name == "IEND";
    if (first) take_header(walk, png.subspan(at + 8, length), max_pixels);
    if (text) take_text(walk, name, length);
    constexpr char kAncillary = 0x20;  // lower case: may be left out
    INKSTONE_CHECK(pixels || (name[0] & kAncillary), "png: an unknown critical chunk at byte ", at);
    if (text || pixels) walk.pieces.push_back(png.subspan(at, length + kFrame));
    at += length + kFrame;
  }
  return walk;
}

void read_raw(Png& self) {
  png_set_read_fn(self.png, &self, on_read);
  png_set_user_limits(self.png, kMaxSide, kMaxSide);
  png_set_chunk_malloc_max(self.png, kMaxTextBytes);
  png_set_chunk_cache_max(self.png, 0);  // counted by the walk
  png_read_info(self.png, self.info);
  png_set_scale_16(self.png);
  png_set_expand(self.png);
  png_set_gray_to_rgb(self.png);
  if (self.channels == 4)
    png_set_add_alpha(self.png, 0xFF, PNG_FILLER_AFTER);
  else
    png_set_strip_alpha(self.png);
  const int passes = png_set_interlace_handling(self.png);
  png_read_update_info(self.png, self.info);
  if (png_get_rowbytes(self.png, self.info) != self.channels * self.width)
    png_error(self.png, "rows of a strange size");
  for (int pass = 0; pass < passes; ++pass) {
    for (size_t y = 0; y < self.height; ++y)
      png_read_row(self.png, self.pixels + y * self.width * self.channels, nullptr);
  }
  png_read_end(self.png, self.info);
}

std::string utf8_of_itxt(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const char32_t code = next_code_point(text, at);
    const bool replaced = code == 0 || code == 0xFFFD;
    INKSTONE_CHECK(!replaced || text.substr(begin, 3) == "\xEF\xBF\xBD", "png: an iTXt chunk is not UTF-8");
  }
  return std::string(text);
}

TextChunks texts_of(const Png& self, int expected) {
  png_textp texts = nullptr;
  const int count = png_get_text(self.png, self.info, &texts, nullptr);
  // libpng skips a text that it cannot read with no more than a warning.
  INKSTONE_CHECK(count == expected, "png: ", expected - count, " of ", expected,
                 " texts are malformed or unpack to more than ", kMaxTextBytes, " bytes");
  TextChunks result;
  for (int i = 0; i < count; ++i) {
    const bool utf8 = texts[i].compression >= PNG_ITXT_COMPRESSION_NONE;
    const std::string_view text(texts[i].text, utf8 ? texts[i].itxt_length : texts[i].text_length);
    result.emplace_back(utf8_of_latin1(texts[i].key), utf8 ? utf8_of_itxt(text) : utf8_of_latin1(text));
  }
  return result;
}

// Into `pixels`, which is as large as the channels ask for.
void read(Png& self, Walk& walk, std::vector<uint8_t>& pixels) {
  self.input = std::move(walk.pieces);
  self.width = walk.width;
  self.height = walk.height;
  self.pixels = pixels.data();
  self.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &self, on_error, on_warning);
  INKSTONE_CHECK(self.png, "png: libpng does not start: ", self.message.data());
  self.info = png_create_info_struct(self.png);
  INKSTONE_CHECK(self.info, "png: no memory");
  guarded(self, read_raw);
}

}  // namespace

std::vector<uint8_t> rgba_of(const Image& image, std::span<const uint8_t> alpha) {
  INKSTONE_CHECK(image.rgb.size() == 3 * alpha.size(), "an image of ", image.rgb.size(), " bytes, and ", alpha.size(),
                 " of alpha");
  std::vector<uint8_t> rgba(4 * alpha.size());
  for (size_t i = 0; i < alpha.size(); ++i) {
    std::copy_n(image.rgb.data() + 3 * i, 3, rgba.data() + 4 * i);
    rgba[4 * i + 3] = alpha[i];
  }
  return rgba;
}

size_t png_bytes(int width, int height, bool alpha) {
  constexpr size_t kOthers = 64 << 10;  // zlib's and the chunks' frames take 1/500 and some
  const size_t row = static_cast<size_t>(width) * (alpha ? 4 : 3) + 1;
  return row * static_cast<size_t>(height) / 128 * 129 + kOthers;
}

std::vector<std::byte> encode_png(const Image& image, const TextChunks& texts, std::span<const uint8_t> alpha) {
  INKSTONE_CHECK(image.width > 0 && image.height > 0 &&
                     image.rgb.size() == size_t{3} * static_cast<size_t>(image.width) * image.height,
                 "png: ", image.rgb.size(), " bytes for ", image.width, "x", image.height, " pixels");
  INKSTONE_CHECK(alpha.empty() || image.rgb.size() == 3 * alpha.size(), "an image of ", image.rgb.size(),
                 " bytes, and ", alpha.size(), " of alpha");
  std::vector<StoredText> kept;
  for (const auto& [keyword, text] : texts) {
    check_keyword(keyword);
    kept.push_back(stored(keyword, text));
  }
  Png self;
  self.writing = true;
  self.width = static_cast<png_uint_32>(image.width);
  self.height = static_cast<png_uint_32>(image.height);
  self.pixels = const_cast<uint8_t*>(image.rgb.data());  // only read
  self.alpha = alpha;
  if (!alpha.empty()) self.channels = 4, self.row.resize(size_t{4} * self.width);
  // So that it need not grow by copies. Pages that the file does not reach are never touched.
  self.output.reserve(png_bytes(image.width, image.height, !alpha.empty()));
  char none[] = "";
  for (StoredText& text : kept) {
    png_text one{};
    one.compression = text.latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    one.key = text.keyword.data();
    one.text = text.text.data();
    one.lang = one.lang_key = none;
    self.texts.push_back(one);
  }
  self.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &self, on_error, on_warning);
  INKSTONE_CHECK(self.png, "png: libpng does not start: ", self.message.data());
  self.info = png_create_info_struct(self.png);
  INKSTONE_CHECK(self.info, "png: no memory");
  guarded(self, write_raw);
  return std::move(self.output);
}

DecodedPng decode_png(std::span<const std::byte> png, int64_t max_pixels) {
  Walk walk = walk_chunks(png, max_pixels);
  DecodedPng result;
  result.image.width = static_cast<int>(walk.width);
  result.image.height = static_cast<int>(walk.height);
  result.image.rgb.resize(size_t{3} * walk.width * walk.height);
  Png self;
  read(self, walk, result.image.rgb);
  result.texts = texts_of(self, walk.texts);
  return result;
}

RgbaPng decode_png_with_alpha(std::span<const std::byte> png, int64_t max_pixels) {
  Walk walk = walk_chunks(png, max_pixels);
  RgbaPng result{static_cast<int>(walk.width), static_cast<int>(walk.height), {}};
  result.rgba.resize(size_t{4} * walk.width * walk.height);
  Png self;
  self.channels = 4;
  read(self, walk, result.rgba);
  return result;
}

}  // namespace inkstone
