#include "diffusion/hires_upscaler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/spelling.h"
#include "diffusion/request_fields.h"

namespace inkstone {
namespace {

// Of one sample of the result along one axis: where it reads, and by which weights.
struct Taps {
  std::vector<int64_t> at;
  std::vector<float> weights;
};

float cubic_weight(float x, float a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

float triangle_weight(float x) { return std::max(0.0f, 1 - std::abs(x)); }

Taps nearest_taps(int64_t i, int64_t from, float scale, float offset) {
  const auto at = static_cast<int64_t>(std::floor((static_cast<float>(i) + offset) * scale));
  return {{std::min(at, from - 1)}, {1}};
}

Taps between_taps(int64_t i, int64_t from, float scale, bool is_cubic) {
  float place = scale * (static_cast<float>(i) + 0.5f) - 0.5f;
  if (!is_cubic) place = std::max(place, 0.0f);
  const float floor = std::floor(place), t = place - floor;
  const auto clamped = [&](int64_t at) { return std::clamp<int64_t>(static_cast<int64_t>(floor) + at, 0, from - 1); };
  if (!is_cubic) return {{clamped(0), clamped(1)}, {1 - t, t}};
  constexpr float kA = -0.75f;
  return {{clamped(-1), clamped(0), clamped(1), clamped(2)},
          {cubic_weight(t + 1, kA), cubic_weight(t, kA), cubic_weight(1 - t, kA), cubic_weight(2 - t, kA)}};
}

// Widened where the result is smaller, as Pillow's filters.
Taps antialiased_taps(int64_t i, int64_t from, float scale, bool is_cubic) {
  constexpr float kA = -0.5f;
  const float widened = std::max(scale, 1.0f), support = (is_cubic ? 2.0f : 1.0f) * widened;
  const float centre = scale * (static_cast<float>(i) + 0.5f);
  const int64_t begin = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5f), 0);
  const int64_t end = std::min<int64_t>(static_cast<int64_t>(centre + support + 0.5f), from);
  Taps taps;
  float sum = 0;
  for (int64_t at = begin; at < end; ++at) {
    const float x = (static_cast<float>(at) - centre + 0.5f) / widened;
    taps.at.push_back(at);
    taps.weights.push_back(is_cubic ? cubic_weight(x, kA) : triangle_weight(x));
    sum += taps.weights.back();
  }
  for (float& weight : taps.weights) weight /= sum;
  return taps;
}

std::vector<Taps> taps_of(int64_t from, int64_t to, LatentFilter filter, bool antialias) {
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  const bool is_cubic = filter == LatentFilter::kBicubic;
  std::vector<Taps> taps;
  for (int64_t i = 0; i < to; ++i) {
    if (filter == LatentFilter::kNearest)
      taps.push_back(nearest_taps(i, from, scale, 0));
    else if (filter == LatentFilter::kNearestExact)
      taps.push_back(nearest_taps(i, from, scale, 0.5f));
    else
      taps.push_back(antialias ? antialiased_taps(i, from, scale, is_cubic) : between_taps(i, from, scale, is_cubic));
  }
  return taps;
}

}  // namespace

const std::vector<HiresUpscaler>& hires_upscalers_all() {
  static const std::vector<HiresUpscaler> all{
      {"latent", "Latent", true},
      {"latent-antialiased", "Latent (antialiased)", true, LatentFilter::kBilinear, true},
      {"latent-bicubic", "Latent (bicubic)", true, LatentFilter::kBicubic},
      {"latent-bicubic-antialiased", "Latent (bicubic antialiased)", true, LatentFilter::kBicubic, true},
      {"latent-nearest", "Latent (nearest)", true, LatentFilter::kNearest},
      {"latent-nearest-exact", "Latent (nearest-exact)", true, LatentFilter::kNearestExact},
      {"lanczos", "Lanczos", false},
      {"bicubic", "Bicubic", false, LatentFilter::kBilinear, false, Resampling::kBicubic},
      {"bilinear", "Bilinear", false, LatentFilter::kBilinear, false, Resampling::kBilinear},
      {"box", "Box", false, LatentFilter::kBilinear, false, Resampling::kBox}};
  return all;
}

const HiresUpscaler* find_hires_upscaler(std::string_view name) {
  const std::string asked = lower(name);
  for (const HiresUpscaler& one : hires_upscalers_all())
    if (asked == one.name || asked == lower(one.label)) return &one;
  return nullptr;
}

std::optional<HiresUpscaler> find_hires_upscaler(std::string_view name, const std::vector<UpscalerTrait>& networks) {
  if (const HiresUpscaler* found = find_hires_upscaler(name)) return *found;
  const auto same = [&](const UpscalerTrait& one) { return lower(one.name) == lower(name); };
  const auto found = std::ranges::find_if(networks, same);
  if (found == networks.end()) return std::nullopt;
  HiresUpscaler upscaler{found->name, found->name};
  upscaler.network = static_cast<int>(found - networks.begin());
  return upscaler;
}

HiresUpscaler named_upscaler(std::optional<std::string> ImageRequest::*member, const ImageRequest& request,
                             const std::vector<UpscalerTrait>& networks) {
  const std::string& name = (request.*member).value();
  if (auto found = find_hires_upscaler(name, networks)) return std::move(*found);
  const std::vector<std::string> all = hires_upscalers(networks);
  const std::string meant = nearest(name, all);
  throw RequestError::rule(request_field(member), name,
                           "one of " + listed(all) + (meant.empty() ? "" : "; did you mean " + meant + "?"));
}

std::vector<std::string> hires_upscalers(const std::vector<UpscalerTrait>& networks) {
  std::vector<std::string> names;
  for (const HiresUpscaler& one : hires_upscalers_all()) names.push_back(one.name);
  for (const UpscalerTrait& one : networks) names.push_back(one.name);
  return names;
}

Tensor enlarged_latent(const Tensor& latent, int64_t height, int64_t width, LatentFilter filter, bool antialias) {
  INKSTONE_CHECK(latent.shape().size() == 4 && height > 0 && width > 0, "a latent of ", to_string(latent.shape()),
                 " enlarged to ", width, "x", height);
  const int64_t planes = latent.dim(0) * latent.dim(1), tall = latent.dim(2), wide = latent.dim(3);
  const std::vector<Taps> rows = taps_of(tall, height, filter, antialias),
                          columns = taps_of(wide, width, filter, antialias);
  Tensor wider(Shape{latent.dim(0), latent.dim(1), tall, width}),
      result(Shape{latent.dim(0), latent.dim(1), height, width});
  for (int64_t row = 0; row < planes * tall; ++row) {
    const float* from = latent.floats().data() + row * wide;
    float* to = wider.floats().data() + row * width;
    for (const Taps& taps : columns) {
      float sum = 0;
      for (size_t k = 0; k < taps.at.size(); ++k) sum += taps.weights[k] * from[taps.at[k]];
      *to++ = sum;
    }
  }
  for (int64_t plane = 0; plane < planes; ++plane)
    for (int64_t y = 0; y < height; ++y) {
      const Taps& taps = rows[static_cast<size_t>(y)];
      float* to = result.floats().data() + (plane * height + y) * width;
      std::fill_n(to, width, 0.0f);
      for (size_t k = 0; k < taps.at.size(); ++k) {
        const float* from = wider.floats().data() + (plane * tall + taps.at[k]) * width;
        for (int64_t x = 0; x < width; ++x) to[x] += taps.weights[k] * from[x];
      }
    }
  return result;
}

}  // namespace inkstone
