#include "diffusion/resolved_pictures.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/spelling.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

// How large an image may be whose size is not said, times the model's own.
constexpr int64_t kLargerPictures = 4;

// What the picture's header says is wrong is said of its field.
void size_by_picture(const ImageRequest& request, const ModelTraits& model, const RequestLimits& limits,
                     ResolvedRequest& result) {
  result.output = {result.width, result.height};
  if (!request.image || (request.width && request.height && !result.repaint.keep_size)) return;
  const int64_t own = int64_t{model.width} * model.height;
  const SizeRules rules{model.size_multiple, limits.max_side, std::min(limits.max_pixels, kLargerPictures * own)};
  try {
    const Sides& more = result.repaint.outpaint;
    PictureSize picture = picture_size(request.image->bytes, request.image->source);
    picture = {picture.width + more.left + more.right, picture.height + more.top + more.bottom};
    if (!(request.width && request.height) && !result.repaint.only_masked) {
      const PictureSize size = size_for(picture, request.width, request.height, rules);
      result.width = static_cast<int>(size.width);
      result.height = static_cast<int>(size.height);
    }
    result.output = result.repaint.keep_size ? picture : PictureSize{result.width, result.height};
    INKSTONE_CHECK(!result.repaint.keep_size || picture.width * picture.height <= kMaxKeptPixels, request.image->source,
                   ": a picture of ", picture.width, "x", picture.height, " is too large to be kept whole (at most ",
                   kMaxKeptPixels, " pixels): make it smaller, or say the image's size");
  } catch (const Error& error) {
    throw RequestError::sentence(request_field(&ImageRequest::image), "", error.what());
  }
}

Repaint repaint_of(const ImageRequest& request) {
  for (const RequestMember member : {RequestMember(&ImageRequest::mask_fill), RequestMember(&ImageRequest::outpaint),
                                     RequestMember(&ImageRequest::mask_blur), RequestMember(&ImageRequest::padding)})
    check_field(request_field(member), request);
  Repaint repaint;
  if (!request.image) return repaint;
  repaint.mask = request.mask;
  if (request.outpaint) repaint.outpaint = parse_sides(*request.outpaint).value();
  if (!repaint.any()) return repaint;
  repaint.invert = request.mask_invert.value_or(repaint.invert);
  repaint.blur = request.mask_blur.value_or(repaint.blur);
  if (request.mask_fill) repaint.fill = find_mask_fill(*request.mask_fill).value();
  repaint.only_masked = request.only_masked.value_or(repaint.only_masked);
  repaint.padding = request.padding.value_or(repaint.padding);
  repaint.keep_size = repaint.only_masked || request.keep_size.value_or(!request.width && !request.height);
  return repaint;
}

}  // namespace

void take_pictures(const ImageRequest& request, const ModelTraits& model, const RequestLimits& limits,
                   ResolvedRequest& result) {
  result.image = request.image;
  if (request.mask && !request.image)
    throw RequestError::sentence(request_field(&ImageRequest::mask), "", "mask: there is no image that it could be of");
  result.repaint = repaint_of(request);
  result.strength = request.strength.value_or(result.repaint.any() ? 1.0f : result.strength);
  check_field(request_field(&ImageRequest::resize_mode), request);
  if (request.resize_mode) result.resize_mode = find_resize_mode(*request.resize_mode).value();
  size_by_picture(request, model, limits, result);
}

std::vector<std::string> idle_fields(const ImageRequest& request, const ResolvedRequest& resolved) {
  constexpr auto is_one_of = [](const RequestMember& member, std::initializer_list<RequestMember> members) {
    return std::ranges::find(members, member) != members.end();
  };
  std::vector<std::string> idle;
  for (const RequestField& field : request_fields()) {
    if (!is_set(field, request)) continue;
    const bool of_image =
        is_one_of(field.member, {&ImageRequest::strength, &ImageRequest::resize_mode, &ImageRequest::outpaint});
    const bool of_mask =
        is_one_of(field.member, {&ImageRequest::mask_invert, &ImageRequest::mask_blur, &ImageRequest::mask_fill,
                                 &ImageRequest::only_masked, &ImageRequest::padding, &ImageRequest::keep_size});
    if (of_image && !resolved.image)
      idle.push_back(fmt::format("{} has no effect without an image to begin with", field.name));
    if (of_mask && !resolved.repaint.any()) idle.push_back(fmt::format("{} has no effect without a mask", field.name));
  }
  return idle;
}

int first_call_of(const ResolvedRequest& request) {
  const int steps = request.steps;
  const int run = std::min(static_cast<int>(steps * shortest(request.strength)), steps);
  const RequestField& field = request_field(&ImageRequest::strength);
  if (run < 1)
    throw RequestError::rule(field, fmt::format("{}", request.strength),
                             fmt::format("at least {:.3g} with {} steps, so that one of them is run",
                                         1.0 / static_cast<double>(steps), steps));
  return (steps - run) * (calls_twice(request.scheduler_config.kind) ? 2 : 1);
}

}  // namespace inkstone
