#include "base/image_file.h"

#include <jpeglib.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include <array>
#include <csetjmp>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/utf8.h"

namespace inkstone {
namespace {

void append_number(std::string& to, uint64_t value, int bytes) {  // big-endian
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

// A TIFF block of two folders: the first only points to the EXIF folder, which holds the user
// comment as UTF-16.
std::string exif_of(const std::string& parameters) {
  constexpr int kLong = 4, kUndefined = 7;
  std::string comment("UNICODE\0", 8);
  for (size_t at = 0; at < parameters.size();) {
    const char32_t code = next_code_point(parameters, at);
    if (code < 0x10000) {
      append_number(comment, code, 2);
    } else {
      append_number(comment, 0xD800 + ((code - 0x10000) >> 10), 2);
      append_number(comment, 0xDC00 + ((code - 0x10000) & 0x3FF), 2);
    }
  }
  std::string tiff("MM\0\x2a", 4);
  const auto folder = [&](uint32_t tag, uint32_t type, uint64_t count, uint64_t value) {
    append_number(tiff, 1, 2);
    append_number(tiff, tag, 2);
    append_number(tiff, type, 2);
    append_number(tiff, count, 4);
    append_number(tiff, value, 4);
    append_number(tiff, 0, 4);  // no next folder
  };
  constexpr uint32_t kFolderBytes = 2 + 12 + 4, kFirst = 8;
  append_number(tiff, kFirst, 4);
  folder(0x8769, kLong, 1, kFirst + kFolderBytes);                                // ExifIFD
  folder(0x9286, kUndefined, comment.size(), kFirst + 2 * size_t{kFolderBytes});  // UserComment
  return tiff + comment;
}

// JPEG. libjpeg reports errors by a callback that must not return; what has a destructor lives
// outside came_through().
struct JpegFault {
  jpeg_error_mgr manager;
  std::jmp_buf way_out;
  std::array<char, JMSG_LENGTH_MAX> message;
};
void on_jpeg_error(j_common_ptr jpeg) {
  auto* fault = reinterpret_cast<JpegFault*>(jpeg->err);
  (*jpeg->err->format_message)(jpeg, fault->message.data());
  std::longjmp(fault->way_out, 1);
}

struct JpegJob {
  const Image* image;
  int quality;
  const std::string* exif;
  jpeg_compress_struct jpeg{};
  JpegFault fault{};
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
};

bool came_through(JpegJob& job) {
  if (setjmp(job.fault.way_out)) return false;
  jpeg_compress_struct& jpeg = job.jpeg;
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &job.bytes, &job.size);
  jpeg.image_width = static_cast<JDIMENSION>(job.image->width);
  jpeg.image_height = static_cast<JDIMENSION>(job.image->height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, job.quality, TRUE);
  jpeg.dct_method = JDCT_ISLOW;
  jpeg_start_compress(&jpeg, TRUE);
  if (!job.exif->empty())
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(job.exif->data()),
                      static_cast<unsigned>(job.exif->size()));
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = const_cast<JSAMPLE*>(job.image->rgb.data() + size_t{jpeg.next_scanline} * size_t{jpeg.image_width} * 3);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  return true;
}

// Of one JPEG segment, with its frame.
constexpr size_t kMaxExif = 65000;

std::string jpeg_file(const Image& image, int quality, const std::string& parameters) {
  std::string exif;
  if (!parameters.empty()) exif = std::string("Exif\0\0", 6) + exif_of(parameters);
  if (exif.size() > kMaxExif) exif.clear();
  JpegJob job{&image, quality, &exif};
  job.jpeg.err = jpeg_std_error(&job.fault.manager);
  job.fault.manager.error_exit = on_jpeg_error;
  const bool done = came_through(job);
  std::string file;
  if (done) file.assign(reinterpret_cast<const char*>(job.bytes), job.size);
  jpeg_destroy_compress(&job.jpeg);
  std::free(job.bytes);
  INKSTONE_CHECK(done, "jpeg: ", job.fault.message.data());
  return file;
}

std::string with_exif(std::string_view webp, const std::string& exif) {
  const std::unique_ptr<WebPMux, decltype(&WebPMuxDelete)> mux(WebPMuxNew(), WebPMuxDelete);
  const auto data = [](std::string_view bytes) {
    return WebPData{reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  };
  const WebPData image = data(webp), chunk = data(exif);
  WebPData assembled{nullptr, 0};
  INKSTONE_CHECK(mux && WebPMuxSetImage(mux.get(), &image, 0) == WEBP_MUX_OK &&
                     WebPMuxSetChunk(mux.get(), "EXIF", &chunk, 0) == WEBP_MUX_OK &&
                     WebPMuxAssemble(mux.get(), &assembled) == WEBP_MUX_OK,
                 "webp: the parameters could not be added");
  const std::string file(reinterpret_cast<const char*>(assembled.bytes), assembled.size);
  WebPDataClear(&assembled);
  return file;
}

std::string webp_file(const Image& image, int quality, const std::string& parameters, std::span<const uint8_t> alpha) {
  uint8_t* bytes = nullptr;
  std::vector<uint8_t> rgba;
  if (!alpha.empty()) rgba = rgba_of(image, alpha);
  const uint8_t* const pixels = rgba.empty() ? image.rgb.data() : rgba.data();
  const int stride = image.width * (rgba.empty() ? 3 : 4);
  const auto lossy = rgba.empty() ? WebPEncodeRGB : WebPEncodeRGBA;
  const auto lossless = rgba.empty() ? WebPEncodeLosslessRGB : WebPEncodeLosslessRGBA;
  const size_t size = quality == 100 ? lossless(pixels, image.width, image.height, stride, &bytes)
                                     : lossy(pixels, image.width, image.height, stride, float(quality), &bytes);
  const std::unique_ptr<uint8_t, decltype(&WebPFree)> owner(bytes, WebPFree);
  INKSTONE_CHECK(size > 0, "webp: ", image.width, "x", image.height, " could not be encoded");
  const std::string_view file(reinterpret_cast<const char*>(bytes), size);
  const std::string exif = parameters.empty() ? "" : exif_of(parameters);
  return exif.empty() || exif.size() > kMaxExif ? std::string(file) : with_exif(file, exif);
}

}  // namespace

std::string image_file(const Image& image, ImageFormat format, int quality, const std::string& parameters,
                       std::span<const uint8_t> alpha) {
  INKSTONE_CHECK(image.width > 0 && image.height > 0 && quality >= 1 && quality <= 100 &&
                     image.rgb.size() == size_t{3} * static_cast<size_t>(image.width) * image.height,
                 "an image file: ", image.rgb.size(), " bytes for ", image.width, "x", image.height,
                 " pixels, quality ", quality);
  check_sides(format, image.width, image.height);
  switch (format) {
    case ImageFormat::kJpeg: return jpeg_file(image, quality, parameters);
    case ImageFormat::kWebp: return webp_file(image, quality, parameters, alpha);
    case ImageFormat::kPng: break;
  }
  TextChunks texts;
  if (!parameters.empty()) texts.emplace_back(kParametersKeyword, parameters);
  const std::vector<std::byte> png = encode_png(image, texts, alpha);
  return {reinterpret_cast<const char*>(png.data()), png.size()};
}

void check_sides(ImageFormat format, int64_t width, int64_t height) {
  if (format == ImageFormat::kPng) return;
  const int64_t most = format == ImageFormat::kJpeg ? JPEG_MAX_DIMENSION : WEBP_MAX_DIMENSION;
  INKSTONE_CHECK_USAGE(width <= most && height <= most, format_name(format), ": ", width, "x", height,
                       " pixels; at most ", most, " a side: ask for png");
}

size_t encoding_bytes(ImageFormat format, int width, int height, bool alpha) {
  // Measured of noise, for a pixel; libwebp packs alpha without loss.
  constexpr size_t kJpeg = 3, kWebp = 26, kWebpAlpha = 48, kOthers = 2 << 20;
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  switch (format) {
    case ImageFormat::kPng: return png_bytes(width, height, alpha) + kOthers;
    case ImageFormat::kJpeg: return kJpeg * pixels + kOthers;
    case ImageFormat::kWebp: return (alpha ? kWebpAlpha : kWebp) * pixels + kOthers;
  }
  return 0;
}

std::string_view format_name(ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng: return "png";
    case ImageFormat::kJpeg: return "jpeg";
    case ImageFormat::kWebp: return "webp";
  }
  return "";
}

std::string_view media_type(ImageFormat format) {
  switch (format) {
    case ImageFormat::kPng: return "image/png";
    case ImageFormat::kJpeg: return "image/jpeg";
    case ImageFormat::kWebp: return "image/webp";
  }
  return "";
}

}  // namespace inkstone
