// What a caller may say of one image. A field that is not set was not said: resolve() fills it in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/given_file.h"

namespace inkstone {

// No image has a longer side, in pixels, or more steps. Models and servers take less.
inline constexpr int kMaxImageSide = 16384, kMaxImageSteps = 1000, kMaxClipSkip = 64, kMaxMaskBlur = 256;

// A part of an image's U-Net evaluations, as fractions of them: those whose middle lies in it.
struct Interval {
  float from = 0, to = 1;
  bool operator==(const Interval&) const = default;
};

// A ControlNet or T2I-Adapter that an image is drawn with, in the part of its U-Net evaluations from `start` to `end`.
struct ControlUse {
  std::string model;  // the name of one that was opened with the model (pipeline_controls.h)
  GivenFile image;    // the hint: an edge map, a depth map, a pose
  float scale = 1;    // of what it adds
  float start = 0, end = 1;
  bool operator==(const ControlUse&) const = default;
};
inline constexpr size_t kMaxControls = 8;  // of an image
inline constexpr float kMaxControlScale = 10;

// request_fields.cpp has the name, range and help of each member.
struct ImageRequest {
  std::optional<std::string> prompt, negative_prompt;
  std::optional<std::string> prompt_syntax;  // what brackets mean in both
  // At which layer the text encoder stops: 1 is its last, 2 the one before.
  std::optional<int> clip_skip;
  std::optional<uint64_t> seed;
  std::optional<int> steps;
  std::optional<float> guidance_scale;    // 1 or less: no unconditional half
  std::optional<float> guidance_rescale;  // of the guided output's contrast, 0: none, 1: all
  std::optional<std::string> scheduler;
  std::optional<std::string> schedule;
  std::optional<bool> karras;  // true: schedule is karras; false: it is not
  std::optional<float> eta;
  std::optional<int> width, height;  // pixels
  // Approximations (docs/performance.md says what they cost). Of so many U-Net evaluations in a
  // row the first is full, the others are shallow; 1: all are full.
  std::optional<int> cache_interval;
  // Evaluations outside of it run without the unconditional half.
  std::optional<Interval> guidance_interval;
  std::optional<std::vector<ControlUse>> control;  // ControlNets and T2I-Adapters; their sums in this order
  std::optional<bool> control_guess;               // ControlNets guess what the hint shows (diffusers' guess mode)
  // The picture that the image begins with, and how much of it is drawn anew: 0 to 1.
  std::optional<GivenFile> image;
  std::optional<float> strength;
  std::optional<std::string> resize_mode;  // how the picture gets the image's size
  // More than 1: the image is drawn at its size, enlarged so many times, and drawn again from there (legs.h), this much
  // of it, in so many steps (0: as many as before).
  std::optional<float> hires, hires_strength;
  std::optional<int> hires_steps;
  std::optional<std::string> hires_upscaler;
  // The picture is made as large as the image by this upscaler, and nothing is drawn (enlargement.h); a second one's image
  // lies over that, seen in part: 0 to 1.
  std::optional<std::string> upscaler, second_upscaler;
  std::optional<float> second_upscaler_part;
  // Which part of it is drawn anew (repaint.h).
  std::optional<GivenFile> mask;
  std::optional<bool> mask_invert;
  std::optional<int> mask_blur;  // pixels
  std::optional<std::string> mask_fill;
  std::optional<bool> only_masked;
  std::optional<int> padding;           // pixels
  std::optional<std::string> outpaint;  // "left=128,top=64"
  // The finished image has the picture's size, whatever size is drawn.
  std::optional<bool> keep_size;

  bool operator==(const ImageRequest&) const = default;
};

}  // namespace inkstone
