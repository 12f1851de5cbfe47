// Convolutions and matmuls: oneDNN primitives over one image (one row of tokens) each, run image by image. One primitive for
// every batch size is what makes a row's bits independent of the rows beside it, and what lets programs of different batch
// sizes share packed weights; it costs nothing measurable (an image is at least 64 rows of a matmul).
#include "backend/cpu/kernels/kernels.h"
#include "backend/cpu/layout.h"
#include "backend/cpu/lower.h"
#include "base/error.h"

namespace inkstone {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// activation(product + bias) + what the destination already holds
dnnl::primitive_attr attributes(Activation activation, bool residual) {
  dnnl::post_ops after;
  switch (activation) {
    case Activation::kNone: break;
    case Activation::kSilu: after.append_eltwise(1, dnnl::algorithm::eltwise_swish, 1, 0); break;
    case Activation::kGelu: after.append_eltwise(1, dnnl::algorithm::eltwise_gelu_erf, 0, 0); break;
    case Activation::kQuickGelu: after.append_eltwise(1, dnnl::algorithm::eltwise_swish, 1.702f, 0); break;
  }
  if (residual) after.append_sum(1);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

struct Product {
  dnnl::primitive_desc primitive;
  int64_t images = 1;
  Operand x, weight, bias, residual;                      // bias and residual may be none
  DType type = DType::kF32, residual_type = DType::kF32;  // of the result
};

bool there(const Operand& operand) { return operand.value >= 0 || operand.weight >= 0; }

// Everything that a run needs, made once.
class ImageByImage {
 public:
  ImageByImage(const Product& product, int result, const Binding& b)
      : primitive_(product.primitive.get()), stream_(*b.stream) {
    const dnnl::primitive_desc& desc = product.primitive;
    const memory::desc in = desc.src_desc(0), out = desc.dst_desc(0);
    for (int64_t i = 0; i < product.images; ++i) {
      argument(b, DNNL_ARG_SRC, in, product.x.at(b) + static_cast<size_t>(i) * in.get_size());
      argument(b, DNNL_ARG_DST, out, b.values[result] + static_cast<size_t>(i) * out.get_size());
      argument(b, DNNL_ARG_WEIGHTS, desc.weights_desc(0), product.weight.at(b));
      if (there(product.bias)) argument(b, DNNL_ARG_BIAS, desc.weights_desc(1), product.bias.at(b));
      if (desc.scratchpad_desc().get_size() > 0) argument(b, DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc(), b.scratch);
    }
    each_ = arguments_.size() / static_cast<size_t>(product.images);
    if (!there(product.residual)) return;
    residual_ = product.residual.at(b);
    result_ = b.values[result];
    type_ = product.type, residual_type_ = product.residual_type;
    size_ = static_cast<int64_t>(static_cast<size_t>(product.images) * out.get_size() / size_of(type_));
  }

  void operator()(const HostTensors&) const {
    if (residual_ != result_) kernels().cast(size_, residual_type_, residual_, type_, result_);
    for (size_t i = 0; i < arguments_.size(); i += each_)
      dnnl::error::wrap_c_api(
          dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(each_), &arguments_[i]),
          "cpu: oneDNN could not run a primitive");
  }

 private:
  void argument(const Binding& b, int kind, const memory::desc& desc, std::byte* data) {
    memories_.emplace_back(desc, *b.engine, data);
    arguments_.push_back({kind, memories_.back().get()});
  }

  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;  // `each_` for an image
  size_t each_ = 0;
  const std::byte* residual_ = nullptr;
  std::byte* result_ = nullptr;
  DType type_ = DType::kF32, residual_type_ = DType::kF32;
  int64_t size_ = 0;
};

void add_product(const Lowered& at, Call call, const Product& product) {
  call.scratch = product.primitive.scratchpad_desc().get_size();
  call.bind = [product, id = at.id](const Binding& b) -> Launch { return ImageByImage(product, id, b); };
  at.to.add(std::move(call));
}

template <typename Op>
void read_bias_and_residual(const Op& op, const Lowered& at, Call& call, const memory::desc& bias, Product& product) {
  if (op.bias) product.bias = at.read_packed(call, 2, memory::dims(static_cast<size_t>(bias.data.ndims), 1), bias);
  if (!op.residual) return;
  const int k = 2 + op.bias;
  product.residual_type = at.is_weight(k) ? at.node.type : at.in(k).type;
  product.residual = product.residual_type == at.node.type ? at.read_over(call, k) : at.read(call, k);
}

DType compute_type(const Lowered& at) { return at.is_weight(0) ? at.node.type : at.in(0).type; }

}  // namespace

void lower(const op::Conv2d& op, const Lowered& at) {
  const Shape &x = at.in(0).shape, &w = at.in(1).shape, &y = at.node.shape;
  Call call = at.call();
  call.flops = 2.0 * static_cast<double>(count(y)) * static_cast<double>(w[1] * w[2] * w[3]);
  const auto type = dnnl_type(compute_type(at));
  const memory::desc in({1, x[1], x[2], x[3]}, type, Tag::nhwc), weights(w, type, Tag::any),
      out({1, y[1], y[2], y[3]}, dnnl_type(at.node.type), Tag::nhwc);
  const memory::desc bias = op.bias ? memory::desc({w[0]}, memory::data_type::f32, Tag::a) : memory::desc();
  const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                                             in, weights, bias, out, {op.stride, op.stride}, {op.pad_top, op.pad_left},
                                             {op.pad_bottom, op.pad_right});
  const dnnl::convolution_forward::primitive_desc primitive(desc, attributes(op.activation, op.residual),
                                                            at.to.engine());
  Product product{primitive, x[0], at.read(call, 0), {}, {}, {}, at.node.type};
  product.weight = at.read_packed(call, 1, {w[1] * w[2] * w[3], w[2] * w[3], w[3], 1}, primitive.weights_desc());
  read_bias_and_residual(op, at, call, bias, product);
  add_product(at, std::move(call), product);
}

void lower(const op::Linear& op, const Lowered& at) {
  const Shape &x = at.in(0).shape, &w = at.in(1).shape, &y = at.node.shape;
  INKSTONE_CHECK(stored_row_major(x) && stored_row_major(y), "cpu: linear: an image ", to_string(x),
                 " has to become tokens first");
  Call call = at.call();
  call.flops = 2.0 * static_cast<double>(count(y)) * static_cast<double>(w[1]);
  const int64_t images = x.size() > 1 ? x[0] : 1, tokens = count(x) / w[1] / images;
  const auto type = dnnl_type(compute_type(at));
  const memory::desc in({tokens, w[1]}, type, Tag::ab), weights({w[1], w[0]}, type, Tag::any),
      out({tokens, w[0]}, dnnl_type(at.node.type), Tag::ab);
  const memory::desc bias = op.bias ? memory::desc({1, w[0]}, memory::data_type::f32, Tag::ab) : memory::desc();
  const dnnl::matmul::desc desc =
      op.bias ? dnnl::matmul::desc(in, weights, bias, out) : dnnl::matmul::desc(in, weights, out);
  const dnnl::matmul::primitive_desc primitive(desc, attributes(op.activation, op.residual), at.to.engine());
  Product product{primitive, images, at.read(call, 0), {}, {}, {}, at.node.type};
  product.weight = at.read_packed(call, 1, {1, w[1]}, primitive.weights_desc());
  read_bias_and_residual(op, at, call, bias, product);
  add_product(at, std::move(call), product);
}

}  // namespace inkstone
