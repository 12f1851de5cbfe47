// Softmax, the normalizations and the reductions: sums are taken in double.
#include <algorithm>
#include <cmath>

#include "op_call.h"

namespace ascend_sim {
namespace {

// From opset 13 along one axis; before, over all from `axis` on.
void softmax(OpCall& c) {
  const Tensor& x = c.in(0);
  const bool flat = c.opset() < 13;
  const int64_t axis = c.axis(flat ? 1 : -1, x.rank());
  Tensor& out = c.out(x.type, x.dims);
  if (!is_floating(x.type)) c.refuse("takes floating numbers");
  if (!c.known() || x.count() == 0) return;
  const int64_t inner = flat ? 1 : count(Shape(x.dims.begin() + axis + 1, x.dims.end()));
  const int64_t width = flat ? count(Shape(x.dims.begin() + axis, x.dims.end())) : x.dims[axis];
  const int64_t rows = x.count() / width;
#pragma omp parallel for if (x.count() > 20000)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t first = row / inner * inner * width + row % inner;
    const float* from = x.floats.get() + first;
    float* to = out.floats.get() + first;
    float top = from[0];
    for (int64_t i = 1; i < width; ++i) top = std::max(top, from[i * inner]);
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += to[i * inner] = std::exp(from[i * inner] - top);
    const auto scale = static_cast<float>(1 / sum);
    for (int64_t i = 0; i < width; ++i) to[i * inner] *= scale;
  }
}

struct Moments {
  double mean, deviation;  // sqrt(variance + epsilon)
};

Moments moments(const float* x, int64_t n, float epsilon) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, std::sqrt(squares / static_cast<double>(n) + static_cast<double>(epsilon))};
}

void instance_normalization(OpCall& c) {
  const Tensor& x = c.in(0);
  if (x.rank() < 3) c.refuse("takes [n, channels, ...]");
  const int64_t channels = x.dims[1], planes = x.dims[0] * channels;
  if (c.in(1).dims != Shape{channels} || c.in(2).dims != Shape{channels}) c.refuse("scale or bias of another size");
  const float epsilon = c.number("epsilon", 1e-5f);
  Tensor& out = c.out(x.type, x.dims);
  if (!c.known() || !planes) return;
  const int64_t area = x.count() / planes;
#pragma omp parallel for if (x.count() > 20000)
  for (int64_t plane = 0; plane < planes; ++plane) {
    const float* from = x.floats.get() + plane * area;
    float* to = out.floats.get() + plane * area;
    const Moments m = moments(from, area, epsilon);
    const double scale = c.in(1).floats[plane % channels] / m.deviation, bias = c.in(2).floats[plane % channels];
    for (int64_t i = 0; i < area; ++i) to[i] = static_cast<float>((from[i] - m.mean) * scale + bias);
  }
}

void layer_normalization(OpCall& c) {
  const Tensor& x = c.in(0);
  const int64_t axis = c.axis(-1, x.rank());
  const Shape normal(x.dims.begin() + axis, x.dims.end());
  if (count(c.in(1).dims) != count(normal) || (c.has(2) && count(c.in(2).dims) != count(normal)))
    c.refuse("scale or bias of another size");
  const float epsilon = c.number("epsilon", 1e-5f);
  Tensor& out = c.out(x.type, x.dims);
  if (!c.known() || !x.count()) return;
  const int64_t width = count(normal), rows = x.count() / width;
  const float* bias = c.has(2) ? c.in(2).floats.get() : nullptr;
#pragma omp parallel for if (x.count() > 20000)
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x.floats.get() + row * width;
    float* to = out.floats.get() + row * width;
    const Moments m = moments(from, width, epsilon);
    for (int64_t i = 0; i < width; ++i)
      to[i] = static_cast<float>((from[i] - m.mean) / m.deviation * c.in(1).floats[i]) + (bias ? bias[i] : 0);
  }
}

enum class Reduction { kMean, kSum, kMax, kMin };

Op reduction(Reduction kind) {
  return [kind](OpCall& c) {
    const Tensor& x = c.in(0);
    std::vector<int64_t> axes = c.has(1) ? c.ints_of(1) : c.integers("axes");
    if (!is_floating(x.type)) c.refuse("reductions of whole numbers are not simulated");
    std::vector<bool> reduced(x.dims.size(), axes.empty());
    for (const int64_t axis : axes) reduced[from_front(axis, x.rank(), c)] = true;
    // `kept` has 1 for each axis that goes
    Shape kept, dims;
    for (size_t i = 0; i < x.dims.size(); ++i) {
      kept.push_back(reduced[i] ? 1 : x.dims[i]);
      if (!reduced[i] || c.integer("keepdims", 1)) dims.push_back(kept.back());
    }
    Tensor& out = c.out(x.type, dims);
    if (!c.known()) return;
    const double start = kind == Reduction::kMax ? -INFINITY : kind == Reduction::kMin ? INFINITY : 0;
    std::vector<double> sums(static_cast<size_t>(out.count()), start);
    const auto strides = broadcast_strides(kept, x.dims);
    std::vector<int64_t> at(x.dims.size());
    int64_t place = 0;
    for (int64_t i = 0; i < x.count(); ++i) {
      double& sum = sums[static_cast<size_t>(place)];
      const double v = x.floats[i];
      sum = kind == Reduction::kMax ? std::max(sum, v) : kind == Reduction::kMin ? std::min(sum, v) : sum + v;
      for (int64_t axis = x.rank() - 1; axis >= 0; --axis) {
        place += strides[axis];
        if (++at[axis] < x.dims[axis]) break;
        place -= at[axis] * strides[axis];
        at[axis] = 0;
      }
    }
    const double share = out.count() ? static_cast<double>(x.count()) / static_cast<double>(out.count()) : 1;
    for (int64_t i = 0; i < out.count(); ++i)
      out.floats[i] = static_cast<float>(kind == Reduction::kMean ? sums[i] / share : sums[i]);
  };
}

}  // namespace

void add_norm_ops(Ops& ops) {
  ops["Softmax"] = softmax;
  ops["InstanceNormalization"] = instance_normalization;
  ops["LayerNormalization"] = layer_normalization;
  ops["ReduceMean"] = reduction(Reduction::kMean);
  ops["ReduceSum"] = reduction(Reduction::kSum);
  ops["ReduceMax"] = reduction(Reduction::kMax);
  ops["ReduceMin"] = reduction(Reduction::kMin);
}

}  // namespace ascend_sim
