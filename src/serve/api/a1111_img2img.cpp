#include "serve/api/a1111_img2img.h"

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "diffusion/request_fields.h"
#include "serve/api/fault.h"

namespace inkstone::serve {
namespace {

constexpr FieldName kNames[] = {{"init_images", "image", false},
                                {"denoising_strength", "strength", false},
                                {"resize_mode", "resize_mode", false},
                                {"mask", "mask", false},
                                {"mask_blur", "mask_blur", false},
                                {"inpainting_fill", "mask_fill", false},
                                {"inpainting_mask_invert", "mask_invert", false},
                                {"inpaint_full_res", "only_masked", false},
                                {"inpaint_full_res_padding", "padding", false}};

const FieldInfo kFields[] = {
    {"init_images", "array", "One image, in base64 or as a data URL: PNG, JPEG or WebP.", "null"},
    {"denoising_strength", "number", "How much of the image is drawn anew: the steps run are floor(steps * it) + 1.",
     "0.75"},
    {"resize_mode", "integer", "0 stretches the image, 1 crops it, 2 fills the borders.", "0"},
    {"mask", "string", "White is drawn anew, or of one with transparency the opaque part.", "null"},
    {"mask_blur", "integer", "Pixels.", "null"},
    {"mask_blur_x", "integer", "As mask_blur; both alike.", "4"},
    {"mask_blur_y", "integer", "As mask_blur; both alike.", "4"},
    {"mask_round", "boolean", "true.", "true"},
    {"inpainting_fill", "integer",
     "Under the mask before the steps: 0 the colours around, 1 the original, 2 noise, 3 zeros of the latent.", "0"},
    {"inpainting_mask_invert", "integer", "1: black is drawn anew.", "0"},
    {"inpaint_full_res", "boolean", "The mask and what is around it are drawn at full size and put back.", "true"},
    {"inpaint_full_res_padding", "integer", "Pixels around the mask.", "0"},
    {"inpainting_mask_weight", "number", "1.", "1.0"},
    {"initial_noise_multiplier", "number", "1.", "null"},
    {"image_cfg_scale", "number", "Without effect: it is of other models.", "null"},
    {"latent_mask", "string", "Empty.", "null"},
    {"include_init_images", "boolean", "false: the answer does not repeat them.", "false"},
};

void refuse_what_img2img_has_not(const Fields& fields) {
  const auto absent = [](const char* name, const char* what) {
    refuse(422, "not_supported", std::string(name) + " is not supported here; " + what, name);
  };
  if (fields.has("latent_mask")) absent("latent_mask", "send mask");
  if (fields.flag("include_init_images") == true) absent("include_init_images", "the answer has what was drawn alone");
  if (fields.flag("mask_round") == false) absent("mask_round", "masks are rounded, and mask_blur softens their edges");
  for (const char* name : {"initial_noise_multiplier", "inpainting_mask_weight"})
    if (const auto value = fields.number(name, 0, 1e6); value && *value != 1) absent(name, "it is 1");
}

// Of n steps floor(min(d, 0.999) n) + 1 are run there; here floor(n * strength).
float strength_of(const Fields& fields, int steps) {
  const double run = std::floor(std::min(a1111_denoising_strength(fields), 0.999) * steps) + 1;
  return static_cast<float>(std::min((run + 0.5) / steps, 1.0));
}

template <size_t N>
std::string choice_of(const Fields& fields, std::string_view name, int usual, const char* const (&words)[N]) {
  const int64_t number = fields.integer(name, 0, static_cast<int64_t>(N) - 1).value_or(usual);
  return words[static_cast<size_t>(number)];
}

void read_mask(const Fields& fields, ImageRequest& image) {
  constexpr const char* kFills[] = {"fill", "original", "noise", "zeros"};
  constexpr int kUsualBlur = 4;
  image.mask = fields.file("mask");
  if (!image.mask) return;
  const auto pixels = [&](std::string_view name, int usual) {
    const RequestField& field = request_field(name.starts_with("mask") ? RequestMember(&ImageRequest::mask_blur)
                                                                       : RequestMember(&ImageRequest::padding));
    return static_cast<int>(fields.integer(name, 0, static_cast<int64_t>(field.max)).value_or(usual));
  };
  const int across = pixels("mask_blur_x", kUsualBlur), down = pixels("mask_blur_y", kUsualBlur);
  const bool said = fields.has("mask_blur");
  if (!said && across != down)
    refuse(422, "not_supported", "mask_blur_x and mask_blur_y must be alike here", "mask_blur_x");
  image.mask_blur = said ? pixels("mask_blur", kUsualBlur) : across;
  image.mask_fill = choice_of(fields, "inpainting_fill", 0, kFills);
  image.mask_invert = fields.integer("inpainting_mask_invert", 0, 1).value_or(0) == 1;
  image.only_masked = fields.flag("inpaint_full_res").value_or(true);
  image.padding = pixels("inpaint_full_res_padding", 0);
}

}  // namespace

std::span<const FieldInfo> a1111_picture_fields() { return kFields; }
std::span<const FieldName> a1111_picture_names() { return kNames; }

double a1111_denoising_strength(const Fields& fields) {
  return fields.number("denoising_strength", 0, 1).value_or(0.75);
}

void read_a1111_picture(const Fields& fields, ImageRequest& image) {
  constexpr const char* kModes[] = {"stretch", "crop", "fill"};
  const std::vector<GivenFile> pictures = fields.files("init_images");
  if (pictures.empty()) refuse(404, "not_found", "Init image not found", "init_images");
  if (pictures.size() > 1)
    refuse(422, "not_supported",
           "init_images has " + std::to_string(pictures.size()) + " images; one is taken: ask for each by itself",
           "init_images");
  refuse_what_img2img_has_not(fields);
  if (fields.integer("resize_mode", 0, 3) == 3)
    refuse(422, "not_supported", "resize_mode 3, resizing in latents, is not supported here; there are 0, 1 and 2",
           "resize_mode");
  image.image = pictures.front();
  image.resize_mode = choice_of(fields, "resize_mode", 0, kModes);
  image.strength = strength_of(fields, image.steps.value_or(1));
  read_mask(fields, image);
}

}  // namespace inkstone::serve
