#include "diffusion/latent_colours.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace inkstone {
namespace {

// Of the number of pixels: a channel that never changes has no say.
constexpr double kRidge = 1e-4;

// Mean colour of the image's pixels that a latent pixel stands for, -1 to 1.
std::array<double, 3> mean_colour(const Image& image, int x, int y, int scale) {
  std::array<double, 3> sum{};
  for (int row = y * scale; row < (y + 1) * scale; ++row)
    for (int column = x * scale; column < (x + 1) * scale; ++column)
      for (size_t c = 0; c < 3; ++c) sum[c] += image.rgb[3 * (static_cast<size_t>(row) * image.width + column) + c];
  for (double& value : sum) value = value / scale / scale / 127.5 - 1;
  return sum;
}

}  // namespace

void LatentColours::learn(const Tensor& latent, const Image& image) {
  const auto channels = static_cast<size_t>(latent.dim(1));
  const int height = static_cast<int>(latent.dim(2)), width = static_cast<int>(latent.dim(3));
  const int scale = image.width / width;
  INKSTONE_CHECK(scale > 0 && scale * width == image.width && scale * height == image.height, "a latent of ", width,
                 "x", height, " and an image of ", image.width, "x", image.height);
  if (terms_ != channels + 1) {
    terms_ = channels + 1;
    squares_.assign(terms_ * terms_, 0);
    targets_.assign(terms_ * 3, 0);
  }
  const size_t area = static_cast<size_t>(width) * height;
  std::vector<double> values(terms_, 1);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      for (size_t i = 0; i < channels; ++i) values[i] = latent.floats()[i * area + static_cast<size_t>(y) * width + x];
      const std::array<double, 3> colour = mean_colour(image, x, y, scale);
      for (size_t i = 0; i < terms_; ++i) {
        for (size_t j = 0; j < terms_; ++j) squares_[i * terms_ + j] += values[i] * values[j];
        for (size_t c = 0; c < 3; ++c) targets_[i * 3 + c] += values[i] * colour[c];
      }
    }
  fit();
}

// Cholesky's factors of the squares and the ridge.
void LatentColours::fit() {
  const size_t n = terms_;
  std::vector<double> factor(n * n, 0), solved = targets_;
  const double ridge = kRidge * squares_.back();
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double sum = squares_[i * n + j] + (i == j ? ridge : 0);
      for (size_t k = 0; k < j; ++k) sum -= factor[i * n + k] * factor[j * n + k];
      factor[i * n + j] = i == j ? std::sqrt(std::max(sum, ridge)) : sum / factor[j * n + j];
    }
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t k = 0; k < i; ++k) solved[i * 3 + c] -= factor[i * n + k] * solved[k * 3 + c];
      solved[i * 3 + c] /= factor[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
      for (size_t k = i + 1; k < n; ++k) solved[i * 3 + c] -= factor[k * n + i] * solved[k * 3 + c];
      solved[i * 3 + c] /= factor[i * n + i];
    }
  }
  map_.assign(solved.begin(), solved.end());
}

Image LatentColours::draw(const Tensor& latent) const {
  Image image{static_cast<int>(latent.dim(3)), static_cast<int>(latent.dim(2)), {}};
  const size_t area = static_cast<size_t>(image.width) * image.height, channels = static_cast<size_t>(latent.dim(1));
  image.rgb.assign(3 * area, 128);
  if (map_.size() != 3 * (channels + 1)) {
    constexpr float kContrast = 32;  // the first channel follows the brightness in most autoencoders
    for (size_t i = 0; i < 3 * area; ++i) {
      const float shown = std::clamp(128 + kContrast * latent.floats()[i / 3], 0.0f, 255.0f);
      image.rgb[i] = static_cast<uint8_t>(std::isfinite(shown) ? std::nearbyint(shown) : 128);
    }
    return image;
  }
  for (size_t at = 0; at < area; ++at)
    for (size_t c = 0; c < 3; ++c) {
      float value = map_[channels * 3 + c];
      for (size_t i = 0; i < channels; ++i) value += map_[i * 3 + c] * latent.floats()[i * area + at];
      const float shown = std::clamp((value + 1) * 127.5f, 0.0f, 255.0f);
      image.rgb[3 * at + c] = static_cast<uint8_t>(std::isfinite(shown) ? std::nearbyint(shown) : 128);
    }
  return image;
}

}  // namespace inkstone
