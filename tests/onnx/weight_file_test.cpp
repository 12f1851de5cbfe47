// External data: where the file says a weight stands, its numbers stand; what fp16 cannot hold is
// named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"
#include "models/layers.h"
#include "onnx/export.h"
#include "onnx/read_model.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

struct Example {
  Graph graph;
  Weights weights;
};

Example example(float largest = 2) {
  Graph graph;
  const Value x = input(graph, "x", {2, 300});
  Example made{finish(graph, linear({&graph, "a"}, x, 40)), {}};
  std::vector<std::pair<std::string, Tensor>> tensors;
  tensors.emplace_back("a.weight", Tensor({40, 300}));
  tensors.emplace_back("a.bias", Tensor({40}));
  for (auto& [name, tensor] : tensors)
    for (int64_t i = 0; i < tensor.size(); ++i) tensor.floats()[i] = static_cast<float>(i % 97) / 8;
  tensors[0].second.floats()[301] = largest;
  made.weights = Weights::of(std::move(tensors));
  const WeightSpec specs[] = {{"a.weight", {40, 300}}, {"a.bias", {40}}};
  made.weights.bind(specs);
  return made;
}

class OnnxWeights : public testing::Test {
 protected:
  OnnxWeights() : folder_(fs::path(testing::TempDir()) / ("onnx_weights_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~OnnxWeights() override { fs::remove_all(folder_); }

  std::vector<OnnxFile> write(const Example& made, DType type) {
    OnnxOptions options;
    options.type = type;
    OnnxExport out(made.weights, options, "w.bin");
    out.add(made.graph, {}, "one.onnx");
    out.add(made.graph, {}, "two.onnx");
    return out.write(folder_);
  }

  fs::path folder_;
};

float number_at(const std::string& bytes, size_t offset, size_t i, DType type) {
  float value = 0;
  if (type == DType::kF32)
    std::memcpy(&value, bytes.data() + offset + i * 4, 4);
  else
    to_float(type, reinterpret_cast<const std::byte*>(bytes.data()) + offset + i * 2, &value, 1);
  return value;
}

TEST_F(OnnxWeights, stand_where_the_graph_says_and_once_for_all_graphs) {
  for (const DType type : {DType::kF32, DType::kF16}) {
    const Example made = example();
    const std::vector<OnnxFile> files = write(made, type);
    const std::string bytes = read_file(folder_ / "w.bin", 1 << 20);
    EXPECT_EQ(files.back().bytes, bytes.size());
    EXPECT_LE(bytes.size(), 40 * 301 * size_of(type) + 4096);  // not once for each graph
    for (const char* name : {"one.onnx", "two.onnx"}) {
      const onnx::ModelProto model = read_model(folder_ / name);
      for (const onnx::TensorProto& tensor : model.graph().initializer()) {
        std::map<std::string, std::string> at;
        for (const auto& entry : tensor.external_data()) at[entry.key()] = entry.value();
        EXPECT_EQ(at.at("location"), "w.bin");
        const size_t offset = std::stoull(at.at("offset")), length = std::stoull(at.at("length"));
        EXPECT_EQ(offset % 4096, 0u);
        ASSERT_LE(offset + length, bytes.size());
        const bool matrix = tensor.dims_size() == 2;
        const size_t rows = matrix ? 40 : 1, columns = matrix ? 300 : 40;
        ASSERT_EQ(length, rows * columns * size_of(type));
        if (matrix) {
          EXPECT_EQ(tensor.dims(0), 300);  // transposed for MatMul
        }
        const Tensor right = made.weights.read(matrix ? "a.weight" : "a.bias");
        for (size_t r = 0; r < rows; ++r)
          for (size_t c = 0; c < columns; ++c)
            ASSERT_EQ(number_at(bytes, offset, c * rows + r, type), right.floats()[r * columns + c]) << r << " " << c;
      }
    }
  }
}

TEST_F(OnnxWeights, are_the_same_bytes_each_time) {
  const Example made = example();
  const std::vector<OnnxFile> first = write(made, DType::kF16);
  const std::string graph = read_file(folder_ / "one.onnx", 1 << 20), bytes = read_file(folder_ / "w.bin", 1 << 20);
  const std::vector<OnnxFile> second = write(made, DType::kF16);
  EXPECT_EQ(read_file(folder_ / "one.onnx", 1 << 20), graph);
  EXPECT_EQ(read_file(folder_ / "w.bin", 1 << 20), bytes);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].sha256, second[i].sha256);
}

TEST_F(OnnxWeights, outside_of_fp16_are_named_with_their_place) {
  const Example made = example(70000);
  write(made, DType::kF32);
  try {
    write(made, DType::kF16);
    FAIL() << "70000 is no fp16";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("a.weight"), HasSubstr("70000"), HasSubstr("element 301"), HasSubstr("--precision")));
  }
}

TEST_F(OnnxWeights, that_cannot_be_written_are_an_error_with_the_file) {
  const Example made = example();
  folder_ = folder_ / "none";
  try {
    write(made, DType::kF32);
    FAIL() << "there is no such folder";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("w.bin"), HasSubstr("no folder")));
  }
}

}  // namespace
}  // namespace inkstone
