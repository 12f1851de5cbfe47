// The ops that move or combine elements: broadcasts, concat, slice, layouts, lookups.
#include <algorithm>
#include <cstring>

#include "backend/reference/kernels.h"
#include "base/error.h"

namespace inkstone::reference {
namespace {

// The offset of each element of `out` in a tensor of `shape` that broadcasts to it.
template <typename F>
void for_each_broadcast(const Shape& out, const Shape& a, const Shape& b, const F& body) {
  const int rank = static_cast<int>(out.size());
  Shape index(rank, 0);
  const int64_t total = count(out);
  for (int64_t i = 0; i < total; ++i) {
    int64_t at_a = 0, at_b = 0;
    for (int axis = 0; axis < rank; ++axis) {
      at_a = at_a * a[axis] + (a[axis] == 1 ? 0 : index[axis]);
      at_b = at_b * b[axis] + (b[axis] == 1 ? 0 : index[axis]);
    }
    body(i, at_a, at_b);
    for (int axis = rank - 1; axis >= 0 && ++index[axis] == out[axis]; --axis) index[axis] = 0;
  }
}

template <typename F>
void broadcast(const In& in, Tensor& out, const F& combine) {
  const auto a = in[0]->floats(), b = in[1]->floats();
  const auto to = out.floats();
  for_each_broadcast(out.shape(), in[0]->shape(), in[1]->shape(),
                     [&](int64_t i, int64_t at_a, int64_t at_b) { to[i] = combine(a[at_a], b[at_b]); });
}

// Sizes before and after an axis.
std::pair<int64_t, int64_t> around(const Shape& shape, int axis) {
  return {count(Shape(shape.begin(), shape.begin() + axis)), count(Shape(shape.begin() + axis + 1, shape.end()))};
}

void copy(const Tensor& from, Tensor& to) { std::memcpy(to.data(), from.data(), from.bytes()); }

}  // namespace

void run(const op::Constant& o, const In&, Tensor& out) {
  if (o.type == DType::kI32)
    std::ranges::transform(o.values, out.ints().begin(), [](float v) { return static_cast<int32_t>(v); });
  else
    std::ranges::copy(o.values, out.floats().begin());
}

void run(const op::Embedding&, const In& in, Tensor& out) {
  const int64_t width = in[1]->dim(1), rows = in[1]->dim(0);
  const auto ids = in[0]->ints();
  for (size_t i = 0; i < ids.size(); ++i) {
    INKSTONE_CHECK(0 <= ids[i] && ids[i] < rows, "embedding: id ", ids[i], " in a table of ", rows, " rows");
    std::memcpy(out.floats().data() + static_cast<int64_t>(i) * width, in[1]->floats().data() + ids[i] * width,
                width * sizeof(float));
  }
}

void run(const op::Activate& o, const In& in, Tensor& out) {
  std::ranges::transform(in[0]->floats(), out.floats().begin(), [&](float x) { return activate(o.kind, x); });
}

void run(const op::Add&, const In& in, Tensor& out) { broadcast(in, out, std::plus<float>()); }
void run(const op::Mul&, const In& in, Tensor& out) { broadcast(in, out, std::multiplies<float>()); }

void run(const op::Concat& o, const In& in, Tensor& out) {
  const auto [outer, inner] = around(out.shape(), o.axis);
  int64_t start = 0;
  for (const Tensor* part : in) {
    const int64_t run = part->dim(o.axis) * inner;
    for (int64_t i = 0; i < outer; ++i)
      std::memcpy(out.floats().data() + i * out.dim(o.axis) * inner + start, part->floats().data() + i * run,
                  run * sizeof(float));
    start += run;
  }
}

void run(const op::Slice& o, const In& in, Tensor& out) {
  const auto [outer, inner] = around(out.shape(), o.axis);
  const int64_t run = (o.end - o.begin) * inner, stride = in[0]->dim(o.axis) * inner;
  for (int64_t i = 0; i < outer; ++i)
    std::memcpy(out.floats().data() + i * run, in[0]->floats().data() + i * stride + o.begin * inner,
                run * sizeof(float));
}

void run(const op::Reshape&, const In& in, Tensor& out) { copy(*in[0], out); }
void run(const op::Cast&, const In& in, Tensor& out) { copy(*in[0], out); }

// [n, c, p] <-> [n, p, c]
void swap_axes(const Tensor& from, Tensor& to, int64_t rows, int64_t a, int64_t b) {
  for (int64_t n = 0; n < rows; ++n)
    for (int64_t i = 0; i < a; ++i)
      for (int64_t j = 0; j < b; ++j) to.floats()[(n * b + j) * a + i] = from.floats()[(n * a + i) * b + j];
}

void run(const op::ToTokens&, const In& in, Tensor& out) { swap_axes(*in[0], out, out.dim(0), out.dim(2), out.dim(1)); }
void run(const op::ToImage&, const In& in, Tensor& out) {
  swap_axes(*in[0], out, out.dim(0), in[0]->dim(1), in[0]->dim(2));
}

void run(const op::Upsample2x&, const In& in, Tensor& out) {
  const int64_t height = out.dim(2), width = out.dim(3), from_height = in[0]->dim(2), from_width = in[0]->dim(3);
  for (int64_t m = 0; m < out.dim(0) * out.dim(1); ++m)
    for (int64_t y = 0; y < height; ++y)
      for (int64_t x = 0; x < width; ++x)
        out.floats()[(m * height + y) * width + x] = in[0]->floats()[(m * from_height + y / 2) * from_width + x / 2];
}

void run(const op::Repeat& o, const In& in, Tensor& out) {
  const size_t row = in[0]->bytes() / static_cast<size_t>(std::max<int64_t>(1, in[0]->dim(0)));
  for (int64_t r = 0; r < out.dim(0); ++r)
    std::memcpy(out.data() + static_cast<size_t>(r) * row, in[0]->data() + static_cast<size_t>(r / o.times) * row, row);
}

void run(const op::Geglu&, const In& in, Tensor& out) {
  const int64_t width = out.dim(-1);
  for (int64_t i = 0; i < out.size(); ++i) {
    const float* row = in[0]->floats().data() + i / width * 2 * width;
    out.floats()[i] = row[i % width] * activate(Activation::kGelu, row[width + i % width]);
  }
}

}  // namespace inkstone::reference
