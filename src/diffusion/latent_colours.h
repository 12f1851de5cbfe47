// Small preview images of latents: a linear map from each latent pixel to a colour, fitted to
// images that this model has generated. No image depends on it.
#pragma once

#include <vector>

#include "base/image.h"
#include "base/tensor.h"

namespace inkstone {

class LatentColours {
 public:
  // A latent [1, c, h, w] and the image of it, a whole number of times as large.
  void learn(const Tensor& latent, const Image& image);
  // Of the latent's size; in greys before anything was learnt.
  Image draw(const Tensor& latent) const;

 private:
  void fit();

  size_t terms_ = 0;             // channels, and one that is constant
  std::vector<double> squares_;  // [terms, terms] and
  // [terms, 3]: running sums, of which least squares gives the map.
  std::vector<double> targets_;
  std::vector<float> map_;  // [terms, 3]
};

}  // namespace inkstone
