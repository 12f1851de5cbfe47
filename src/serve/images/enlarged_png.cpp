#include "serve/images/enlarged_png.h"

#include <zlib.h>

#include "base/error.h"

namespace inkstone::serve {
namespace {

void append_number(std::string& to, uint64_t value, int bytes) {  // big-endian
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

// PNG's rows, each with its filter before it: Sub (differences to the pixel on the left) for the
// first of the rows that repeat, Up (to the row above: all zero) for the others.
std::string enlarged_rows(const Image& image, int width, int height) {
  const int across = width / image.width, down = height / image.height;
  const size_t row_bytes = 1 + size_t{3} * static_cast<size_t>(width);
  std::string rows(row_bytes * static_cast<size_t>(height), '\0');
  for (int y = 0; y < height; ++y) {
    char* row = rows.data() + row_bytes * static_cast<size_t>(y);
    row[0] = y % down == 0 ? 1 : 2;
    if (y % down != 0) continue;
    const uint8_t* from = image.rgb.data() + size_t{3} * static_cast<size_t>(y / down) * image.width;
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const uint8_t left = x > 0 ? from[3 * x - 3 + c] : 0;
        row[1 + 3 * x * across + c] = static_cast<char>(from[3 * x + c] - left);
      }
    }
  }
  return rows;
}

// Zlib's quickest: good for rows that are zero nearly everywhere.
std::string run_lengths(const std::string& rows) {
  z_stream stream{};
  INKSTONE_CHECK(deflateInit2(&stream, 1, Z_DEFLATED, 15, 8, Z_RLE) == Z_OK, "png: zlib does not start");
  std::string packed(deflateBound(&stream, rows.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rows.data()));
  stream.avail_in = static_cast<uInt>(rows.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int end = deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  INKSTONE_CHECK(end == Z_STREAM_END, "png: zlib ended with ", end);
  return packed;
}

void append_chunk(std::string& png, std::string_view name, std::string_view data) {
  append_number(png, data.size(), 4);
  const size_t begin = png.size();
  png += name;
  png += data;
  const auto* from = reinterpret_cast<const Bytef*>(png.data() + begin);
  append_number(png, crc32(0, from, static_cast<uInt>(png.size() - begin)), 4);
}

}  // namespace

std::string enlarged_png(const Image& image, int width, int height) {
  INKSTONE_CHECK(image.width > 0 && image.height > 0 && width > 0 && height > 0 && width % image.width == 0 &&
                     height % image.height == 0 &&
                     image.rgb.size() == size_t{3} * static_cast<size_t>(image.width) * image.height,
                 "a preview of ", image.width, "x", image.height, " pixels for an image of ", width, "x", height);
  std::string png("\x89PNG\r\n\x1a\n"), header;
  append_number(header, static_cast<uint64_t>(width), 4);
  append_number(header, static_cast<uint64_t>(height), 4);
  header += std::string("\x08\x02\0\0\0", 5);  // 8 bits, RGB, no choices
  append_chunk(png, "IHDR", header);
  append_chunk(png, "IDAT", run_lengths(enlarged_rows(image, width, height)));
  append_chunk(png, "IEND", "");
  return png;
}

}  // namespace inkstone::serve
