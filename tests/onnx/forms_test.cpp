// Each op in the node forms that ATC takes: types, attributes, and for open rows no constant that
// holds their number.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "base/error.h"
#include "models/layers.h"
#include "onnx/export.h"
#include "onnx/read_model.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAreArray;
using testing::HasSubstr;

Weights ones_for(const Graph& graph) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<WeightSpec> specs;
  for (const NamedShape& weight : weights_of(graph)) {
    tensors.emplace_back(weight.name, Tensor(weight.shape));
    std::ranges::fill(tensors.back().second.floats(), 1.0f);
    specs.push_back({weight.name, weight.shape});
  }
  Weights weights = Weights::of(std::move(tensors));
  weights.bind(specs);
  return weights;
}

using Write = std::function<Value(Scope, Value)>;

Graph graph_of(const Shape& shape, const Write& write, DType type = DType::kF32) {
  Graph graph;
  const Value x = input(graph, "x", shape, type);
  return finish(graph, write({&graph, "w"}, x));
}

class OnnxForms : public testing::Test {
 protected:
  OnnxForms() : folder_(fs::path(testing::TempDir()) / ("onnx_forms_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~OnnxForms() override { fs::remove_all(folder_); }

  onnx::ModelProto exported(const Graph& graph, const OnnxOptions& options = {}, const Graph* other = nullptr) {
    const Weights weights = ones_for(graph);
    OnnxExport out(weights, options, "g.bin");
    if (other)
      out.add_of_any_rows(graph, *other, {}, "g.onnx");
    else
      out.add(graph, {}, "g.onnx");
    out.write(folder_);
    onnx::ModelProto model = read_model(folder_ / "g.onnx");
    expect_atc_takes(model);
    return model;
  }

  fs::path folder_;
};

std::vector<std::string> ops_of(const onnx::ModelProto& model) {
  std::vector<std::string> ops;
  for (const onnx::NodeProto& node : model.graph().node()) ops.push_back(node.op_type());
  return ops;
}

struct Row {
  const char* name;
  Shape shape;  // rows first
  Write write;
  std::vector<std::string> ops, ops_of_14;  // the second where it differs
};

const std::vector<Row>& rows() {
  using W = std::vector<std::string>;
  static const W kSilu{"Sigmoid", "Mul"}, kGelu{"Div", "Erf", "Add", "Mul", "Mul"};
  static const std::vector<Row> kRows{
      {"linear", {2, 3, 4}, [](Scope s, Value x) { return linear(s, x, 5); }, {"MatMul", "Add"}, {}},
      {"conv", {2, 3, 4, 4}, [](Scope s, Value x) { return conv(s, x, 5, 3, 2); }, {"Conv"}, {}},
      {"group_norm",
       {2, 4, 3, 3},
       [](Scope s, Value x) { return group_norm(s, x, 2, 1e-5f); },
       {"Reshape", "InstanceNormalization", "Reshape", "Mul", "Add"},
       {}},
      {"layer_norm",
       {2, 3, 4},
       [](Scope s, Value x) { return layer_norm(s, x); },
       {"LayerNormalization"},
       {"ReduceMean", "Sub", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Mul", "Add"}},
      {"attention",
       {2, 3, 4},
       [](Scope, Value x) { return attention(x, x, x, 2); },
       {"Mul", "Reshape", "Transpose", "Reshape", "Transpose", "Reshape", "Transpose", "MatMul", "Softmax", "MatMul",
        "Transpose", "Reshape"},
       {}},
      {"attention_of_one_head",
       {2, 3, 4},
       [](Scope, Value x) { return attention(x, x, x, 1); },
       {"Mul", "Transpose", "MatMul", "Softmax", "MatMul"},
       {}},
      {"silu", {2, 3}, [](Scope, Value x) { return silu(x); }, kSilu, {}},
      {"gelu", {2, 3}, [](Scope, Value x) { return activate(x, Activation::kGelu); }, kGelu, {}},
      {"quick_gelu",
       {2, 3},
       [](Scope, Value x) { return activate(x, Activation::kQuickGelu); },
       {"Mul", "Sigmoid", "Mul"},
       {}},
      {"relu", {2, 3}, [](Scope, Value x) { return activate(x, Activation::kRelu); }, {"Relu"}, {}},
      {"leaky_relu", {2, 3}, [](Scope, Value x) { return activate(x, Activation::kLeakyRelu); }, {"LeakyRelu"}, {}},
      {"slice", {2, 6}, [](Scope, Value x) { return slice(x, 1, 2, 5); }, {"Slice"}, {}},
      {"concat", {2, 6}, [](Scope, Value x) { return concat(x, x, 1); }, {"Concat"}, {}},
      {"to_tokens", {2, 3, 4, 5}, [](Scope, Value x) { return to_tokens(x); }, {"Reshape", "Transpose"}, {}},
      {"to_image", {2, 20, 3}, [](Scope, Value x) { return to_image(x, 4, 5); }, {"Transpose", "Reshape"}, {}},
      {"upsample2x", {2, 3, 4, 5}, [](Scope, Value x) { return upsample2x(x); }, {"Resize"}, {}},
      {"upsample2x_odd", {2, 3, 4, 5}, [](Scope, Value x) { return upsample2x(x, 8, 9); }, {"Resize", "Slice"}, {}},
      {"repeat", {2, 3, 4}, [](Scope, Value x) { return repeat(x, 2); }, {"Reshape", "Expand", "Reshape"}, {}},
  };
  return kRows;
}

TEST_F(OnnxForms, an_op_is_written_in_the_nodes_that_atc_registers) {
  for (const Row& row : rows())
    for (const int opset : {14, 17}) {
      SCOPED_TRACE(std::string(row.name) + " opset " + std::to_string(opset));
      const auto& right = opset == 14 && !row.ops_of_14.empty() ? row.ops_of_14 : row.ops;
      OnnxOptions options;
      options.opset = opset;
      EXPECT_THAT(ops_of(exported(graph_of(row.shape, row.write), options)), ElementsAreArray(right));
    }
}

// A constant that held the number of rows would be found in a Reshape, an Expand or a Resize.
TEST_F(OnnxForms, open_rows_stand_in_no_constant) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.name);
    Shape many = row.shape;
    // a number that no other size has
    many[0] = 7;
    Shape more = row.shape;
    more[0] = 11;
    const Graph graph = graph_of(many, row.write), other = graph_of(more, row.write);
    const onnx::ModelProto model = exported(graph, {}, &other);
    EXPECT_TRUE(model.graph().input(0).type().tensor_type().shape().dim(0).has_dim_param());
    EXPECT_TRUE(model.graph().output(0).type().tensor_type().shape().dim(0).has_dim_param());
    for (const onnx::TensorProto& tensor : model.graph().initializer()) {
      if (tensor.data_type() != onnx::TensorProto::INT64) continue;
      const auto* values = reinterpret_cast<const int64_t*>(tensor.raw_data().data());
      for (size_t i = 0; i < tensor.raw_data().size() / sizeof(int64_t); ++i) {
        EXPECT_NE(values[i], 7);
        EXPECT_NE(values[i], 14);
      }
    }
  }
}

TEST_F(OnnxForms, graphs_that_differ_by_more_than_rows_are_refused) {
  const Write same = [](Scope, Value x) { return silu(x); };
  const Graph graph = graph_of({2, 3}, same), wider = graph_of({3, 4}, same),
              another = graph_of({3, 3}, [](Scope, Value x) { return x + x; });
  for (const Graph* other : {&wider, &another}) EXPECT_THROW(exported(graph, {}, other), Error);
}

TEST_F(OnnxForms, a_conv_says_all_of_its_attributes) {
  const onnx::ModelProto model =
      exported(graph_of({1, 3, 8, 8}, [](Scope s, Value x) { return conv_right_bottom(s, x, 5); }));
  std::map<std::string, std::vector<int64_t>> ints;
  for (const onnx::AttributeProto& attribute : model.graph().node(0).attribute())
    ints[attribute.name()] = {attribute.ints().begin(), attribute.ints().end()};
  EXPECT_EQ(ints.at("pads"), (std::vector<int64_t>{0, 0, 1, 1}));
  EXPECT_EQ(ints.at("strides"), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(ints.at("kernel_shape"), (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(ints.at("dilations"), (std::vector<int64_t>{1, 1}));
  EXPECT_TRUE(ints.contains("group"));
}

TEST_F(OnnxForms, attention_in_slices_splits_by_explicit_sizes) {
  OnnxOptions options;
  options.attention_heads = 2;
  const onnx::ModelProto model =
      exported(graph_of({1, 3, 10}, [](Scope, Value x) { return attention(x, x, x, 5); }), options);
  int splits = 0, softmaxes = 0;
  for (const onnx::NodeProto& node : model.graph().node()) {
    softmaxes += node.op_type() == "Softmax";
    if (node.op_type() != "Split") continue;
    ++splits;
    EXPECT_EQ(node.input_size(), 2);
    EXPECT_EQ(node.output_size(), 3);
  }
  EXPECT_EQ(splits, 3);
  EXPECT_EQ(softmaxes, 3);
}

TEST_F(OnnxForms, a_file_in_fp16_takes_and_gives_fp32) {
  OnnxOptions options;
  options.type = DType::kF16;
  const onnx::ModelProto model = exported(graph_of({2, 4}, [](Scope s, Value x) { return linear(s, x, 3); }), options);
  EXPECT_EQ(model.graph().input(0).type().tensor_type().elem_type(), onnx::TensorProto::FLOAT);
  EXPECT_EQ(model.graph().output(0).type().tensor_type().elem_type(), onnx::TensorProto::FLOAT);
  EXPECT_THAT(ops_of(model), testing::ElementsAre("Cast", "MatMul", "Add", "Cast"));
  for (const onnx::TensorProto& weight : model.graph().initializer())
    EXPECT_EQ(weight.data_type(), onnx::TensorProto::FLOAT16);
}

TEST_F(OnnxForms, a_timestep_is_never_fp16) {
  OnnxOptions options;
  options.type = DType::kF16;
  options.int32_inputs = {"x"};
  const auto write = [](Scope s, Value t) { return linear(s, time_embedding(t, {8}), 3); };
  onnx::ModelProto model = exported(graph_of({1}, write), options);
  EXPECT_EQ(model.graph().input(0).type().tensor_type().elem_type(), onnx::TensorProto::INT32);
  options.int32_inputs.clear();
  model = exported(graph_of({1}, write), options);
  EXPECT_THAT(ops_of(model),
              testing::ElementsAre("Reshape", "Mul", "Sin", "Cos", "Concat", "Cast", "MatMul", "Add", "Cast"));
}

TEST_F(OnnxForms, options_that_atc_does_not_take_are_refused) {
  const Graph graph = graph_of({2, 4}, [](Scope, Value x) { return silu(x); });
  std::vector<OnnxOptions> refused(4);
  refused[0].opset = 13;
  refused[1].opset = 18;
  refused[2].type = DType::kBF16;
  refused[3].attention_heads = -1;
  for (const OnnxOptions& options : refused) EXPECT_THROW(exported(graph, options), UsageError);
  const Graph large = graph_of({2, 4}, [](Scope s, Value x) { return x + constant(*s.graph, {70000}, {1, 1}); });
  EXPECT_THROW(exported(large), Error);
}

}  // namespace
}  // namespace inkstone
