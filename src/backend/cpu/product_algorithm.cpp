#include "backend/cpu/product_algorithm.h"

#include <dnnl.hpp>
#include <string>

#include "base/environment.h"
#include "base/error.h"

namespace inkstone::cpu {
namespace {

// With fewer channels the transforms cost more than they save.
constexpr int64_t kMinWinogradChannels = 16;
// Pixels of a batch. With fewer, transforming the weights costs too much.
constexpr int64_t kMinWinogradPixels = 16 * 16;

bool multiplies_in_tiles() { return dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx512_core_amx; }

enum class Wish { kNone, kOwn, kOneDnn };

Wish wish_of(const std::string& wanted) {
  INKSTONE_CHECK_USAGE(wanted.empty() || wanted == "own" || wanted == "onednn", "INKSTONE_PRODUCTS=", wanted,
                       ": it is own or onednn");
  return wanted.empty() ? Wish::kNone : wanted == "own" ? Wish::kOwn : Wish::kOneDnn;
}

bool takes_onednn(DType x_type) {
  static const Wish wish = wish_of(environment(Variable::kProducts).value_or(""));
  if (wish != Wish::kNone) return wish == Wish::kOneDnn;
  static const bool tiles = multiplies_in_tiles();
  return x_type == DType::kBF16 && tiles;
}

}  // namespace

bool onednn_multiplies(DType type) {
  const auto kind = type == DType::kBF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
  const dnnl::memory::desc square({16, 16}, kind, dnnl::memory::format_tag::ab);
  try {
    dnnl::matmul::primitive_desc({square, square, square}, dnnl::engine(dnnl::engine::kind::cpu, 0));
    return true;
  } catch (const dnnl::error&) {
    return false;
  }
}

ProductAlgorithm algorithm_of(const op::Linear&, DType x_type) {
  return takes_onednn(x_type) ? ProductAlgorithm::kOneDnn : ProductAlgorithm::kPlain;
}

ProductAlgorithm algorithm_of(const op::Conv2d& op, DType x_type, const Shape& weight, const Shape& result) {
  if (takes_onednn(x_type)) return ProductAlgorithm::kOneDnn;
  const bool fits = op.stride == 1 && weight[2] == 3 && weight[3] == 3 && weight[1] >= kMinWinogradChannels &&
                    result[2] * result[3] >= kMinWinogradPixels;
  return fits ? ProductAlgorithm::kWinograd : ProductAlgorithm::kPlain;
}

}  // namespace inkstone::cpu
