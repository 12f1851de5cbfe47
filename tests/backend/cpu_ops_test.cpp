// Every op on `cpu` against the plain loops of `reference`, in rows of odd shapes: fp32 and bf16,
// fused forms, and the promise that a row's bits depend neither on the rows beside it nor on the
// threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "backend/cpu/cpu.h"
#include "backend/precisions.h"
#include "backend/reference/reference.h"
#include "base/parallel.h"
#include "models/layers.h"
#include "support/differences.h"

namespace inkstone {
namespace {

// A graph of one op or few over `n` rows; the first axis of every input and output is the row.
struct Case {
  const char* name;
  std::function<Value(Graph&, int64_t n)> build;
  double bf16_tolerance = 2e-2;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

Value weight(Graph& g, const std::string& name, Shape shape) { return g.add(op::Weight{name}, {}, std::move(shape)); }
Value x(Graph& g, Shape shape) { return input(g, "x", std::move(shape)); }

struct ConvShape {
  int64_t in, height, width, out, kernel;
};

Value conv_of(Graph& g, int64_t n, ConvShape s, op::Conv2d kind) {
  std::vector<Value> in{x(g, {n, s.in, s.height, s.width}), weight(g, "w", {s.out, s.in, s.kernel, s.kernel})};
  if (kind.bias) in.push_back(weight(g, "b", {s.out}));
  const bool residual = std::exchange(kind.residual, false);
  if (!residual) return g.add(kind, in);
  Value plain = g.add(kind, in);
  kind.residual = true;
  in.push_back(input(g, "r", plain.shape()));
  return g.add(kind, in);
}

Case conv_case(const char* name, ConvShape s, op::Conv2d kind) {
  return {name, [=](Graph& g, int64_t n) { return conv_of(g, n, s, kind); }};
}

op::Conv2d padded(int pad, int stride = 1) {
  op::Conv2d kind;
  kind.stride = stride;
  kind.pad_top = kind.pad_left = kind.pad_bottom = kind.pad_right = pad;
  return kind;
}

op::Conv2d with(op::Conv2d kind, Activation activation, bool residual, bool bias = true) {
  kind.activation = activation;
  kind.residual = residual;
  kind.bias = bias;
  return kind;
}

op::Conv2d right_bottom() {
  op::Conv2d kind = padded(0, 2);
  kind.pad_bottom = kind.pad_right = 1;
  return kind;
}

Case linear_case(const char* name, Shape tokens, int64_t in, int64_t out, op::Linear kind) {
  return {name, [=](Graph& g, int64_t n) {
            Shape shape = tokens, result = tokens;
            shape.insert(shape.begin(), n), result.insert(result.begin(), n);
            shape.push_back(in), result.push_back(out);
            std::vector<Value> inputs{x(g, shape), weight(g, "w", {out, in})};
            if (kind.bias) inputs.push_back(weight(g, "b", {out}));
            if (kind.residual) inputs.push_back(input(g, "r", result));
            return g.add(kind, inputs);
          }};
}

Case norm_case(const char* name, Shape image, op::GroupNorm kind) {
  return {name, [=](Graph& g, int64_t n) {
            Shape shape = image;
            shape.insert(shape.begin(), n);
            std::vector<Value> inputs{x(g, shape), weight(g, "scale", {image[0]}), weight(g, "shift", {image[0]})};
            if (kind.addend) inputs.push_back(input(g, "t", {n, image[0]}));
            return g.add(kind, inputs);
          }};
}

Case attention_case(const char* name, int64_t queries, int64_t keys, int64_t width, op::Attention kind) {
  return {name, [=](Graph& g, int64_t n) {
            const Value q = x(g, {n, queries, width}), k = input(g, "k", {n, keys, width}),
                        v = input(g, "v", {n, keys, width});
            return g.add(kind, {q, k, v});
          }};
}

Case simple(const char* name, Shape row, std::function<Value(Graph&, Value, int64_t)> f) {
  return {name, [=](Graph& g, int64_t n) {
            Shape shape = row;
            shape.insert(shape.begin(), n);
            return f(g, x(g, shape), n);
          }};
}

Value ids_input(Graph& g, int64_t n) { return input(g, "ids", {n, 5}, DType::kI32); }

const std::vector<Case>& cases() {
  using A = Activation;
  static const std::vector<Case> all{
      conv_case("conv 3x3", {32, 9, 11, 33, 3}, padded(1)),
      conv_case("conv 3x3 wide", {96, 8, 8, 128, 3}, padded(1)),
      conv_case("conv 3x3 of 4 channels", {4, 13, 7, 40, 3}, padded(1)),
      conv_case("conv 3x3 to 4 channels", {40, 13, 7, 4, 3}, padded(1)),
      conv_case("conv 3x3 of 1 channel", {1, 5, 5, 1, 3}, padded(1)),
      conv_case("conv 3x3 stride 2", {32, 10, 12, 64, 3}, padded(1, 2)),
      conv_case("conv 3x3 stride 2, odd", {17, 9, 7, 19, 3}, padded(1, 2)),
      conv_case("conv right and bottom", {24, 10, 8, 16, 3}, right_bottom()),
      conv_case("conv 1x1", {48, 7, 9, 20, 1}, padded(0)),
      conv_case("conv 1x1 stride 2", {16, 9, 8, 24, 1}, padded(0, 2)),
      conv_case("conv without bias", {16, 6, 6, 16, 3}, with(padded(1), A::kNone, false, false)),
      conv_case("conv silu", {32, 8, 6, 48, 3}, with(padded(1), A::kSilu, false)),
      conv_case("conv residual", {32, 8, 6, 48, 3}, with(padded(1), A::kNone, true)),
      conv_case("conv gelu residual", {33, 5, 6, 31, 3}, with(padded(1), A::kGelu, true)),
      conv_case("conv relu", {32, 8, 6, 48, 3}, with(padded(1), A::kRelu, false)),
      conv_case("conv relu, stride 2", {3, 9, 6, 48, 3}, with(padded(1, 2), A::kRelu, false)),
      conv_case("conv leaky relu residual", {33, 5, 6, 31, 3}, with(padded(1), A::kLeakyRelu, true)),
      conv_case("conv 1x1 residual", {64, 8, 6, 48, 1}, with(padded(0), A::kNone, true)),
      linear_case("linear", {77}, 96, 80, {}),
      linear_case("linear of one token", {}, 160, 320, {}),
      linear_case("linear odd", {5}, 7, 13, {}),
      linear_case("linear without bias", {33}, 64, 64, {.bias = false}),
      linear_case("linear silu", {1}, 40, 24, {.activation = A::kSilu}),
      linear_case("linear gelu", {9}, 40, 24, {.activation = A::kGelu}),
      linear_case("linear quick gelu", {9}, 40, 24, {.activation = A::kQuickGelu}),
      linear_case("linear relu", {9}, 40, 24, {.activation = A::kRelu}),
      linear_case("linear leaky relu residual", {19}, 64, 48, {.residual = true, .activation = A::kLeakyRelu}),
      linear_case("linear residual", {19}, 64, 48, {.residual = true}),
      linear_case("linear quick gelu residual", {19}, 64, 48, {.residual = true, .activation = A::kQuickGelu}),
      norm_case("group norm", {32, 5, 7}, {8, 1e-5f}),
      norm_case("group norm silu", {30, 5, 7}, {3, 1e-6f, false, true}),
      norm_case("group norm addend silu", {64, 6, 4}, {32, 1e-5f, true, true}),
      norm_case("group norm of a row", {24}, {4, 1e-5f}),
      {"group stats and apply",
       [](Graph& g, int64_t n) {
         const Value image = x(g, {n, 16, 6, 5}), scale = weight(g, "scale", {16}), shift = weight(g, "shift", {16});
         const Value stats = g.add(op::GroupStats{4, 1e-5f}, {image});
         const Value top = g.add(op::GroupApply{4, true}, {slice(image, 2, 0, 2), stats, scale, shift});
         return concat(top, g.add(op::GroupApply{4, true}, {slice(image, 2, 2, 6), stats, scale, shift}), 2);
       }},
      {"group stats of bands",
       [](Graph& g, int64_t n) {
         const Value image = x(g, {n, 16, 70, 60}), scale = weight(g, "scale", {16}), shift = weight(g, "shift", {16});
         std::vector<Value> rows;
         for (int64_t row = 0; row < n; ++row) {
           const Value own = slice(image, 0, row, row + 1);
           const std::vector<Value> bands{slice(own, 2, 0, 31), slice(own, 2, 31, 32), slice(own, 2, 32, 70)};
           rows.push_back(g.add(op::GroupApply{4, true}, {own, g.add(op::GroupStats{4, 1e-5f}, bands), scale, shift}));
         }
         return n == 1 ? rows[0] : g.add(op::Concat{0}, rows);
       }},
      simple("layer norm", {7, 50},
             [](Graph& g, Value v, int64_t) {
               return g.add(op::LayerNorm{1e-5f}, {v, weight(g, "scale", {50}), weight(g, "shift", {50})});
             }),
      attention_case("attention", 19, 19, 80, {2}),
      attention_case("attention of heads of 40", 65, 33, 120, {3}),
      attention_case("attention causal", 21, 21, 64, {4, true}),
      attention_case("attention of one key", 3, 1, 16, {1}),
      {"embedding",
       [](Graph& g, int64_t n) {
         return g.add(op::Embedding{}, {ids_input(g, n), weight(g, "table", {9, 12})});
       }},
      {"embedding and positions",
       [](Graph& g, int64_t n) {
         const Value words = g.add(op::Embedding{}, {ids_input(g, n), weight(g, "table", {9, 12})});
         const Value places = constant(g, {0, 1, 2, 3, 4}, {1, 5}, DType::kI32);
         return words + g.add(op::Embedding{}, {places, weight(g, "positions", {5, 12})});
       }},
      {"time embedding", [](Graph& g, int64_t n) { return g.add(op::TimeEmbedding{32}, {input(g, "t", {n})}); }},
      simple("silu", {7, 13}, [](Graph& g, Value v, int64_t) { return g.add(op::Activate{A::kSilu}, {v}); }),
      simple("gelu of an image", {3, 4, 5},
             [](Graph& g, Value v, int64_t) { return g.add(op::Activate{A::kGelu}, {v}); }),
      simple("quick gelu", {33}, [](Graph& g, Value v, int64_t) { return g.add(op::Activate{A::kQuickGelu}, {v}); }),
      simple("relu", {33}, [](Graph& g, Value v, int64_t) { return g.add(op::Activate{A::kRelu}, {v}); }),
      simple("leaky relu of an image", {3, 4, 5},
             [](Graph& g, Value v, int64_t) { return g.add(op::Activate{A::kLeakyRelu}, {v}); }),
      simple("add", {6, 4, 5},
             [](Graph& g, Value v, int64_t n) {
               return v + input(g, "y", {n, 6, 4, 5});
             }),
      simple("add to itself", {6, 4, 5}, [](Graph&, Value v, int64_t) { return v + v; }),
      simple("add a channel's", {6, 4, 5},
             [](Graph& g, Value v, int64_t n) {
               return v + input(g, "y", {n, 6, 1, 1});
             }),
      simple("add a row's, left", {6, 1, 5},
             [](Graph& g, Value v, int64_t n) {
               return v + input(g, "y", {n, 6, 4, 1});
             }),
      simple("add a weight", {4, 7},
             [](Graph& g, Value v, int64_t) {
               return v + weight(g, "w", {1, 4, 7});
             }),
      simple("add an image of weights", {3, 4, 5},
             [](Graph& g, Value v, int64_t) {
               return v + weight(g, "w", {1, 3, 4, 5});
             }),
      simple("multiply", {6, 4},
             [](Graph& g, Value v, int64_t n) {
               return v * input(g, "y", {n, 6, 4});
             }),
      simple("multiply by a constant", {6, 4},
             [](Graph& g, Value v, int64_t) {
               return v * constant(g, {0.5f}, {1, 1, 1});
             }),
      simple("concat channels", {6, 4, 5},
             [](Graph& g, Value v, int64_t n) {
               return concat(v, input(g, "y", {n, 3, 4, 5}), 1);
             }),
      simple("concat rows", {6, 4, 5},
             [](Graph& g, Value v, int64_t n) {
               return concat(v, input(g, "y", {n, 6, 3, 5}), 2);
             }),
      simple("concat with itself", {6, 4}, [](Graph&, Value v, int64_t) { return concat(v, v, 1); }),
      simple("concat of concats", {2, 3},
             [](Graph& g, Value v, int64_t) {
               const Value a = silu(v), both = concat(a, activate(v, A::kGelu), 1);
               return concat(both, concat(a, weight(g, "w", {1, 1, 3}) + v, 1), 2) + constant(g, {1}, {1, 1, 1});
             }),
      simple("slice channels", {6, 4, 5}, [](Graph&, Value v, int64_t) { return slice(v, 1, 2, 5); }),
      simple("slice rows", {6, 4, 5}, [](Graph&, Value v, int64_t) { return slice(v, 2, 1, 3); }),
      simple("slice columns", {6, 4, 5}, [](Graph&, Value v, int64_t) { return slice(v, 3, 4, 5); }),
      simple("slice of a slice", {6, 8},
             [](Graph&, Value v, int64_t) { return silu(slice(slice(v, 1, 1, 6), 1, 2, 4)) + slice(v, 1, 0, 2); }),
      simple("reshape", {6, 4},
             [](Graph&, Value v, int64_t n) {
               return reshape(v, {n, 3, 8});
             }),
      simple("reshape to an image", {6, 20},
             [](Graph&, Value v, int64_t n) {
               return reshape(v, {n, 6, 4, 5});
             }),
      simple("reshape from an image", {6, 4, 5},
             [](Graph&, Value v, int64_t n) {
               return reshape(v, {n, 120});
             }),
      simple("reshape between images", {6, 4, 5},
             [](Graph&, Value v, int64_t n) {
               return reshape(v, {n, 3, 8, 5});
             }),
      simple("reshape a row", {6},
             [](Graph&, Value v, int64_t n) {
               return reshape(v, {n, 6, 1, 1});
             }),
      simple("tokens", {6, 4, 5}, [](Graph&, Value v, int64_t) { return to_tokens(v); }),
      simple("tokens and back", {6, 4, 5},
             [](Graph&, Value v, int64_t) { return silu(to_image(silu(to_tokens(v)), 5, 4)); }),
      simple("upsample", {6, 4, 5}, [](Graph&, Value v, int64_t) { return upsample2x(v); }),
      simple("upsample to an odd height", {6, 4, 5}, [](Graph&, Value v, int64_t) { return upsample2x(v, 7, 10); }),
      simple("upsample to an odd width", {6, 4, 5}, [](Graph&, Value v, int64_t) { return upsample2x(v, 8, 9); }),
      simple("upsample one pixel to one", {6, 1, 1}, [](Graph&, Value v, int64_t) { return upsample2x(v, 1, 1); }),
      simple("conv of an odd doubled map", {24, 9, 10},
             [](Graph& g, Value v, int64_t) {
               return conv({&g, "c"}, upsample2x(v, 17, 19), 32, 3);  // enough pixels for Winograd
             }),
      simple("conv of a small odd doubled map", {24, 3, 2},
             [](Graph& g, Value v, int64_t) {
               return conv({&g, "c"}, upsample2x(v, 5, 3), 32, 3);
             }),
      simple("repeat", {6, 4, 5}, [](Graph&, Value v, int64_t) { return repeat(v, 2); }),
      simple("repeat computed tokens", {7, 13}, [](Graph&, Value v, int64_t) { return silu(repeat(silu(v), 3)); }),
      {"repeat ids",
       [](Graph& g, int64_t n) {
         return g.add(op::Embedding{}, {repeat(ids_input(g, n), 2), weight(g, "table", {9, 12})});
       }},
      {"repeat an addend",
       [](Graph& g, int64_t n) {
         const Value t = g.add(op::Linear{}, {input(g, "t", {n, 16}), weight(g, "w", {32, 16}), weight(g, "b", {32})});
         const Value h = x(g, {2 * n, 32, 3, 5}) + reshape(repeat(t, 2), {2 * n, 32, 1, 1});
         return g.add(op::GroupNorm{8, 1e-5f}, {h, weight(g, "scale", {32}), weight(g, "shift", {32})});
       }},
      simple("geglu", {7, 32}, [](Graph& g, Value v, int64_t) { return g.add(op::Geglu{}, {v}); }),
      simple("linear geglu", {70, 48},
             [](Graph& g, Value v, int64_t) {
               return g.add(op::Geglu{}, {g.add(op::Linear{}, {v, weight(g, "w", {64, 48}), weight(g, "b", {64})})});
             }),
      simple("cast there and back", {7, 5},
             [](Graph& g, Value v, int64_t) {
               return g.add(op::Cast{DType::kF32}, {g.add(op::Cast{DType::kBF16}, {v})});
             }),
  };
  return all;
}

Tensor random_tensor(const Shape& shape, DType type, std::mt19937& random) {
  Tensor tensor(shape, type);
  if (type == DType::kI32) {
    for (int32_t& id : tensor.ints()) id = static_cast<int32_t>(random() % 9);
  } else {
    std::normal_distribution<float> normal;
    for (float& value : tensor.floats())
      // exact in bf16: what differs is the op
      value = from_bf16(to_bf16(normal(random)));
  }
  return tensor;
}

// Weights of about the size that keeps sums near 1.
Weights random_weights(const Graph& graph) {
  std::mt19937 random(3);
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<WeightSpec> specs;
  for (const NamedShape& weight : weights_of(graph)) {
    Tensor tensor = random_tensor(weight.shape, DType::kF32, random);
    const double fan = static_cast<double>(tensor.size()) / static_cast<double>(weight.shape[0]);
    for (float& value : tensor.floats()) value = from_bf16(to_bf16(value / static_cast<float>(std::sqrt(fan))));
    specs.push_back({weight.name, weight.shape});
    tensors.emplace_back(weight.name, std::move(tensor));
  }
  Weights weights = Weights::of(std::move(tensors));
  weights.bind(specs);
  return weights;
}

std::vector<Tensor> random_inputs(const Graph& graph) {
  std::mt19937 random(5);
  std::vector<Tensor> inputs;
  for (const NamedShape& in : inputs_of(graph)) inputs.push_back(random_tensor(in.shape, in.type, random));
  return inputs;
}

Tensor row_of(const Tensor& tensor, int64_t row, int64_t rows) {
  Shape shape = tensor.shape();
  shape[0] /= rows;
  Tensor part(shape, tensor.type());
  std::memcpy(part.data(), tensor.data() + static_cast<size_t>(row) * part.bytes(), part.bytes());
  return part;
}

Tensor run(Program& program, const Graph& graph, const std::vector<Tensor>& inputs) {
  Tensor out(graph.node(graph.outputs()[0]).shape);
  std::vector<const Tensor*> in;
  for (const Tensor& tensor : inputs) in.push_back(&tensor);
  Tensor* const outputs[] = {&out};
  program.run(in, outputs);
  return out;
}

Graph graph_of(const Case& c, int64_t rows) {
  Graph g;
  const Value result = c.build(g, rows);
  return finish(g, result);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

class CpuOps : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override { set_threads(2); }
  void TearDown() override { set_threads(usable_cores()); }
};

void expect_agreement(const Case& c, CompileOptions options, double tolerance) {
  const Graph graph = graph_of(c, 3);
  const Weights weights = random_weights(graph);
  const std::vector<Tensor> inputs = random_inputs(graph);
  const auto reference = open_reference_backend(), cpu = open_cpu_backend();
  const auto meaning = reference->compile(graph, weights, {}), program = cpu->compile(graph, weights, options);
  const Tensor expected = run(*meaning, graph, inputs), actual = run(*program, graph, inputs);
  ASSERT_EQ(actual.shape(), expected.shape());
  EXPECT_LE(relative_rms(actual, expected), tolerance);
  EXPECT_TRUE(same_bits(run(*program, graph, inputs), actual)) << "a second run differs";
  const MemoryUse planned = cpu->plan(graph, weights, options), used = program->memory();
  EXPECT_EQ(planned.weights, used.weights);
  EXPECT_EQ(planned.mapped, used.mapped);
  EXPECT_EQ(planned.arena, used.arena);
  EXPECT_EQ(planned.scratch, used.scratch);
}

TEST_P(CpuOps, agrees_with_the_reference_in_fp32) { expect_agreement(GetParam(), {}, 1e-5); }

TEST_P(CpuOps, agrees_with_the_reference_in_bf16) {
  if (!multiplies_bf16()) GTEST_SKIP() << "oneDNN multiplies no bf16 on this processor";
  expect_agreement(GetParam(), {.precision = Precision::kBf16}, GetParam().bf16_tolerance);
}

TEST_P(CpuOps, a_row_depends_neither_on_its_neighbours_nor_on_the_threads) {
  for (const Precision precision : runnable_precisions()) {
    const Graph batch = graph_of(GetParam(), 4), alone = graph_of(GetParam(), 1);
    const Weights weights = random_weights(batch);
    const std::vector<Tensor> inputs = random_inputs(batch);
    const auto cpu = open_cpu_backend();
    for (const int number : {1, 2}) {
      set_threads(number);
      const auto many = cpu->compile(batch, weights, {.precision = precision}),
                 one = cpu->compile(alone, weights, {.precision = precision});
      const Tensor together = run(*many, batch, inputs);
      for (int64_t row = 0; row < 4; ++row) {
        std::vector<Tensor> own;
        for (const Tensor& tensor : inputs) own.push_back(row_of(tensor, row, 4));
        EXPECT_TRUE(same_bits(run(*one, alone, own), row_of(together, row, 4)))
            << "row " << row << ", " << number << " threads";
      }
      set_threads(3 - number);
      EXPECT_TRUE(same_bits(run(*many, batch, inputs), together))
          << "compiled on " << number << " threads, run on the other number";
      if (bits_depend_on_threads()) continue;
      const auto other = cpu->compile(batch, weights, {.precision = precision});
      EXPECT_TRUE(same_bits(run(*other, batch, inputs), together)) << "compiled on other threads";
    }
  }
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name;
  for (const char* c = info.param.name; *c; ++c)
    if (std::isalnum(static_cast<unsigned char>(*c)) || *c == ' ') name += *c == ' ' ? '_' : *c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(Rows, CpuOps, testing::ValuesIn(cases()), case_name);

}  // namespace
}  // namespace inkstone
