// What the CPU backend keeps in memory: one workspace, weights in the model's files, and no more of
// them than is allowed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "backend/cpu/cpu.h"
#include "backend/cpu/workspace.h"
#include "backend/precisions.h"
#include "base/error.h"
#include "base/file.h"
#include "random_model.h"
#include "weights/safetensors.h"

namespace inkstone {
namespace {

TEST(Workspace, grows_where_it_is_and_keeps_what_it_holds) {
  cpu::Workspace workspace;
  std::byte* const begin = workspace.grow(100);
  begin[99] = std::byte{7};
  EXPECT_EQ(workspace.grow(size_t{64} << 20), begin);
  EXPECT_EQ(begin[99], std::byte{7});
  begin[(size_t{64} << 20) - 1] = std::byte{1};
  EXPECT_EQ(workspace.grow(1), begin);
  workspace.trim();
  EXPECT_EQ(begin[99], std::byte{0});
  EXPECT_THROW(workspace.grow(size_t{1} << 60), Error);
}

constexpr int64_t kWidth = 1024, kLayers = 16, kRows = 3;
constexpr size_t kLayerBytes = 4 * kWidth * kWidth;

Graph chain() {
  Graph graph;
  Value x = graph.add(op::Input{"x"}, {}, {kRows, kWidth});
  for (int i = 0; i < kLayers; ++i)
    x = graph.add(op::Linear{.bias = false}, {x, graph.add(op::Weight{"w" + std::to_string(i)}, {}, {kWidth, kWidth})});
  return finish(graph, x);
}

size_t file_bytes_resident() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (size_t kib = 0; word == "RssFile:" && status >> kib) return kib << 10;
  return 0;
}

class ChainProgram : public testing::Test {
 protected:
  ChainProgram() {
    std::vector<StoredTensor> views;
    std::string data;
    for (int i = 0; i < kLayers; ++i) {
      const Tensor layer = random_tensor({kWidth, kWidth}, static_cast<uint32_t>(i), 1 / 32.0f);
      data.append(reinterpret_cast<const char*>(layer.data()), layer.bytes());
      views.push_back({"w" + std::to_string(i), layer.shape(), DType::kF32});
    }
    const std::string text = safetensors_header(views) + data;
    write_file(file_, std::as_bytes(std::span(text)));
    weights_ = Weights::open_files({file_});
  }
  ~ChainProgram() override { std::filesystem::remove(file_); }

  Tensor run(const CompileOptions& options, MemoryUse* use = nullptr) {
    const auto program = cpu_->compile(graph_, weights_, options);
    const Tensor x = random_tensor({kRows, kWidth}, 99);
    Tensor y({kRows, kWidth});
    const Tensor* const in[] = {&x};
    Tensor* const out[] = {&y};
    const size_t before = file_bytes_resident();
    program->run(in, out);
    grown_ = file_bytes_resident() - std::min(before, file_bytes_resident());
    if (use) *use = program->memory();
    program->release_pages();
    rested_ = file_bytes_resident() - std::min(before, file_bytes_resident());
    return y;
  }

  const std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("inkstone-mapped-" + std::to_string(::getpid()) + ".safetensors");
  const std::unique_ptr<Backend> cpu_ = open_cpu_backend();
  const Graph graph_ = chain();
  Weights weights_;
  size_t grown_ = 0, rested_ = 0;
};

class MappedProgram : public ChainProgram {
  void SetUp() override {
    if (uses_onednn(DType::kF32)) GTEST_SKIP() << "oneDNN reads packed weights, not the file's";
  }
};

TEST_F(MappedProgram, reads_weights_where_they_lie_and_gives_them_back_at_rest) {
  MemoryUse use;
  run({}, &use);
  EXPECT_EQ(use.mapped, kLayers * kLayerBytes);
  EXPECT_LT(use.weights, kLayerBytes) << "nothing was packed";
  EXPECT_GT(grown_, kLayers * kLayerBytes * 9 / 10);
  EXPECT_LT(rested_, kLayerBytes);
}

TEST_F(MappedProgram, keeps_to_a_limit_without_changing_a_bit) {
  const Tensor right = run({});
  for (const size_t layers : {0, 2, 5, 15}) {
    CompileOptions options;
    options.weights_limit = layers * kLayerBytes;
    MemoryUse use;
    const Tensor passed = run(options, &use);
    EXPECT_EQ(std::memcmp(passed.data(), right.data(), right.bytes()), 0) << layers;
    EXPECT_EQ(use.mapped, std::max<size_t>(1, layers) * kLayerBytes) << "one layer at a time is the least";
    EXPECT_EQ(cpu_->plan(graph_, weights_, options).mapped, use.mapped);
    EXPECT_LE(grown_, use.mapped + (kLayerBytes / 2)) << layers;
  }
}

// Where oneDNN multiplies, weights beyond the limit are packed for each call.
class PackedProgram : public ChainProgram {
  void SetUp() override {
    if (!uses_onednn(DType::kBF16)) GTEST_SKIP() << "our own products read the file's weights";
  }
};

TEST_F(PackedProgram, keeps_to_a_limit_without_changing_a_bit) {
  constexpr size_t kPacked = kLayerBytes / 2;  // of a layer in bf16
  CompileOptions options{.precision = Precision::kBf16};
  MemoryUse whole;
  const Tensor right = run(options, &whole);
  EXPECT_EQ(whole.weights, kLayers * kPacked);
  for (const size_t layers : {0, 4, 9}) {
    // While one is packed: its place, its elements as bf16, and as the file has them.
    options.weights_limit = (layers + 3) * kPacked;
    MemoryUse use;
    const Tensor passed = run(options, &use);
    EXPECT_EQ(std::memcmp(passed.data(), right.data(), right.bytes()), 0) << layers;
    EXPECT_EQ(use.weights, layers * kPacked);
    EXPECT_EQ(use.scratch, whole.scratch + 3 * kPacked);
    const MemoryUse planned = cpu_->plan(graph_, weights_, options);
    EXPECT_EQ(planned.weights, use.weights);
    EXPECT_EQ(planned.scratch, use.scratch);
  }
}

}  // namespace
}  // namespace inkstone
