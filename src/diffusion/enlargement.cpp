#include "diffusion/enlargement.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/picture.h"
#include "diffusion/image_upscaler.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

std::string size_text(int64_t width, int64_t height) { return std::to_string(width) + "x" + std::to_string(height); }

PictureSize size_of(const GivenFile& picture) {
  try {
    return picture_size(picture.bytes, picture.source);
  } catch (const Error& error) {
    throw RequestError::sentence(request_field(&ImageRequest::image), "", error.what());
  }
}

void check_size(const PictureSize& size, const char* what, const RequestMember& member, const RequestLimits& limits) {
  const bool good = size.width >= 1 && size.height >= 1 && std::max(size.width, size.height) <= limits.max_side &&
                    size.width * size.height <= limits.max_pixels;
  if (!good)
    throw RequestError::sentence(request_field(member), std::to_string(size.width),
                                 std::string(what) + size_text(size.width, size.height) + " pixels; at most " +
                                     std::to_string(limits.max_pixels) + ", and " + std::to_string(limits.max_side) +
                                     " a side, are taken here: ask for a smaller image");
}

HiresUpscaler of_pixels(std::optional<std::string> ImageRequest::*member, const ImageRequest& request,
                        const ModelTraits& model) {
  HiresUpscaler found = named_upscaler(member, request, model.upscalers);
  if (found.of_latent)
    throw RequestError::sentence(request_field(member), found.name,
                                 std::string(request_field(member).name) + ": " + found.name +
                                     " enlarges latents, and this is a picture; take lanczos, or a network");
  return found;
}

// Pillow's blend.
void blend(Image& image, const Image& other, float part) {
  for (size_t i = 0; i < image.rgb.size(); ++i) {
    const int from = image.rgb[i], to = other.rgb[i];
    image.rgb[i] = static_cast<uint8_t>(static_cast<float>(from) + part * static_cast<float>(to - from));
  }
}

}  // namespace

ResolvedRequest resolve_enlargement(const ImageRequest& request, const ModelTraits& model,
                                    const RequestLimits& limits) {
  ResolvedRequest result;
  if (!request.image)
    throw RequestError::sentence(request_field(&ImageRequest::upscaler), "",
                                 "upscaler: there is no image that it could enlarge");
  check_field(request_field(&ImageRequest::second_upscaler_part), request);
  check_field(request_field(&ImageRequest::resize_mode), request);
  const PictureSize picture = size_of(*request.image);
  Enlargement by{of_pixels(&ImageRequest::upscaler, request, model)};
  by.second_part = request.second_upscaler ? request.second_upscaler_part.value_or(0) : 0;
  if (by.second_part > 0) by.second = of_pixels(&ImageRequest::second_upscaler, request, model);
  if (by.has_network()) check_size(picture, "image: a network would be given ", &ImageRequest::image, limits);
  const PictureSize size{request.width.value_or(static_cast<int>(picture.width)),
                         request.height.value_or(static_cast<int>(picture.height))};
  check_size(size, "image: enlarged it would have ", &ImageRequest::width, limits);
  result.width = result.first_width = result.final_width = static_cast<int>(size.width);
  result.height = result.first_height = result.final_height = static_cast<int>(size.height);
  result.output = size;
  result.image = request.image;
  if (request.resize_mode) result.resize_mode = find_resize_mode(*request.resize_mode).value();
  result.guided = false;
  result.steps = 1;
  result.scheduler_config = scheduler_config(model);
  result.scheduler = make_scheduler(result.scheduler_config, std::max(1, model.only_steps));
  result.end_call = 0;
  result.enlargement = std::move(by);
  return result;
}

ImageRequest said_of_enlargement(const ResolvedRequest& request) {
  const Enlargement& by = *request.enlargement;
  ImageRequest said;
  said.image = request.image;
  said.width = request.width;
  said.height = request.height;
  said.resize_mode = name_of(request.resize_mode);
  said.upscaler = by.first.name;
  if (!by.second) return said;
  said.second_upscaler = by.second->name;
  said.second_upscaler_part = by.second_part;
  return said;
}

Image enlarged_picture(const ResolvedRequest& request, ImageUpscaler& upscaler) {
  const Enlargement& by = *request.enlargement;
  const Image picture = flatten(read_picture(request.image->bytes, request.image->source));
  const auto made = [&](const HiresUpscaler& how) {
    return upscaler.upscale(picture, request.width, request.height, how, request.resize_mode);
  };
  Image image = made(by.first);
  if (by.second) blend(image, made(*by.second), by.second_part);
  return image;
}

std::string enlargement_text(const ResolvedRequest& request) {
  const Enlargement& by = *request.enlargement;
  std::string text = "Postprocess upscale to: " + size_text(request.width, request.height) +
                     ", Postprocess upscaler: " + by.first.label;
  if (by.second) text += ", Postprocess upscaler 2: " + by.second->label;
  return text;
}

}  // namespace inkstone
