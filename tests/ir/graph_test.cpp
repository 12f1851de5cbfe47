// The language: what inference gives, what the verifier refuses, what the printer says.
#include "ir/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ir/infer.h"
#include "ir/print.h"
#include "ir/verify.h"

namespace inkstone {
namespace {

using testing::HasSubstr;

Value in(Graph& g, Shape shape, const std::string& name = "x") { return g.add(op::Input{name}, {}, std::move(shape)); }
Value weight(Graph& g, const std::string& name, Shape shape) { return g.add(op::Weight{name}, {}, std::move(shape)); }

struct Row {
  const char* what;
  Op op;
  std::vector<Shape> inputs;
  Shape result;  // empty: refused
};

class Infer : public testing::TestWithParam<Row> {};

TEST_P(Infer, gives_the_shape_or_refuses) {
  const Row& row = GetParam();
  std::vector<Signature> inputs;
  for (const Shape& shape : row.inputs) inputs.push_back({shape});
  if (row.result.empty())
    EXPECT_THROW(infer(row.op, inputs), Error) << row.what;
  else
    EXPECT_EQ(infer(row.op, inputs).shape, row.result) << row.what;
}

const Row kRows[] = {
    {"3x3 keeps the size", op::Conv2d{1, 1, 1, 1, 1, false}, {{2, 4, 8, 6}, {16, 4, 3, 3}}, {2, 16, 8, 6}},
    {"stride 2", op::Conv2d{2, 1, 1, 1, 1, false}, {{2, 4, 8, 7}, {16, 4, 3, 3}}, {2, 16, 4, 4}},
    {"right and bottom", op::Conv2d{2, 0, 0, 1, 1, false}, {{1, 4, 8, 8}, {4, 4, 3, 3}}, {1, 4, 4, 4}},
    {"wrong channels", op::Conv2d{1, 1, 1, 1, 1, false}, {{2, 5, 8, 6}, {16, 4, 3, 3}}, {}},
    {"bias of another size", op::Conv2d{1, 1, 1, 1, 1, true}, {{2, 4, 8, 6}, {16, 4, 3, 3}, {15}}, {}},
    {"smaller than the kernel", op::Conv2d{1, 0, 0, 0, 0, false}, {{2, 4, 2, 2}, {16, 4, 3, 3}}, {}},
    {"linear", op::Linear{false}, {{2, 7, 4}, {9, 4}}, {2, 7, 9}},
    {"linear, wrong width", op::Linear{false}, {{2, 7, 5}, {9, 4}}, {}},
    {"linear with residual", op::Linear{false, true}, {{7, 4}, {9, 4}, {7, 9}}, {7, 9}},
    {"group norm", op::GroupNorm{2, 1e-5f}, {{1, 4, 3, 3}, {4}, {4}}, {1, 4, 3, 3}},
    {"groups that do not divide", op::GroupNorm{3, 1e-5f}, {{1, 4, 3, 3}, {4}, {4}}, {}},
    {"no groups", op::GroupNorm{0, 1e-5f}, {{1, 4, 3, 3}, {4}, {4}}, {}},
    {"attention", op::Attention{2}, {{1, 5, 8}, {1, 7, 8}, {1, 7, 8}}, {1, 5, 8}},
    {"heads that do not divide", op::Attention{3}, {{1, 5, 8}, {1, 7, 8}, {1, 7, 8}}, {}},
    {"causal needs as many keys", op::Attention{2, true}, {{1, 5, 8}, {1, 7, 8}, {1, 7, 8}}, {}},
    {"leaky relu", op::Activate{Activation::kLeakyRelu}, {{2, 3}}, {2, 3}},
    {"add broadcasts", op::Add{}, {{2, 3, 4, 4}, {2, 3, 1, 1}}, {2, 3, 4, 4}},
    {"add, ranks differ", op::Add{}, {{2, 3}, {3}}, {}},
    {"concat of three", op::Concat{1}, {{1, 2, 3}, {1, 4, 3}, {1, 1, 3}}, {1, 7, 3}},
    {"concat, other axis differs", op::Concat{1}, {{1, 2, 3}, {1, 4, 4}}, {}},
    {"concat, axis outside", op::Concat{3}, {{1, 2, 3}, {1, 4, 3}}, {}},
    {"repeat", op::Repeat{3}, {{2, 5, 4}}, {6, 5, 4}},
    {"repeat not even once", op::Repeat{0}, {{2, 5, 4}}, {}},
    {"repeat a scalar", op::Repeat{2}, {{}}, {}},
    {"slice", op::Slice{1, 2, 5}, {{1, 6, 2}}, {1, 3, 2}},
    {"slice past the end", op::Slice{1, 2, 7}, {{1, 6, 2}}, {}},
    {"reshape", op::Reshape{{3, 4}}, {{2, 6}}, {3, 4}},
    {"reshape, other count", op::Reshape{{3, 5}}, {{2, 6}}, {}},
    {"tokens", op::ToTokens{}, {{2, 8, 3, 5}}, {2, 15, 8}},
    {"image", op::ToImage{3, 5}, {{2, 15, 8}}, {2, 8, 3, 5}},
    {"image of another size", op::ToImage{4, 5}, {{2, 15, 8}}, {}},
    {"upsample", op::Upsample2x{}, {{1, 2, 3, 5}}, {1, 2, 6, 10}},
    {"upsample to an odd height", op::Upsample2x{true, false}, {{1, 2, 3, 5}}, {1, 2, 5, 10}},
    {"upsample one pixel to one", op::Upsample2x{true, true}, {{1, 2, 1, 1}}, {1, 2, 1, 1}},
    {"geglu", op::Geglu{}, {{2, 3, 8}}, {2, 3, 4}},
    {"geglu of an odd width", op::Geglu{}, {{2, 3, 7}}, {}},
    {"stats", op::GroupStats{4, 1e-6f}, {{2, 8, 3, 3}}, {2, 4, 2}},
    {"stats of bands", op::GroupStats{4, 1e-6f}, {{1, 8, 3, 5}, {1, 8, 2, 5}}, {1, 4, 2}},
    {"stats of bands of several images", op::GroupStats{4, 1e-6f}, {{2, 8, 3, 5}, {2, 8, 2, 5}}, {}},
    {"stats of bands of two widths", op::GroupStats{4, 1e-6f}, {{1, 8, 3, 5}, {1, 8, 3, 4}}, {}},
    {"stats of nothing", op::GroupStats{4, 1e-6f}, {}, {}},
    {"an input too many", op::Upsample2x{}, {{1, 2, 3, 5}, {1}}, {}},
};
INSTANTIATE_TEST_SUITE_P(Rows, Infer, testing::ValuesIn(kRows));

TEST(Graph, finish_keeps_what_is_read_in_reading_order) {
  Graph g;
  const Value x = in(g, {1, 4});
  const Value unused = g.add(op::Activate{Activation::kSilu}, {x});
  (void)unused;
  const Value b = g.add(op::Activate{Activation::kGelu}, {x});
  const Value a = g.add(op::Activate{Activation::kSilu}, {x});
  const Graph done = finish(g, g.add(op::Add{}, {a, b}));
  EXPECT_EQ(print(done),
            "%0 = input x : [1, 4] fp32\n%1 = silu(%0) : [1, 4] fp32\n%2 = gelu(%0) : [1, 4] fp32\n"
            "%3 = add(%1, %2) : [1, 4] fp32\nreturn %3\n");
}

TEST(Graph, a_deep_graph_does_not_exhaust_the_stack) {
  Graph g;
  Value x = in(g, {1});
  for (int i = 0; i < 200'000; ++i) x = g.add(op::Activate{Activation::kSilu}, {x});
  EXPECT_EQ(finish(g, x).nodes().size(), 200'001u);
}

TEST(Graph, values_of_two_graphs_do_not_mix) {
  Graph g, h;
  EXPECT_THROW(g.add(op::Add{}, {in(g, {1}), in(h, {1})}), Error);
}

TEST(Graph, parameters_count_each_weight_once) {
  Graph g;
  const Value w = weight(g, "w", {3, 3});
  const Value again = weight(g, "w", {3, 3});
  const Graph done = finish(g, g.add(op::Linear{false}, {w, again}));
  EXPECT_EQ(parameters(done), 9);
}

TEST(Verify, a_weight_has_one_shape) {
  Graph g;
  const Value x = in(g, {1, 3});
  const Value y = g.add(op::Linear{false}, {x, weight(g, "w", {3, 3})});
  const Graph done = finish(g, g.add(op::Linear{false}, {y, weight(g, "w", {2, 3})}));
  try {
    verify(done);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("weight w"));
  }
}

TEST(Verify, inputs_have_names_of_their_own) {
  Graph g;
  const Graph done = finish(g, g.add(op::Add{}, {in(g, {1}, "x"), in(g, {1}, "x")}));
  EXPECT_THROW(verify(done), Error);
}

TEST(Verify, outputs_exist) {
  Graph g;
  in(g, {1});
  EXPECT_THROW(verify(g), Error);
  g.set_outputs({1});
  EXPECT_THROW(verify(g), Error);
  g.set_outputs({0});
  verify(g);
}

}  // namespace
}  // namespace inkstone
