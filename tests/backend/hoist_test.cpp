// What is hoisted means the same: parts and rest together give what the plain graph gives, on
// `reference` and on `cpu`. And what is left in the step is what has to be.
#include "compile/hoist.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "backend/random_model.h"
#include "base/error.h"
#include "compile/passes.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "models/unet.h"
#include "models/work.h"
#include "support/differences.h"

namespace inkstone {
namespace {

std::vector<compile::HoistGroup> unet_groups(DType text = DType::kF32, bool added = false) {
  const DType other = added ? text : DType::kF32;
  return {{{"text"}, text}, {{"timestep", "guidance"}, other}, {{"added"}, other}};
}

int count_nodes(const Graph& graph, const std::string& name) {
  int found = 0;
  for (const Node& node : graph.nodes()) found += name_of(node.op) == name;
  return found;
}

UnetConfig with_guidance() {
  UnetConfig c = tiny_unet();
  c.guidance_channels = 6;
  return c;
}

UnetConfig with_added() {
  UnetConfig c = tiny_linear_unet();
  c.added = 10;
  return c;
}

const std::vector<UnetConfig>& configs() {
  static const std::vector<UnetConfig> all{tiny_unet(), tiny_linear_unet(), with_guidance(), with_added()};
  return all;
}

struct Setting {
  const char* device;
  Precision precision;
};
const Setting kSettings[] = {{"reference", Precision::kFp32}, {"cpu", Precision::kFp32}, {"cpu", Precision::kBf16}};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.bytes() == b.bytes() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

using Named = std::map<std::string, const Tensor*>;

Named named(const Graph& graph, const std::vector<Tensor>& tensors) {
  Named result;
  const std::vector<NamedShape> inputs = inputs_of(graph);
  for (size_t i = 0; i < inputs.size(); ++i) result[inputs[i].name] = &tensors[i];
  return result;
}

std::vector<Tensor> run_named(Backend& backend, const Graph& graph, const Weights& weights, const Named& given,
                              Precision precision) {
  const auto program = backend.compile(graph, weights, {.precision = precision});
  std::vector<const Tensor*> in;
  for (const NamedShape& input : inputs_of(graph)) in.push_back(given.at(input.name));
  std::vector<Tensor> results;
  for (const int id : graph.outputs()) results.emplace_back(graph.node(id).shape, graph.node(id).type);
  std::vector<Tensor*> out;
  for (Tensor& tensor : results) out.push_back(&tensor);
  program->run(in, out);
  return results;
}

Tensor run_hoisted(Backend& backend, const compile::Hoisted& hoisted, const Weights& weights, Named given,
                   Precision precision) {
  std::vector<std::vector<Tensor>> carried;
  for (const compile::HoistedPart& part : hoisted.parts) {
    if (part.names.empty()) continue;
    carried.push_back(run_named(backend, part.graph, weights, given, precision));
    for (size_t i = 0; i < part.names.size(); ++i) given[part.names[i]] = &carried.back()[i];
  }
  return std::move(run_named(backend, hoisted.rest, weights, given, precision)[0]);
}

Tensor each_row_twice(const Tensor& tensor) {
  Shape shape = tensor.shape();
  const size_t row = tensor.bytes() / static_cast<size_t>(shape[0]);
  shape[0] *= 2;
  Tensor result(shape, tensor.type());
  for (size_t r = 0; r < static_cast<size_t>(shape[0]); ++r)
    std::memcpy(result.data() + r * row, tensor.data() + r / 2 * row, row);
  return result;
}

TEST(Unet, of_copies_is_the_one_whose_rows_are_written_out) {
  const auto reference = open_backend("reference");
  for (const UnetConfig& config : configs()) {
    const Graph copies = unet_graph(config, {2, 8, 12, 5, 2}), plain = unet_graph(config, {4, 8, 12, 5});
    EXPECT_EQ(parameters(copies), parameters(plain));
    const Weights weights = random_weights(plain);
    const std::vector<Tensor> inputs = random_inputs(copies);
    const std::vector<NamedShape> names = inputs_of(copies);
    std::vector<Tensor> all;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool for_each = names[i].name == "text" || names[i].name == "added";
      all.push_back(for_each ? inputs[i].clone() : each_row_twice(inputs[i]));
    }
    EXPECT_TRUE(same_bits(run_once(*reference, copies, weights, inputs), run_once(*reference, plain, weights, all)));
  }
}

TEST(SinkRepeat, changes_no_bit) {
  for (const UnetConfig& config : configs()) {
    const Graph before = unet_graph(config, {2, 9, 11, 5, 2}), after = compile::sink_repeat(before);
    verify(after);
    const Weights weights = random_weights(before);
    const std::vector<Tensor> inputs = random_inputs(before);
    for (const Setting& setting : kSettings) {
      const auto backend = open_backend(setting.device);
      const CompileOptions options{.precision = setting.precision};
      EXPECT_TRUE(same_bits(run_once(*backend, after, weights, inputs, options),
                            run_once(*backend, before, weights, inputs, options)))
          << setting.device << " " << static_cast<int>(setting.precision);
    }
  }
}

struct Row {
  const char* what;
  // [4, 6] both, the first of two rows
  Value (*build)(Graph&, Value repeated, Value other);
  bool sinks;
};

Value weight(Graph& g, const std::string& name, Shape shape) { return g.add(op::Weight{name}, {}, std::move(shape)); }
Value vector(Value x) { return reshape(x, {x.dim(0) * x.dim(1)}); }

const Row kRows[] = {
    {"linear",
     [](Graph& g, Value x, Value) {
       return linear({&g, "l"}, x, 3);
     },
     true},
    {"linear, another residual",
     [](Graph& g, Value x, Value y) {
       return g.add(op::Linear{.bias = false, .residual = true}, {x, weight(g, "w", {6, 6}), y});
     },
     false},
    {"linear, the same residual",
     [](Graph& g, Value x, Value) {
       return g.add(op::Linear{.bias = false, .residual = true}, {x, weight(g, "w", {6, 6}), silu(x)});
     },
     true},
    {"repeated weight",
     [](Graph& g, Value x, Value y) {
       return g.add(op::Linear{.bias = false}, {y, x});
     },
     false},
    {"sum of two", [](Graph&, Value x, Value) { return x + silu(x); }, true},
    {"sum with other rows", [](Graph&, Value x, Value y) { return x + y; }, false},
    {"product with one row",
     [](Graph& g, Value x, Value) {
       return weight(g, "w", {1, 6}) * x;
     },
     true},
    {"product with weights for each row",
     [](Graph& g, Value x, Value) {
       return x * weight(g, "w", {4, 6});
     },
     false},
    {"product with constants for each row",
     [](Graph& g, Value x, Value) {
       return x * constant(g, {1, 2, 3, 4}, {4, 1});
     },
     false},
    {"concat of columns", [](Graph&, Value x, Value) { return concat(x, silu(x), 1); }, true},
    {"concat of rows", [](Graph&, Value x, Value) { return concat(x, silu(x), 0); }, true},
    {"concat with other rows", [](Graph&, Value x, Value y) { return concat(x, y, 0); }, false},
    {"slice of columns", [](Graph&, Value x, Value) { return slice(x, 1, 2, 5); }, true},
    {"slice of rows", [](Graph&, Value x, Value) { return slice(x, 0, 1, 3); }, false},
    {"reshape of columns",
     [](Graph&, Value x, Value) {
       return silu(reshape(x, {4, 3, 2}));
     },
     true},
    {"reshape of rows",
     [](Graph&, Value x, Value) {
       return silu(reshape(x, {2, 2, 6}));
     },
     false},
    {"layer norm of one vector",
     [](Graph& g, Value x, Value) {
       return layer_norm({&g, "n"}, vector(x));
     },
     false},
    {"linear of one vector",
     [](Graph& g, Value x, Value) {
       return linear({&g, "l"}, vector(x), 6);
     },
     false},
    {"attention to itself",
     [](Graph&, Value x, Value) {
       const Value t = reshape(x, {4, 2, 3});
       return attention(t, t, t, 1);
     },
     true},
    {"attention to others",
     [](Graph&, Value x, Value y) {
       const Value t = reshape(y, {4, 2, 3});
       return attention(reshape(x, {4, 2, 3}), t, t, 1);
     },
     false},
    {"repeat again",
     [](Graph& g, Value x, Value) {
       return linear({&g, "l"}, repeat(silu(x), 3), 3);
     },
     true},
};

TEST(SinkRepeat, passes_what_works_row_by_row_and_nothing_else) {
  const auto reference = open_backend("reference");
  for (const Row& row : kRows) {
    Graph g;
    const Value x = input(g, "x", {2, 6}), y = input(g, "y", {4, 6});
    const Value results[] = {row.build(g, repeat(x, 2), y)};
    const Graph before = finish(g, results), after = compile::sink_repeat(before);
    verify(after);
    const bool last = name_of(after.node(after.outputs()[0]).op) == "repeat";
    EXPECT_EQ(last, row.sinks) << row.what << "\n" << print(after);
    EXPECT_EQ(count_nodes(after, "repeat"), 1) << row.what << "\n" << print(after);
    const Weights weights = random_weights(before);
    const std::vector<Tensor> inputs = random_inputs(before);
    EXPECT_TRUE(same_bits(run_once(*reference, before, weights, inputs), run_once(*reference, after, weights, inputs)))
        << row.what;
  }
}

TEST(SinkRepeat, leaves_the_addend_s_reshape_to_fusion) {
  for (const UnetConfig& config : configs()) {
    const Graph graph = compile::fuse(compile::fold(compile::sink_repeat(unet_graph(config, {1, 8, 12, 5, 2}))));
    EXPECT_EQ(count_nodes(graph, "add"), 0) << print(graph);
  }
}

TEST(Hoist, parts_and_rest_are_the_whole) {
  for (const UnetConfig& config : configs())
    for (const int64_t copies : {1, 2}) {
      const Graph plain = unet_graph(config, {2, 8, copies == 1 ? 12 : 11, 5, copies});
      const Weights weights = random_weights(plain);
      const std::vector<Tensor> inputs = random_inputs(plain);
      for (const Setting& setting : kSettings) {
        const bool bf16 = setting.precision == Precision::kBf16;
        const compile::Hoisted hoisted = compile::hoist(
            compile::sink_repeat(plain), unet_groups(bf16 ? DType::kBF16 : DType::kF32, config.added > 0));
        for (const compile::HoistedPart& part : hoisted.parts)
          if (!part.names.empty()) verify(part.graph);
        verify(hoisted.rest);
        const auto backend = open_backend(setting.device);
        const Tensor right = run_once(*backend, plain, weights, inputs, {.precision = setting.precision});
        const Tensor found = run_hoisted(*backend, hoisted, weights, named(plain, inputs), setting.precision);
        // A sum of two parts' values is fused with neither: in bf16 it is rounded once more.
        EXPECT_TRUE(bf16 && config.added ? relative_rms(found, right) < 3e-2 : same_bits(found, right))
            << setting.device << (bf16 ? " bf16, " : " fp32, ") << copies << " copies: " << relative_rms(found, right);
      }
    }
}

// Parts for one row, run row by row, serve a step of many. So do those of the smallest latent.
TEST(Hoist, names_do_not_depend_on_rows_copies_and_size) {
  for (const UnetConfig& config : configs()) {
    const auto of = [&](const LatentSize& size) {
      return compile::hoist(compile::sink_repeat(unet_graph(config, size)), unet_groups());
    };
    const compile::Hoisted one = of({1, 8, 8, 5}), many = of({3, 16, 8, 5, 2}), least = of({1, 1, 1, 5});
    for (size_t group = 0; group < one.parts.size(); ++group) {
      EXPECT_EQ(one.parts[group].names, many.parts[group].names);
      EXPECT_EQ(one.parts[group].names, least.parts[group].names);
      EXPECT_EQ(print(one.parts[group].graph), print(least.parts[group].graph));
    }
  }
}

TEST(Hoist, carries_bf16_through_every_backend) {
  const Graph plain = unet_graph(tiny_unet(), {1, 8, 8, 5, 2});
  const Weights weights = random_weights(plain);
  const std::vector<Tensor> inputs = random_inputs(plain);
  const compile::Hoisted hoisted = compile::hoist(compile::sink_repeat(plain), unet_groups(DType::kBF16));
  for (const Graph& part :
       {hoisted.parts[0].graph, compile::choose_precision(compile::fuse(hoisted.parts[0].graph), DType::kBF16)})
    for (const int id : part.outputs()) EXPECT_EQ(part.node(id).type, DType::kBF16);
  for (const Setting& setting : kSettings) {
    const auto backend = open_backend(setting.device);
    const Tensor right = run_once(*backend, plain, weights, inputs, {.precision = setting.precision});
    const Tensor found = run_hoisted(*backend, hoisted, weights, named(plain, inputs), setting.precision);
    EXPECT_LE(relative_rms(found, right), setting.precision == Precision::kBf16 ? 0 : 1e-2);
    EXPECT_NE(relative_rms(found, right) > 0, setting.precision == Precision::kBf16);
  }
}

TEST(Hoist, of_the_published_unet_takes_out_what_is_known_before_the_step) {
  const Graph plain = unet_graph({}, {1, 64, 64, 77, 2}), sunk = compile::sink_repeat(plain);
  const compile::Hoisted hoisted = compile::hoist(sunk, unet_groups());
  EXPECT_EQ(hoisted.parts[0].names.size(), 32u);  // keys and values of 16 cross-attentions
  EXPECT_EQ(hoisted.parts[1].names.size(), 22u);  // one for each resnet
  EXPECT_EQ(hoisted.parts[0].names[0], "hoisted.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k");
  for (const NamedShape& weight : weights_of(hoisted.rest)) {
    EXPECT_EQ(weight.name.find("time_em"), std::string::npos) << weight.name;
    EXPECT_EQ(weight.name.find("attn2.to_k"), std::string::npos) << weight.name;
    EXPECT_EQ(weight.name.find("attn2.to_v"), std::string::npos) << weight.name;
  }
  int64_t all = parameters(hoisted.rest);
  for (const compile::HoistedPart& part : hoisted.parts) all += parameters(part.graph);
  EXPECT_EQ(all, 859'520'964);
  const std::vector<NamedShape> left = inputs_of(hoisted.rest);
  EXPECT_EQ(left.size(), 1u + 32 + 22);
  EXPECT_EQ(left[0].name, "latent");
  EXPECT_EQ(left[1].name, hoisted.parts[0].names[0]);
  EXPECT_EQ(left[33].name, hoisted.parts[1].names[0]);
  // Multiply-adds in units of 10^9.
  const auto work = [](const Graph& graph) { return flops(graph) / 2e9; };
  EXPECT_NEAR(work(plain), 803.3, 0.05);
  // the trunk, the first query, the time embeddings
  EXPECT_NEAR(work(plain) - work(sunk), 20.43 + 0.42 + 0.03, 0.005);
  EXPECT_NEAR(work(hoisted.parts[0].graph), 2.95, 0.01);
  EXPECT_NEAR(work(sunk) - work(hoisted.rest), work(hoisted.parts[0].graph) + work(hoisted.parts[1].graph), 1e-6);
}

TEST(Hoist, leaves_what_is_no_work_and_what_several_groups_decide) {
  Graph g;
  const Value a = input(g, "a", {2, 4}), b = input(g, "b", {2, 4}), c = input(g, "c", {2, 4});
  const Value cheap = silu(reshape(a, {2, 2, 2})), both = linear({&g, "both"}, a + b, 4);
  const Value worth = linear({&g, "worth"}, b, 4);
  const Value results[] = {reshape(cheap, {2, 4}) + both + worth * c, worth};
  const std::vector<compile::HoistGroup> groups{{{"a", "absent"}}, {{"b"}}};
  const compile::Hoisted hoisted = compile::hoist(finish(g, results), groups);
  EXPECT_TRUE(hoisted.parts[0].names.empty());
  EXPECT_EQ(hoisted.parts[1].names, std::vector<std::string>{"hoisted.worth"});
  std::vector<std::string> names;
  for (const NamedShape& left : inputs_of(hoisted.rest)) names.push_back(left.name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c", "hoisted.worth"}));
  EXPECT_EQ(name_of(hoisted.rest.node(hoisted.rest.outputs()[1]).op), "input");
}

TEST(Hoist, refuses_to_carry_in_a_type_that_is_none) {
  const std::vector<compile::HoistGroup> groups{{{"text"}, DType::kI32}};
  EXPECT_THROW(compile::hoist(unet_graph(tiny_unet(), {1, 8, 8, 5}), groups), Error);
}

}  // namespace
}  // namespace inkstone
