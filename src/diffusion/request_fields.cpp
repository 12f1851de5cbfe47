#include "diffusion/request_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "base/spelling.h"
#include "diffusion/prompt_syntax.h"
#include "diffusion/repaint.h"
#include "diffusion/request_pictures.h"
#include "diffusion/scheduler.h"
#include "diffusion/scheduler_names.h"

namespace inkstone {
namespace {

using Request = ImageRequest;

// 8x8 pixels.
constexpr const char* kTinyPicture =
    R"("iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR42mNgoA4AAABIAAEQRe/SAAAAAElFTkSuQmCC")";

// clang-format off
const RequestField kFields[] = {
    {"prompt", "prompt", "p", "Image", "PROMPT", "what to draw", "; - reads it from standard input, all\nlines as one prompt", "; one of more than 75 tokens is read in several parts", R"("a fox")", &Request::prompt},
    {"negative_prompt", "negative", "negative-prompt n", "Image", "TEXT", "what to keep out of the image", "", "", R"("blurry")", &Request::negative_prompt},
    {"prompt_syntax", "prompt-syntax", "", "Image", "SYNTAX", "what brackets in prompts mean: a1111 (weights, editing, BREAK), comfy (weights) or\nplain (text) [a1111]", "", "", R"("a1111")", &Request::prompt_syntax, 0, 0, prompt_syntax_names, false, "Prompt syntax"},
    {"clip_skip", "clip-skip", "clip-stop-at-last-layers", "Image", "N", "the text encoder's layer that is used: 1 is the last, 2 the one before [1]", "", "; without effect in SDXL models", "1", &Request::clip_skip, 1, kMaxClipSkip, nullptr, false, "Clip skip"},
    {"seed", "seed", "s", "Image", "N", "the same seed gives the same image; 0 to 2^64-1", ";\n-1 or random: drawn [drawn and printed]", "; image i of several has seed + i [drawn, as for -1 and \"random\"]", "7", &Request::seed},
    {"num_inference_steps", "steps", "num-inference-steps sampling-steps ddim-steps", "Image", "N", "denoising steps [the model's own, else 20]", "", "", "4", &Request::steps, 1, kMaxImageSteps},
    {"guidance_scale", "guidance", "guidance-scale cfg-scale cfg scale", "Image", "X", "how closely to follow the prompt; 1 or less: no guidance [the model's own, else 7.5]", "", "", "5.5", &Request::guidance_scale, 0, 100},
    {"guidance_rescale", "guidance-rescale", "cfg-rescale", "Image", "X", "how much of the contrast that guidance adds is taken away again, 0 to 1: 0.7 for models\nthat predict v with zero terminal SNR, if images are burnt [0]", "", "", "0.7", &Request::guidance_rescale, 0, 1, nullptr, false, "CFG Rescale"},
    {"scheduler", "scheduler", "sampler sampler-name sampling-method", "Image", "NAME", "pndm, ddim, euler, euler-ancestral, dpm++-2m, dpm++-2m-sde, unipc, lcm, heun, dpm2,\ndpm2-a, lms, dpm++-2s-a, dpm++-sde, dpm++-3m-sde, deis or tcd, or what other programs call\nit, such as \"Euler a\" or \"DPM++ 2M Karras\" [the model's own, else pndm]", "", "", R"("euler")", &Request::scheduler, 0, 0, scheduler_names},
    {"schedule", "schedule", "", "Image", "NAME", "where the noise levels lie: default, leading, linspace, trailing; with all but pndm, ddim,\nlcm and tcd also karras, exponential, beta, uniform, sgm-uniform, simple, ddim-uniform,\nays, kl-optimal; with dpm++-2m and dpm++-2m-sde also lu [the model's own]", "", "", R"("trailing")", &Request::schedule, 0, 0, schedule_choices},
    {"karras", "karras", "", "Image", "", "the same as schedule karras", "; --no-karras: not", "; false: not [as the model says]", "false", &Request::karras},
    {"eta", "eta", "", "Image", "X", "noise added in each step, 0 to 1 (ddim, tcd) [0; tcd: 0.3]", "", "", "0", &Request::eta, 0, 1, nullptr, false, "Eta DDIM"},
    {"width", "width", "W", "Image", "PIXELS", "[the model's own, else 512]", "", "", "512", &Request::width, 1, kMaxImageSide, nullptr, true},
    {"height", "height", "H", "Image", "PIXELS", "[the model's own, else 512]", "", "", "512", &Request::height, 1, kMaxImageSide, nullptr, true},
    {"image", "image", "init-img init-image input-image", "From a picture", "FILE", "a picture to begin with: PNG, JPEG or WebP. The image gets its size, if none is said,\nor a smaller one, where the model could not draw it well", "", ": base64, as it is or in a data URL", kTinyPicture, &Request::image, 0, 0, nullptr, true},
    {"strength", "strength", "denoising-strength", "From a picture", "X", "how much of the picture is drawn anew, 0 to 1: of the steps this part runs\n[0.8; with a mask or outpaint 1]", "", "", "0.6", &Request::strength, 0, 1, nullptr, false, "Denoising strength"},
    {"resize_mode", "resize-mode", "", "From a picture", "HOW", "how a picture of another shape gets the image's: stretch, crop (what sticks out\ngoes) or fill (its border rows go on) [stretch]", "", "", R"("crop")", &Request::resize_mode, 0, 0, resize_modes, false, "Resize mode"},
    {"mask", "mask", "mask-image mask-img", "From a picture", "FILE", "white where the picture is drawn anew; the rest stays as it is, to the byte. Of a mask\nwith transparency the opaque part is drawn", "", ": base64, as the image", kTinyPicture, &Request::mask},
    {"hires", "hires", "hires-upscale hr-scale", "Hires fix", "X", "draws the image at its size, enlarges it X times and draws it again from there:\n1 to 4, as 2 or 2x [1: not]", "", "", "1", &Request::hires, 1, 4, nullptr, true, "Hires upscale"},
    {"hires_strength", "hires-strength", "hires-denoising", "Hires fix", "X", "how much of the enlarged image is drawn anew, 0.01 to 1\n[0.7 if its latent was enlarged, else 0.5]", "", "", "0.6", &Request::hires_strength, 0.01, 1, nullptr, false, "Denoising strength"},
    {"hires_steps", "hires-steps", "hr-second-pass-steps", "Hires fix", "N", "steps at the larger size; 0: as many as before [0]", "", "", "4", &Request::hires_steps, 0, kMaxImageSteps, nullptr, false, "Hires steps"},
    {"hires_upscaler", "hires-upscaler", "upscaler hr-upscaler", "Hires fix", "FILE|NAME", "what enlarges it: latent, latent-antialiased, latent-bicubic, latent-bicubic-antialiased,\nlatent-nearest, latent-nearest-exact; of its pixels, lanczos, bicubic, bilinear, box,\nor an ESRGAN", ", such as RealESRGAN_x4plus.safetensors [latent]", ", by the name of one of the server's [latent]", R"("latent")", &Request::hires_upscaler, 0, 0, nullptr, true, "Hires upscaler"},
    {"upscaler", "upscaler", "", "Enlarging", "NAME", "what makes the picture larger", "", "", R"("lanczos")", &Request::upscaler},
    {"second_upscaler", "second-upscaler", "", "Enlarging", "NAME", "a second one, whose image lies over that", "", "", R"("bicubic")", &Request::second_upscaler},
    {"second_upscaler_part", "second-upscaler-part", "", "Enlarging", "X", "how much of it is seen, 0 to 1", "", "", "0.5", &Request::second_upscaler_part, 0, 1},
    {"mask_invert", "mask-invert", "", "From a picture", "", "black is drawn anew instead", "", "", "false", &Request::mask_invert, 0, 0, nullptr, false, "Mask invert"},
    {"mask_blur", "mask-blur", "", "From a picture", "PIXELS", "over how many pixels, inside the mask, the new image fades in [4]", "", "", "8", &Request::mask_blur, 0, kMaxMaskBlur, nullptr, false, "Mask blur"},
    {"mask_fill", "mask-fill", "inpainting-fill", "From a picture", "WHAT", "what is under the mask before the steps, where the strength is below 1: original,\nfill (the colours around), noise or zeros [original]", "", "", R"("fill")", &Request::mask_fill, 0, 0, mask_fills, false, "Masked content"},
    {"only_masked", "only-masked", "inpaint-full-res", "From a picture", "", "the mask and what is around it are drawn at the image's size and put back into the\nwhole picture", "", "", "false", &Request::only_masked, 0, 0, nullptr, false, "Only masked"},
    {"padding", "padding", "inpaint-full-res-padding", "From a picture", "PIXELS", "how much around the mask --only-masked takes [32]", "", "", "32", &Request::padding, 0, kMaxImageSide, nullptr, false, "Masked area padding"},
    {"outpaint", "outpaint", "", "From a picture", "SIDES", "the picture grows by so many pixels, which are drawn:\nleft=128,top=64,right=0,bottom=0", "", "", R"("left=128,top=64")", &Request::outpaint, 0, 0, nullptr, true, "Outpaint"},
    {"keep_size", "keep-size", "", "From a picture", "", "the finished image has the picture's own size: what was drawn is put back into it\n[with a mask or outpaint, if no size is said, and with only_masked]", "; --no-keep-size: not", "", "true", &Request::keep_size},
    {"cache_interval", "cache-interval", "", "Approximations", "N", "of N U-Net evaluations one is full, the others run a shallow part alone (DeepCache):\nwith 3 about 2.5 times as fast, and another image, near the exact one [1: all full]", "", "; a server takes 1 alone", "1", &Request::cache_interval, 1, kMaxImageSteps, nullptr, true, "Cache interval"},
    {"guidance_interval", "guidance-interval", "", "Approximations", "FROM,TO", "guidance in this part of the schedule alone, such as 0.1,0.8;\ncalls outside of it cost half [0,1]", "", "; a server takes [0, 1] alone", "[0, 1]", &Request::guidance_interval, 0, 0, nullptr, true, "Guidance interval"},
    {"control", "control", "", "Control", "FILE:HINT[:SCALE[:START:END]]", "ControlNets and T2I-Adapters that the image is drawn with: of each its model, the hint (an edge map, a depth map, a pose;\nnot a photo), scale [1], and in which part of the steps it runs, start [0] and end [1]", "", ": objects with model, image (base64), scale, start and end", R"([])", &Request::control, 0, kMaxControlScale, nullptr, true, "Control"},
    {"control_guess", "control-guess", "guess-mode", "Image", "", "ControlNets guess what the hint shows, without help of the prompt; guidance of 3 to 5\nsuits", "", "", "false", &Request::control_guess, 0, 0, nullptr, false, "Control guess"},
};
// clang-format on

std::string text_of(const std::string& value) { return value; }
std::string text_of(bool value) { return value ? "true" : "false"; }
std::string text_of(const GivenFile& value) { return value.source; }
std::string text_of(const Interval& value) { return fmt::format("{},{}", value.from, value.to); }
// As the command line writes them.
std::string text_of(const std::vector<ControlUse>& uses) {
  std::vector<std::string> texts;
  for (const ControlUse& use : uses)
    texts.push_back(fmt::format("{}:{}:{}:{}:{}", use.model, use.image.source, use.scale, use.start, use.end));
  return listed(texts);
}
std::string text_of(auto value) { return fmt::format("{}", value); }

std::string one_of(const std::vector<std::string>& ours, const std::string& name) {
  const std::string meant = nearest(name, ours);
  return "one of " + listed(ours) + (meant.empty() ? "" : "; did you mean " + meant + "?");
}

// "": the name is one that can be used.
std::string scheduler_rule(const std::string& name) {
  const auto found = find_sampler(name);
  if (!found) return one_of(scheduler_names(), name);
  try {
    sampling_of(*found->sampler, found->schedule);
    return "";
  } catch (const AbsentSampler& error) {
    return "one of " + listed(scheduler_names()) + ": " + error.what();
  }
}

std::string schedule_rule(const std::string& name) {
  const ScheduleName* found = find_schedule(name);
  return found && found->stands == Stands::kItself ? "" : one_of(schedule_choices(), name);
}

}  // namespace

std::span<const RequestField> request_fields() { return kFields; }

const RequestField& request_field(const RequestMember& member) {
  const auto found = std::ranges::find(kFields, member, &RequestField::member);
  INKSTONE_CHECK(found != std::end(kFields), "a member of ImageRequest has no row in request_fields.cpp");
  return *found;
}

const RequestField* find_request_field(std::string_view name) {
  const auto found =
      std::ranges::find(kFields, name, [](const RequestField& field) { return std::string_view(field.name); });
  return found == std::end(kFields) ? nullptr : &*found;
}

bool is_set(const RequestField& field, const ImageRequest& request) {
  return std::visit([&](auto member) { return (request.*member).has_value(); }, field.member);
}

std::string value_text(const RequestField& field, const ImageRequest& request) {
  return std::visit([&](auto member) { return request.*member ? text_of(*(request.*member)) : ""; }, field.member);
}

std::string allowed(const RequestField& field, std::optional<double> max) {
  struct Rules {
    const RequestField& field;
    double max;
    std::string operator()(std::optional<std::string> ImageRequest::*) const {
      return field.choices ? "one of " + listed(field.choices()) : "a text";
    }
    std::string operator()(std::optional<uint64_t> ImageRequest::*) const {
      return fmt::format("a whole number from 0 to {}", UINT64_MAX);
    }
    std::string operator()(std::optional<int> ImageRequest::*) const {
      return range_rule("a whole number", field.min, max);
    }
    std::string operator()(std::optional<float> ImageRequest::*) const {
      return range_rule("a number", field.min, max);
    }
    std::string operator()(std::optional<Interval> ImageRequest::*) const {
      return "FROM,TO with 0 <= FROM <= TO <= 1, such as 0.1,0.8";
    }
    std::string operator()(std::optional<bool> ImageRequest::*) const { return "true or false"; }
    std::string operator()(std::optional<std::vector<ControlUse>> ImageRequest::*) const {
      return fmt::format("at most {}, with scales from {} to {} and 0 <= start <= end <= 1", kMaxControls, field.min,
                         field.max);
    }
    std::string operator()(std::optional<GivenFile> ImageRequest::*) const { return "a PNG, JPEG or WebP file"; }
  };
  return std::visit(Rules{field, max ? std::min(*max, field.max) : field.max}, field.member);
}

RequestError RequestError::rule(const RequestField& field, const std::string& value, const std::string& rule) {
  return {field, value, rule, fmt::format("{} {}: must be {}", field.name, value, rule)};
}

RequestError RequestError::sentence(const RequestField& field, const std::string& value, const std::string& text) {
  return {field, value, "", text};
}

void check_field(const RequestField& field, const ImageRequest& request, std::optional<double> max) {
  const auto in_range = [&](const auto& value) {
    using Number = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<Number, int> || std::is_same_v<Number, float>)
      return value >= field.min && value <= std::min(field.max, max.value_or(field.max));
    else if constexpr (std::is_same_v<Number, Interval>)
      return value.from >= 0 && value.from <= value.to && value.to <= 1;
    else if constexpr (std::is_same_v<Number, std::vector<ControlUse>>)
      return value.size() <= kMaxControls && std::ranges::all_of(value, [&](const ControlUse& use) {
               return use.scale >= field.min && use.scale <= field.max && use.start >= 0 && use.start <= use.end &&
                      use.end <= 1;
             });
    else
      return true;
  };
  const bool good =
      std::visit([&](auto member) { return !(request.*member) || in_range(*(request.*member)); }, field.member);
  if (!good) throw RequestError::rule(field, value_text(field, request), allowed(field, max));
  for (const auto member : {&ImageRequest::prompt_syntax, &ImageRequest::resize_mode, &ImageRequest::mask_fill})
    if (field.member == RequestMember(member) && request.*member &&
        !std::ranges::count(field.choices(), *(request.*member)))
      throw RequestError::rule(field, *(request.*member), allowed(field));
  std::string rule;
  if (field.member == RequestMember(&ImageRequest::outpaint) && request.outpaint && !parse_sides(*request.outpaint))
    rule = fmt::format("sides with their pixels, 0 to {}, such as left=128,top=64", kMaxImageSide);
  if (field.member == RequestMember(&ImageRequest::scheduler) && request.scheduler)
    rule = scheduler_rule(*request.scheduler);
  if (field.member == RequestMember(&ImageRequest::schedule) && request.schedule)
    rule = schedule_rule(*request.schedule);
  if (!rule.empty()) throw RequestError::rule(field, value_text(field, request), rule);
}

}  // namespace inkstone
