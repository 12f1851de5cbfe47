// Convolutions and matmuls as oneDNN primitives, ready to run on fixed addresses.
#pragma once

#include <vector>

#include "backend/cpu/call.h"
#include "ir/op.h"

namespace inkstone::cpu {

// Computes activation(conv + bias); if op.residual is set, adds it to what the result holds. One
// image [1, c, h, w], channels-last.
struct ImageShape {
  int64_t channels, height, width;
};
dnnl::convolution_forward::primitive_desc convolution(const op::Conv2d& op, const ImageShape& in, const ImageShape& out,
                                                      std::pair<DType, DType> types, const Shape& weight,
                                                      const dnnl::engine& engine);
// As convolution(), for [rows, in] times the transpose of `weight` [out, in].
dnnl::matmul::primitive_desc matmul(const op::Linear& op, int64_t rows, std::pair<DType, DType> types,
                                    const Shape& weight, const dnnl::engine& engine);
dnnl::memory::desc bias_desc(const op::Conv2d& op, const Shape& weight);  // empty where the op has none
dnnl::memory::desc bias_desc(const op::Linear& op, const Shape& weight);

// A primitive and the addresses that it works on, one set for each run.
class Primitive {
 public:
  struct Addresses {
    std::byte *x, *weight, *bias, *out, *scratch;  // bias may be nullptr
  };
  Primitive(const dnnl::primitive_desc& desc, const Binding& b);
  void add(const Addresses& at);
  size_t runs() const { return each_ ? arguments_.size() / each_ : 0; }
  // Allocates nothing, except for oneDNN's own few words.
  void run(size_t index) const;

 private:
  void argument(int kind, const dnnl::memory::desc& desc, std::byte* data);

  dnnl::primitive_desc desc_;
  dnnl::primitive primitive_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;  // each_ for one run
  size_t each_ = 0;
};

}  // namespace inkstone::cpu
