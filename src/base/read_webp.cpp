#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "base/error.h"
#include "base/picture_formats.h"

namespace inkstone {
namespace {

const uint8_t* bytes_of(std::span<const std::byte> file) { return reinterpret_cast<const uint8_t*>(file.data()); }

Picture first_frame(const WebPData& data, const WebPBitstreamFeatures& features) {
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(WebPAnimDecoderNew(&data, &options),
                                                                                   WebPAnimDecoderDelete);
  uint8_t* rgba = nullptr;
  int time = 0;
  INKSTONE_CHECK(decoder && WebPAnimDecoderGetNext(decoder.get(), &rgba, &time),
                 "webp: the first frame of an animation cannot be decoded");
  return picture_of_rgba(features.width, features.height, rgba);
}

}  // namespace

Picture read_webp(std::span<const std::byte> file, const PictureLimits& limits) {
  WebPBitstreamFeatures features;
  INKSTONE_CHECK(WebPGetFeatures(bytes_of(file), file.size(), &features) == VP8_STATUS_OK,
                 "webp: the header is malformed or cut off (", file.size(), " bytes)");
  check_size("webp", features.width, features.height, limits);
  const WebPData data{bytes_of(file), file.size()};
  if (features.has_animation) return first_frame(data, features);
  std::vector<uint8_t> rgba(size_t{4} * static_cast<size_t>(features.width) * static_cast<size_t>(features.height));
  INKSTONE_CHECK(WebPDecodeRGBAInto(bytes_of(file), file.size(), rgba.data(), rgba.size(), 4 * features.width),
                 "webp: the data is malformed or ends too early");
  return picture_of_rgba(features.width, features.height, rgba.data());
}

}  // namespace inkstone
