// The arithmetic ops: convolution, linear, norms, attention, embeddings.
#include "backend/reference/kernels.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/parallel.h"

namespace inkstone::reference {
namespace {

const float* data(const Tensor& t) { return t.floats().data(); }

// x [n, c, ...] seen as [n, c, pixels]
struct GroupView {
  int64_t rows, channels, pixels, per_group;
};

GroupView group_view(const Tensor& x, int groups) {
  const int64_t pixels = x.size() / std::max<int64_t>(1, x.dim(0) * x.dim(1));
  return {x.dim(0), x.dim(1), pixels, x.dim(1) / groups};
}

struct Moments {
  double mean, scale;  // scale: 1 / sqrt(variance + epsilon)
};

struct Piece {  // of one group of channels
  const float* x;
  int64_t pixels;
};

// Moments of x + addend (one value for each channel, or none) over one group of channels, given in
// pieces.
Moments moments(const std::vector<Piece>& pieces, const float* addend, int64_t channels, float epsilon) {
  const auto mean_of = [&](const auto& term) {
    double sum = 0;
    int64_t pixels = 0;
    for (const Piece& piece : pieces) {
      for (int64_t c = 0; c < channels; ++c)
        for (int64_t p = 0; p < piece.pixels; ++p)
          sum += term(piece.x[c * piece.pixels + p] + (addend ? addend[c] : 0.0f));
      pixels += piece.pixels;
    }
    return sum / static_cast<double>(channels * pixels);
  };
  const double mean = mean_of([](float x) { return static_cast<double>(x); });
  return {mean, 1 / std::sqrt(mean_of([&](float x) { return (x - mean) * (x - mean); }) + epsilon)};
}

}  // namespace

float activate(Activation kind, float x) {
  switch (kind) {
    case Activation::kNone: return x;
    case Activation::kSilu: return x / (1 + std::exp(-x));
    case Activation::kGelu: return 0.5f * x * (1 + std::erf(x / std::numbers::sqrt2_v<float>));
    case Activation::kQuickGelu: return x / (1 + std::exp(-1.702f * x));
    case Activation::kRelu: return x < 0 ? 0 : x;
    case Activation::kLeakyRelu: return x < 0 ? x * kLeakyReluSlope : x;
  }
  return x;
}

void run(const op::Conv2d& o, const In& in, Tensor& out) {
  const Tensor &x = *in[0], &w = *in[1];
  const int64_t channels = x.dim(1), height = x.dim(2), width = x.dim(3), kernel_h = w.dim(2), kernel_w = w.dim(3);
  const int64_t maps = out.dim(1), out_h = out.dim(2), out_w = out.dim(3);
  const float* bias = o.bias ? data(*in[2]) : nullptr;
  const float* residual = o.residual ? data(*in[2 + o.bias]) : nullptr;
  parallel_for(out.dim(0) * maps, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* image = data(x) + (i / maps) * channels * height * width;
      const float* filter = data(w) + (i % maps) * channels * kernel_h * kernel_w;
      float* to = out.floats().data() + i * out_h * out_w;
      for (int64_t oy = 0; oy < out_h; ++oy)
        for (int64_t ox = 0; ox < out_w; ++ox) {
          double sum = bias ? bias[i % maps] : 0;
          const int64_t y0 = oy * o.stride - o.pad_top, x0 = ox * o.stride - o.pad_left;
          for (int64_t c = 0; c < channels; ++c)
            for (int64_t ky = std::max<int64_t>(0, -y0); ky < std::min(kernel_h, height - y0); ++ky)
              for (int64_t kx = std::max<int64_t>(0, -x0); kx < std::min(kernel_w, width - x0); ++kx)
                sum += static_cast<double>(image[(c * height + y0 + ky) * width + x0 + kx]) *
                       filter[(c * kernel_h + ky) * kernel_w + kx];
          const float value = activate(o.activation, static_cast<float>(sum));
          to[oy * out_w + ox] = residual ? value + residual[i * out_h * out_w + oy * out_w + ox] : value;
        }
    }
  });
}

void run(const op::Linear& o, const In& in, Tensor& out) {
  const Tensor &x = *in[0], &w = *in[1];
  const int64_t inner = w.dim(1), width = w.dim(0), rows = x.size() / std::max<int64_t>(1, inner);
  const float* bias = o.bias ? data(*in[2]) : nullptr;
  const float* residual = o.residual ? data(*in[2 + o.bias]) : nullptr;
  parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      for (int64_t j = 0; j < width; ++j) {
        double sum = bias ? bias[j] : 0;
        for (int64_t k = 0; k < inner; ++k) sum += static_cast<double>(data(x)[r * inner + k]) * data(w)[j * inner + k];
        const float value = activate(o.activation, static_cast<float>(sum));
        out.floats()[r * width + j] = residual ? value + residual[r * width + j] : value;
      }
  });
}

void run(const op::GroupNorm& o, const In& in, Tensor& out) {
  const auto [rows, channels, pixels, per_group] = group_view(*in[0], o.groups);
  const float *scale = data(*in[1]), *shift = data(*in[2]);
  const float* addend = o.addend ? data(*in[3]) : nullptr;
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t g = 0; g < o.groups; ++g) {
      const int64_t first = n * channels + g * per_group;
      const float* x = data(*in[0]) + first * pixels;
      const float* add = addend ? addend + first : nullptr;
      const Moments m = moments({{x, pixels}}, add, per_group, o.epsilon);
      for (int64_t c = 0; c < per_group; ++c)
        for (int64_t p = 0; p < pixels; ++p) {
          const double normal = (x[c * pixels + p] + (add ? add[c] : 0.0f) - m.mean) * m.scale;
          const float value = static_cast<float>(normal * scale[g * per_group + c] + shift[g * per_group + c]);
          out.floats()[(first + c) * pixels + p] = o.silu ? activate(Activation::kSilu, value) : value;
        }
    }
}

void run(const op::GroupStats& o, const In& in, Tensor& out) {
  const int64_t rows = in[0]->dim(0), per_group = in[0]->dim(1) / o.groups;
  for (int64_t i = 0; i < rows * o.groups; ++i) {
    std::vector<Piece> pieces;
    for (const Tensor* band : in) {
      const int64_t pixels = group_view(*band, o.groups).pixels;
      pieces.push_back({data(*band) + i * per_group * pixels, pixels});
    }
    const Moments m = moments(pieces, nullptr, per_group, o.epsilon);
    out.floats()[2 * i] = static_cast<float>(m.mean);
    out.floats()[2 * i + 1] = static_cast<float>(m.scale);
  }
}

void run(const op::GroupApply& o, const In& in, Tensor& out) {
  const auto [rows, channels, pixels, per_group] = group_view(*in[0], o.groups);
  const float *x = data(*in[0]), *stats = data(*in[1]), *scale = data(*in[2]), *shift = data(*in[3]);
  for (int64_t i = 0; i < rows * channels; ++i) {
    const int64_t c = i % channels, group = (i / channels) * o.groups + c / per_group;
    for (int64_t p = 0; p < pixels; ++p) {
      const float value = (x[i * pixels + p] - stats[2 * group]) * stats[2 * group + 1] * scale[c] + shift[c];
      out.floats()[i * pixels + p] = o.silu ? activate(Activation::kSilu, value) : value;
    }
  }
}

void run(const op::LayerNorm& o, const In& in, Tensor& out) {
  const int64_t width = in[0]->dim(-1), rows = in[0]->size() / std::max<int64_t>(1, width);
  for (int64_t r = 0; r < rows; ++r) {
    const float* x = data(*in[0]) + r * width;
    const Moments m = moments({{x, width}}, nullptr, 1, o.epsilon);
    for (int64_t i = 0; i < width; ++i)
      out.floats()[r * width + i] = static_cast<float>((x[i] - m.mean) * m.scale * data(*in[1])[i] + data(*in[2])[i]);
  }
}

void run(const op::Attention& o, const In& in, Tensor& out) {
  const int64_t queries = in[0]->dim(1), keys = in[1]->dim(1), width = in[0]->dim(2), head = width / o.heads;
  const double scale = 1 / std::sqrt(static_cast<double>(head));
  parallel_for(in[0]->dim(0) * o.heads * queries, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> weights(keys);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t t = i % queries, h = i / queries % o.heads, n = i / queries / o.heads;
      const float* q = data(*in[0]) + (n * queries + t) * width + h * head;
      const float* k = data(*in[1]) + n * keys * width + h * head;
      const float* v = data(*in[2]) + n * keys * width + h * head;
      float* to = out.floats().data() + (n * queries + t) * width + h * head;
      const int64_t seen = o.causal ? t + 1 : keys;
      double largest = -HUGE_VAL, total = 0;
      for (int64_t s = 0; s < seen; ++s) {
        double dot = 0;
        for (int64_t d = 0; d < head; ++d) dot += static_cast<double>(q[d]) * k[s * width + d];
        weights[s] = dot * scale;
        largest = std::max(largest, weights[s]);
      }
      for (int64_t s = 0; s < seen; ++s) total += weights[s] = std::exp(weights[s] - largest);
      for (int64_t d = 0; d < head; ++d) {
        double sum = 0;
        for (int64_t s = 0; s < seen; ++s) sum += weights[s] * v[s * width + d];
        to[d] = static_cast<float>(sum / total);
      }
    }
  });
}

void run(const op::TimeEmbedding& o, const In& in, Tensor& out) {
  const int64_t half = o.channels / 2;
  for (int64_t n = 0; n < in[0]->size(); ++n)
    for (int64_t i = 0; i < half; ++i) {
      const float exponent = -std::log(10000.0f) * static_cast<float>(i) / (static_cast<float>(half) - o.freq_shift);
      const float angle = data(*in[0])[n] * std::exp(exponent);
      float* to = out.floats().data() + n * o.channels;
      to[i] = o.flip_sin_to_cos ? std::cos(angle) : std::sin(angle);
      to[half + i] = o.flip_sin_to_cos ? std::sin(angle) : std::cos(angle);
      if (o.channels % 2) to[o.channels - 1] = 0;
    }
}

}  // namespace inkstone::reference
