// JPEG by libjpeg, which reports errors by a callback that must not return: what has a destructor lives
// outside came_through().
#include <cstdio>
// before it
#include <jpeglib.h>
// after it
#include <jerror.h>

#include <array>
#include <csetjmp>

#include "base/error.h"
#include "base/picture_formats.h"

namespace inkstone {
namespace {

// A progressive file may ask for the whole picture once more with every scan; cameras write about ten.
constexpr int kMaxScans = 100;

struct Reading {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf way_out;
  std::array<char, JMSG_LENGTH_MAX> message{};
  std::span<const std::byte> file;
  uint8_t* pixels = nullptr;
  int channels = 3;
};

Reading& reading_of(j_common_ptr jpeg) { return *static_cast<Reading*>(jpeg->client_data); }

void on_error(j_common_ptr jpeg) {
  Reading& self = reading_of(jpeg);
  (*jpeg->err->format_message)(jpeg, self.message.data());
  std::longjmp(self.way_out, 1);
}

// A file that ends too early is a warning to libjpeg, which fills the rest with grey.
void on_message(j_common_ptr jpeg, int level) {
  if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) on_error(jpeg);
}

void on_progress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
  constexpr char kText[] = "more than 100 scans";
  std::copy(std::begin(kText), std::end(kText), reading_of(jpeg).message.begin());
  std::longjmp(reading_of(jpeg).way_out, 1);
}

void read_header_raw(Reading& self) {
  jpeg_create_decompress(&self.jpeg);
  self.jpeg.progress = &self.progress;
  jpeg_mem_src(&self.jpeg, reinterpret_cast<const unsigned char*>(self.file.data()), self.file.size());
  jpeg_read_header(&self.jpeg, TRUE);
  const bool ink = self.jpeg.jpeg_color_space == JCS_CMYK || self.jpeg.jpeg_color_space == JCS_YCCK;
  self.jpeg.out_color_space = ink ? JCS_CMYK : JCS_RGB;
  self.channels = ink ? 4 : 3;
}

void read_pixels_raw(Reading& self) {
  jpeg_start_decompress(&self.jpeg);
  const size_t stride = static_cast<size_t>(self.jpeg.output_width) * static_cast<size_t>(self.channels);
  while (self.jpeg.output_scanline < self.jpeg.output_height) {
    JSAMPROW row = self.pixels + self.jpeg.output_scanline * stride;
    jpeg_read_scanlines(&self.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&self.jpeg);
}

// The only setjmp. Returns true if `body` came to its end.
bool came_through(Reading& self, void (*body)(Reading&)) {
  if (setjmp(self.way_out)) return false;
  body(self);
  return true;
}
void guarded(Reading& self, void (*body)(Reading&)) {
  INKSTONE_CHECK(came_through(self, body), "jpeg: ", self.message.data());
}

uint8_t times(uint32_t a, uint32_t b) {  // of values from 0 to 1 in 255ths
  const uint32_t product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

// Adobe's programs, and so all others, store inks the wrong way round: 255 is no ink.
std::vector<uint8_t> rgb_of_inks(const std::vector<uint8_t>& inks) {
  std::vector<uint8_t> result;
  result.reserve(inks.size() / 4 * 3);
  for (size_t at = 0; at + 4 <= inks.size(); at += 4) {
    const uint8_t white = inks[at + 3];
    for (size_t c = 0; c < 3; ++c)
      result.push_back(static_cast<uint8_t>(white - times(static_cast<uint32_t>(255 - inks[at + c]), white)));
  }
  return result;
}

}  // namespace

Picture read_jpeg(std::span<const std::byte> file, const PictureLimits& limits) {
  Reading self;
  self.file = file;
  self.jpeg.client_data = &self;
  self.jpeg.err = jpeg_std_error(&self.errors);
  self.errors.error_exit = on_error;
  self.errors.emit_message = on_message;
  self.progress.progress_monitor = on_progress;
  struct Owner {
    jpeg_decompress_struct* jpeg;
    ~Owner() { jpeg_destroy_decompress(jpeg); }
  } owner{&self.jpeg};
  guarded(self, read_header_raw);
  check_size("jpeg", self.jpeg.image_width, self.jpeg.image_height, limits);
  Picture result;
  Image& image = result.image;
  image.width = static_cast<int>(self.jpeg.image_width);
  image.height = static_cast<int>(self.jpeg.image_height);
  image.rgb.resize(static_cast<size_t>(image.width) * static_cast<size_t>(image.height) *
                   static_cast<size_t>(self.channels));
  self.pixels = image.rgb.data();
  guarded(self, read_pixels_raw);
  if (self.channels == 4) image.rgb = rgb_of_inks(image.rgb);
  return result;
}

}  // namespace inkstone
