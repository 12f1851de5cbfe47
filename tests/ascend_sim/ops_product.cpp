// Conv, MatMul and Gemm.
#include <algorithm>

#include "op_call.h"
#include "product.h"

namespace ascend_sim {
namespace {

// Pads of "auto_pad", or those given: top, left, bottom, right.
std::vector<int64_t> pads_of(const OpCall& c, const Shape& x, const Image& i) {
  const std::string automatic = c.text("auto_pad", "NOTSET");
  if (automatic == "NOTSET") return c.integers("pads", {0, 0, 0, 0});
  if (automatic == "VALID") return {0, 0, 0, 0};
  const auto both = [&](int64_t size, int64_t kernel, int64_t stride) {
    return std::max<int64_t>(0, ((size + stride - 1) / stride - 1) * stride + kernel - size);
  };
  const int64_t y = both(x[2], (i.kernel_height - 1) * i.dilation_y + 1, i.stride_y);
  const int64_t w = both(x[3], (i.kernel_width - 1) * i.dilation_x + 1, i.stride_x);
  if (automatic == "SAME_UPPER") return {y / 2, w / 2, y - y / 2, w - w / 2};
  return {y - y / 2, w - w / 2, y / 2, w / 2};
}

Image image_of(const OpCall& c, const Shape& x, const Shape& w) {
  const auto kernel = c.integers("kernel_shape", {w[2], w[3]}), strides = c.integers("strides", {1, 1}),
             dilations = c.integers("dilations", {1, 1});
  if (kernel.size() != 2 || strides.size() != 2 || dilations.size() != 2) c.refuse("only images are simulated");
  if (kernel[0] != w[2] || kernel[1] != w[3]) c.refuse("kernel_shape differs from the weight's");
  Image image;
  image.channels = w[1];
  image.height = x[2];
  image.width = x[3];
  image.kernel_height = w[2];
  image.kernel_width = w[3];
  image.stride_y = strides[0];
  image.stride_x = strides[1];
  image.dilation_y = dilations[0];
  image.dilation_x = dilations[1];
  const auto pads = pads_of(c, x, image);
  if (pads.size() != 4) c.refuse("4 pads are needed");
  image.pad_top = pads[0];
  image.pad_left = pads[1];
  image.out_height = (x[2] + pads[0] + pads[2] - (w[2] - 1) * dilations[0] - 1) / strides[0] + 1;
  image.out_width = (x[3] + pads[1] + pads[3] - (w[3] - 1) * dilations[1] - 1) / strides[1] + 1;
  return image;
}

bool pointwise(const Image& i) {
  return i.kernel_height == 1 && i.kernel_width == 1 && i.stride_y == 1 && i.stride_x == 1 && !i.pad_top &&
         !i.pad_left && i.out_height == i.height && i.out_width == i.width;
}

void conv(OpCall& c) {
  const Tensor &x = c.in(0), &w = c.in(1);
  const int64_t groups = c.integer("group", 1);
  if (x.rank() != 4 || w.rank() != 4) c.refuse("only images are simulated");
  if (x.type != w.type) c.refuse("input and weight of different types");
  if (x.dims[1] != w.dims[1] * groups || w.dims[0] % groups) c.refuse("channels do not fit the weight");
  if (c.has(2) && c.in(2).dims != Shape{w.dims[0]}) c.refuse("a bias of another size than the weight");
  Image image = image_of(c, x.dims, w.dims);
  Tensor& out = c.out(x.type, {x.dims[0], w.dims[0], image.out_height, image.out_width});
  if (!c.known()) return;
  const int64_t area = image.out_height * image.out_width, rows = w.dims[0] / groups;
  const int64_t depth = image.channels * image.kernel_height * image.kernel_width;
  for (int64_t n = 0; n < x.dims[0] * groups; ++n) {
    image.data = x.floats.get() + n * image.channels * image.height * image.width;
    const Right patches = pointwise(image) ? Right{image.data, area, 1, nullptr} : Right{nullptr, 0, 1, &image};
    product(w.floats.get() + n % groups * rows * depth, patches, out.floats.get() + n * rows * area, rows, area, depth);
  }
  if (!c.has(2)) return;
#pragma omp parallel for if (out.count() > 100000)
  for (int64_t plane = 0; plane < x.dims[0] * w.dims[0]; ++plane) {
    const float bias = c.in(2).floats[plane % w.dims[0]];
    float* to = out.floats.get() + plane * area;
    for (int64_t i = 0; i < area; ++i) to[i] += bias;
  }
}

void matmul(OpCall& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  if (a.type != b.type || !is_floating(a.type)) c.refuse("matrices of different types, or of whole numbers");
  if (a.rank() < 1 || b.rank() < 1) c.refuse("a scalar");
  Shape left = a.dims, right = b.dims;
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  const int64_t m = left[left.size() - 2], k = left.back(), n = right.back();
  if (right[right.size() - 2] != k) c.refuse("inner sizes differ");
  const Shape left_batch(left.begin(), left.end() - 2), right_batch(right.begin(), right.end() - 2);
  const Shape batch = broadcast(left_batch, right_batch, c);
  Shape dims = batch;
  if (a.rank() > 1) dims.push_back(m);
  if (b.rank() > 1) dims.push_back(n);
  Tensor& out = c.out(a.type, dims);
  if (!c.known()) return;
  if (right_batch.empty() || count(right_batch) == 1) {  // one matrix for all rows
    product(a.floats.get(), {b.floats.get(), n, 1, nullptr}, out.floats.get(), count(left_batch) * m, n, k);
    return;
  }
  Shape each = batch;
  each.push_back(1);
  auto sa = broadcast_strides(left_batch, batch), sb = broadcast_strides(right_batch, batch);
  sa.push_back(0);
  sb.push_back(0);
  for_rows(each, {sa, sb}, [&](int64_t row, const int64_t* at) {
    product(a.floats.get() + at[0] * m * k, {b.floats.get() + at[1] * k * n, n, 1, nullptr},
            out.floats.get() + row * m * n, m, n, k);
  });
}

void gemm(OpCall& c) {
  const Tensor &a = c.in(0), &b = c.in(1);
  if (a.rank() != 2 || b.rank() != 2) c.refuse("takes matrices");
  if (a.type != b.type || !is_floating(a.type)) c.refuse("matrices of different types, or of whole numbers");
  const bool turn_a = c.integer("transA", 0), turn_b = c.integer("transB", 0);
  const int64_t m = a.dims[turn_a], k = a.dims[!turn_a], n = b.dims[!turn_b];
  if (b.dims[turn_b] != k) c.refuse("inner sizes differ");
  const float alpha = c.number("alpha", 1), beta = c.number("beta", 1);
  Tensor& out = c.out(a.type, {m, n});
  if (c.has(2) && broadcast(c.in(2).dims, out.dims, c) != out.dims) c.refuse("C does not broadcast to the result");
  if (!c.known()) return;
  Tensor turned = a;
  if (turn_a) {
    turned = allocate(a.type, {m, k});
    for (int64_t i = 0; i < m * k; ++i) turned.floats[i] = a.floats[i % k * m + i / k];
  }
  product(turned.floats.get(), {b.floats.get(), turn_b ? 1 : n, turn_b ? k : 1, nullptr}, out.floats.get(), m, n, k);
  const auto strides = c.has(2) ? broadcast_strides(c.in(2).dims, out.dims) : std::vector<int64_t>{0, 0};
  for (int64_t i = 0; i < m * n; ++i) {
    const float more = c.has(2) ? beta * c.in(2).floats[i / n * strides[0] + i % n * strides[1]] : 0;
    out.floats[i] = alpha * out.floats[i] + more;
  }
}

}  // namespace

void add_product_ops(Ops& ops) {
  ops["Conv"] = conv;
  ops["MatMul"] = matmul;
  ops["Gemm"] = gemm;
}

}  // namespace ascend_sim
