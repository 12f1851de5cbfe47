// The interpreter against values known by hand; tools/check_ascend_sim.py compares it with
// onnxruntime.
#include "interpreter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "test_models.h"

using namespace ascend_sim;

namespace {

Tensor floats(Shape dims, const std::vector<float>& values) {
  Tensor t = allocate(kFloat, std::move(dims));
  std::copy(values.begin(), values.end(), t.floats.get());
  return t;
}

std::vector<float> run(const ModelText& text, const std::vector<Tensor>& inputs) {
  const onnx::ModelProto model = model_of(text);
  const Tensor y = Interpreter(model.graph(), text.opset, tensor_of, {}).run(inputs).at(0);
  return {y.floats.get(), y.floats.get() + y.count()};
}

}  // namespace

TEST(Interpreter, multiplies_matrices) {
  EXPECT_EQ(run({.nodes = {"MatMul x matrix -> y"}}, {floats({1, 4}, {0, 0, 16, 0})}),
            (std::vector<float>{8, 9, 10, 11}));
}

TEST(Interpreter, sums_products_of_any_size_right) {
  const int64_t m = 37, k = 700, n = 51;
  Tensor a = allocate(kFloat, {m, k}), b = allocate(kFloat, {k, n});
  for (int64_t i = 0; i < m * k; ++i) a.floats[i] = static_cast<float>((i * 7919) % 13 - 6);
  for (int64_t i = 0; i < k * n; ++i) b.floats[i] = static_cast<float>((i * 104729) % 11 - 5);
  const auto y = run({.inputs = {{"x", {m, k}}, {"w", {k, n}}}, .nodes = {"MatMul x w -> y"}}, {a, b});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (int64_t t = 0; t < k; ++t) sum += a.floats[i * k + t] * b.floats[t * n + j];
      ASSERT_EQ(y[i * n + j], sum);  // whole numbers: exact
    }
}

TEST(Interpreter, convolves_with_the_paddings_own_zeros) {
  Tensor x = floats({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), w = floats({1, 1, 3, 3}, {1, 1, 1, 1, 1, 1, 1, 1, 1});
  onnx::ModelProto model = model_of({.inputs = {{"x", {1, 1, 3, 3}}, {"w", {1, 1, 3, 3}}}, .nodes = {"Conv x w -> y"}});
  auto& pads = *model.mutable_graph()->mutable_node(0)->add_attribute();
  pads.set_name("pads");
  for (int i = 0; i < 4; ++i) pads.add_ints(1);
  const Tensor y = Interpreter(model.graph(), 17, tensor_of, {}).run({x, w}).at(0);
  EXPECT_EQ(std::vector<float>(y.floats.get(), y.floats.get() + 9),
            (std::vector<float>{12, 21, 16, 27, 45, 33, 24, 39, 28}));
}

TEST(Interpreter, softmax_sums_to_one) {
  const auto y = run({.nodes = {"Softmax x -> y"}}, {floats({1, 4}, {0, -200, 100, 100 + std::log(3.0f)})});
  EXPECT_NEAR(y[2], 0.25f, 1e-5);
  EXPECT_NEAR(y[3], 0.75f, 1e-5);
}

TEST(Interpreter, rectifies) {
  EXPECT_EQ(run({.nodes = {"Relu x -> y"}}, {floats({1, 4}, {-2, -0.5f, 0, 3})}), (std::vector<float>{0, 0, 0, 3}));
  const Tensor x = floats({1, 4}, {-2, -0.5f, 0, 3});
  onnx::ModelProto model = model_of({.nodes = {"LeakyRelu x -> y"}});
  auto& alpha = *model.mutable_graph()->mutable_node(0)->add_attribute();
  alpha.set_name("alpha"), alpha.set_f(0.25f);
  const Tensor y = Interpreter(model.graph(), 17, tensor_of, {}).run({x}).at(0);
  EXPECT_EQ(std::vector<float>(y.floats.get(), y.floats.get() + 4), (std::vector<float>{-0.5f, -0.125f, 0, 3}));
}

TEST(Interpreter, frees_what_is_used_no_more) {
  const onnx::ModelProto model = model_of({.nodes = {"Exp x -> a", "Exp a -> b", "Exp b -> c", "Exp c -> y"}});
  Survey survey;
  Interpreter(model.graph(), 17, tensor_of, {}).run({shape_only(kFloat, {1024})}, &survey);
  EXPECT_EQ(survey.peak, 2u * 4096);
}

TEST(Half, rounds_as_the_standard_says) {
  const std::pair<float, float> rows[] = {
      {1.0f, 1.0f},     {1.00048828125f, 1.0f},   {1.00146484375f, 1.001953125f}, {65519.0f, 65504.0f},
      {2.98e-8f, 0.0f}, {3.0e-8f, 5.9604645e-8f}, {-65503.0f, -65504.0f},         {6.1e-5f, 6.1e-5f}};
  for (const auto& [x, right] : rows) {
    EXPECT_NEAR(round_half(x, false), right, 4e-8) << x;
    EXPECT_EQ(from_half(to_half(x)), round_half(x, false)) << x;
  }
  EXPECT_EQ(round_half(65520.0f, false), INFINITY);
  EXPECT_EQ(round_half(-1e9f, true), -65504.0f);
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) ASSERT_EQ(to_half(from_half(static_cast<uint16_t>(bits))), bits);
}
