#include "backend/cpu/products.h"

#include <dnnl_debug.h>

#include "base/error.h"

namespace inkstone::cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// The sum comes last: activation(product + bias) + what the result holds. (With a binary post-op
// the residual would not have to be in the result, but oneDNN's convolutions then use slow
// kernels.)
dnnl::primitive_attr attributes(Activation activation, bool residual) {
  dnnl::post_ops after;
  switch (activation) {
    case Activation::kNone: break;
    case Activation::kSilu: after.append_eltwise(1, dnnl::algorithm::eltwise_swish, 1, 0); break;
    case Activation::kGelu: after.append_eltwise(1, dnnl::algorithm::eltwise_gelu_erf, 0, 0); break;
    case Activation::kQuickGelu: after.append_eltwise(1, dnnl::algorithm::eltwise_swish, 1.702f, 0); break;
    case Activation::kRelu: after.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0); break;
    case Activation::kLeakyRelu: after.append_eltwise(1, dnnl::algorithm::eltwise_relu, kLeakyReluSlope, 0); break;
  }
  if (residual) after.append_sum(1);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(after);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

}  // namespace

memory::desc bias_desc(const op::Conv2d& op, const Shape& weight) {
  return op.bias ? memory::desc({weight[0]}, memory::data_type::f32, Tag::a) : memory::desc();
}

memory::desc bias_desc(const op::Linear& op, const Shape& weight) {
  return op.bias ? memory::desc({1, weight[0]}, memory::data_type::f32, Tag::ab) : memory::desc();
}

dnnl::convolution_forward::primitive_desc convolution(const op::Conv2d& op, const ImageShape& in, const ImageShape& out,
                                                      std::pair<DType, DType> types, const Shape& weight,
                                                      const dnnl::engine& engine) {
  const auto type = dnnl_type(types.first), out_type = dnnl_type(types.second);
  const dnnl::convolution_forward::desc desc(
      dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
      memory::desc({1, in.channels, in.height, in.width}, type, Tag::nhwc), memory::desc(weight, type, Tag::any),
      bias_desc(op, weight), memory::desc({1, out.channels, out.height, out.width}, out_type, Tag::nhwc),
      {op.stride, op.stride}, {op.pad_top, op.pad_left}, {op.pad_bottom, op.pad_right});
  return {desc, attributes(op.activation, op.residual), engine};
}

dnnl::matmul::primitive_desc matmul(const op::Linear& op, int64_t rows, std::pair<DType, DType> types,
                                    const Shape& weight, const dnnl::engine& engine) {
  const int64_t in = weight[1], out = weight[0];
  const auto type = dnnl_type(types.first);
  const memory::desc x({rows, in}, type, Tag::ab), w({in, out}, type, Tag::any);
  const memory::desc y({rows, out}, dnnl_type(types.second), Tag::ab);
  const dnnl::matmul::desc desc =
      op.bias ? dnnl::matmul::desc(x, w, bias_desc(op, weight), y) : dnnl::matmul::desc(x, w, y);
  return {desc, attributes(op.activation, op.residual), engine};
}

Primitive::Primitive(const dnnl::primitive_desc& desc, const Binding& b)
    : desc_(desc), primitive_(desc.get()), engine_(*b.engine), stream_(*b.stream) {}

void Primitive::add(const Addresses& at) {
  const size_t before = arguments_.size();
  argument(DNNL_ARG_SRC, desc_.src_desc(0), at.x);
  argument(DNNL_ARG_WEIGHTS, desc_.weights_desc(0), at.weight);
  if (at.bias) argument(DNNL_ARG_BIAS, desc_.weights_desc(1), at.bias);
  argument(DNNL_ARG_DST, desc_.dst_desc(0), at.out);
  if (desc_.scratchpad_desc().get_size() > 0) argument(DNNL_ARG_SCRATCHPAD, desc_.scratchpad_desc(), at.scratch);
  each_ = arguments_.size() - before;
}

void Primitive::argument(int kind, const memory::desc& desc, std::byte* data) {
  memories_.emplace_back(desc, engine_, data);
  arguments_.push_back({kind, memories_.back().get()});
}

void Primitive::run(size_t index) const {
  const dnnl_exec_arg_t* const arguments = arguments_.data() + index * each_;
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(each_), arguments);
  INKSTONE_CHECK(status == dnnl_success, "cpu: oneDNN could not run a primitive: ", dnnl_status2str(status));
}

}  // namespace inkstone::cpu
