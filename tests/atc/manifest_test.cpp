// The manifest: what is written is read again, and what is wrong in it is named.
#include "atc/manifest.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

Manifest example() {
  Manifest manifest{"0.1.0", "demo", "fp16", 17, {{"unet.bin", 10, "aa"}}, {}};
  GraphRecord graph;
  graph.name = "unet_step_512x512_b1_guided";
  graph.component = "unet";
  graph.part = "step";
  graph.width = graph.height = 512;
  graph.cfg_copies = 2;
  graph.onnx = {"a.onnx", 5, "bb"};
  graph.weights = "unet.bin";
  graph.fingerprint = "cc";
  graph.inputs = {{"latent", {-1, 4, 64, 64}, DType::kF32}};
  graph.outputs = {{"noise", {-1, 4, 64, 64}, DType::kF32}};
  graph.gears = {{1, "g1", {{1, 4, 64, 64}}, {{2, 4, 64, 64}}}, {2, "g2", {{2, 4, 64, 64}}, {{4, 4, 64, 64}}}};
  graph.fp32_nodes = {"Norm_1"};
  graph.compiled = Compiled{{"a.om", 7, "dd"}, "Ascend910B4", "8.1.RC1", 100, 200, {"--framework=5"}};
  manifest.graphs = {graph};
  return manifest;
}

class ManifestTest : public testing::Test {
 protected:
  ManifestTest() : folder_(fs::path(testing::TempDir()) / ("manifest_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~ManifestTest() override { fs::remove_all(folder_); }
  std::string text() const { return read_file(folder_ / kManifestName, 1 << 20); }
  void put(const std::string& text) const {
    write_file(folder_ / kManifestName, std::as_bytes(std::span(text.data(), text.size())));
  }
  fs::path folder_;
};

TEST_F(ManifestTest, is_read_as_it_was_written) {
  example().write(folder_);
  const std::string first = text();
  const Manifest read = Manifest::read(folder_);
  EXPECT_EQ(read.graphs.at(0).gears.at(1).graph, "g2");
  EXPECT_EQ(read.graphs[0].compiled->work_bytes, 100u);
  EXPECT_EQ(read.graphs[0].fp32_nodes, std::vector<std::string>{"Norm_1"});
  read.write(folder_);
  EXPECT_EQ(text(), first);
}

TEST_F(ManifestTest, what_is_wrong_is_named) {
  const std::pair<const char*, const char*> rows[] = {{"\"version\":1", "\"version\":2"},
                                                      {"\"part\":\"step\"", "\"part\":7"},
                                                      {"\"file\":\"a.om\"", "\"file\":\"../a.om\""},
                                                      {"\"batch\":2", "\"batch\":0"},
                                                      {"\"type\":\"fp32\"", "\"type\":\"fp12\""},
                                                      {"\"opset\":17,", ""},
                                                      {"\"work_bytes\":100", "\"work_bytes\":-1"}};
  example().write(folder_);
  const std::string good = text();
  for (const auto& [from, to] : rows) {
    std::string bad = good;
    const size_t at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    put(bad.replace(at, std::string(from).size(), to));
    try {
      Manifest::read(folder_);
      ADD_FAILURE() << to;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(kManifestName), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace inkstone
