// An export of the demo model: every node is one that ATC takes, the manifest says what the engine will ask for, and a folder that
// is somebody else's stays as it is.
#include "app/export_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "app/calibration.h"
#include "base/digest.h"
#include "base/error.h"
#include "diffusion/unet_parts.h"
#include "models/clip.h"
#include "models/vae.h"
#include "onnx/read_model.h"
#include "support/scratch_folder.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const fs::path kDemo = fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model";
const auto kSilent = [](const std::string&) {};

class Export : public testing::Test {
 protected:
  Export() : model_(Pipeline::open(kDemo)) { choice_.graphs.sizes = {{64, 32}}; }
  Manifest run() { return export_model(model_, choice_, folder_.path(), kSilent); }
  const GraphRecord& find(const Manifest& manifest, const std::string& name) const {
    for (const GraphRecord& graph : manifest.graphs)
      if (graph.name == name) return graph;
    fail(INKSTONE_HERE, {"no graph ", name});
  }

  Pipeline model_;
  ExportChoice choice_;
  ScratchFolder folder_;
};

TEST_F(Export, writes_only_nodes_that_atc_takes_at_every_opset_and_choice) {
  for (const int opset : {14, 15, 16, 17})
    for (const bool open_rows : {false, true}) {
      choice_.opset = opset;
      choice_.attention_heads = open_rows ? 1 : 0;
      choice_.precision = open_rows ? "fp16" : "fp32";
      choice_.graphs = {{{64, 32}}, {1, 2}, 2, open_rows, 4, true};
      for (const GraphRecord& graph : run().graphs) {
        SCOPED_TRACE(graph.name);
        const onnx::ModelProto file = read_model(folder_.path() / graph.onnx.file);
        expect_atc_takes(file);
        ASSERT_EQ(static_cast<size_t>(file.graph().input_size()), graph.inputs.size());
        for (size_t i = 0; i < graph.inputs.size(); ++i)
          EXPECT_EQ(file.graph().input(static_cast<int>(i)).name(), graph.inputs[i].name);
      }
    }
}

TEST_F(Export, names_the_graphs_that_the_engine_compiles) {
  choice_.graphs.batches = {1, 2};
  const Manifest manifest = run();
  const auto unet = [&](int rows, int cfg_copies) {
    return unet_parts(model_.unet_config, {rows, 8, 16, model_.tokens(), cfg_copies}, DType::kF32);
  };
  EXPECT_EQ(find(manifest, "text_encoder").gears.at(0).graph, identity(clip_graph(model_.text_encoders[0].config, 1)));
  EXPECT_EQ(find(manifest, "unet_prompt").gears.at(0).graph, identity(unet(1, 1).part(DependsOn::kPrompt).graph));
  EXPECT_EQ(find(manifest, "unet_time").gears.at(0).graph, identity(unet(1, 1).part(DependsOn::kTimestep).graph));
  EXPECT_EQ(find(manifest, "unet_step_64x32_b1").gears.at(0).graph, identity(unet(1, 1).step));
  EXPECT_EQ(find(manifest, "unet_step_64x32_b2_guided").gears.at(0).graph, identity(unet(2, 2).step));
  EXPECT_EQ(find(manifest, "vae_decoder_64x32").gears.at(0).graph,
            identity(vae_decoder_graph(model_.vae_config, 1, 8, 16)));
  choice_.graphs.open_rows = true;
  choice_.graphs.batches = {2, 1};
  const GraphRecord step = find(run(), "unet_step_64x32_guided");
  ASSERT_EQ(step.gears.size(), 2u);
  EXPECT_EQ(step.gears[0].batch, 1);
  EXPECT_EQ(step.gears[0].graph, identity(unet(1, 2).step));
  EXPECT_EQ(step.gears[1].graph, identity(unet(2, 2).step));
  EXPECT_EQ(step.inputs[0].shape, (Shape{-1, 4, 8, 16}));
  EXPECT_EQ(step.gears[1].inputs[0], (Shape{2, 4, 8, 16}));
  EXPECT_EQ(step.gears[1].outputs[0], (Shape{4, 4, 8, 16}));
}

TEST_F(Export, keeps_in_fp32_what_fp16_cannot_hold) {
  const Manifest manifest = run();
  EXPECT_EQ(manifest.precision, "fp16");
  for (const GraphRecord& graph : manifest.graphs) {
    const onnx::ModelProto file = read_model(folder_.path() / graph.onnx.file);
    const bool half = graph.part == "text_encoder" || graph.part == "prompt" || graph.part == "step";
    for (const onnx::TensorProto& tensor : file.graph().initializer())
      if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
        EXPECT_EQ(tensor.data_type(), half ? onnx::TensorProto::FLOAT16 : onnx::TensorProto::FLOAT) << graph.name;
      }
    for (const Port& port : graph.inputs) EXPECT_EQ(port.type, port.name == "ids" ? DType::kI32 : DType::kF32);
    const size_t nodes = static_cast<size_t>(file.graph().node_size());
    if (graph.part == "time") {
      EXPECT_EQ(graph.fp32_nodes.size(), nodes);
    }
    if (graph.part == "vae_decoder") {
      EXPECT_THAT(graph.fp32_nodes, Contains(HasSubstr("InstanceNormalization")));
      EXPECT_LT(graph.fp32_nodes.size(), nodes);
    }
    if (half) {
      EXPECT_THAT(graph.fp32_nodes, IsEmpty());
    }
  }
}

TEST_F(Export, has_steps_for_long_prompts_where_they_are_asked_for) {
  EXPECT_EQ(run().graphs.size(), 6u);
  choice_.graphs.prompt_chunks = 3;
  const Manifest manifest = run();
  EXPECT_EQ(manifest.graphs.size(), 10u);
  const GraphRecord step = find(manifest, "unet_step_64x32_b1_c3_guided");
  EXPECT_EQ(step.prompt_chunks, 3);
  const LatentSize size{1, 8, 16, 3 * model_.tokens(), 2};
  EXPECT_EQ(step.gears.at(0).graph, identity(unet_parts(model_.unet_config, size, DType::kF32).step));
  EXPECT_EQ(Manifest::read(folder_.path()).graphs.back().name, manifest.graphs.back().name);
}

// Its values are more than fp16 holds between the norms, too.
TEST_F(Export, keeps_all_of_sdxl_s_vae_in_fp32) {
  model_ = Pipeline::open(fs::path(INKSTONE_SOURCE_DIR) / "tests/fixtures/models/tiny-sdxl");
  choice_.graphs.sizes = {{32, 32}};
  const auto decoder = [&] { return find(run(), "vae_decoder_32x32"); };
  const GraphRecord whole = decoder();
  EXPECT_TRUE(whole.all_fp32);
  EXPECT_EQ(whole.fp32_nodes.size(),
            static_cast<size_t>(read_model(folder_.path() / whole.onnx.file).graph().node_size()));
  EXPECT_TRUE(Manifest::read(folder_.path()).graphs.back().all_fp32);
  model_.vae_config.force_upcast = false;  // one that was trained not to
  EXPECT_FALSE(decoder().all_fp32);
}

TEST_F(Export, gives_the_same_bytes_each_time_and_removes_what_it_no_longer_writes) {
  const Manifest first = run();
  std::map<std::string, std::string> digests;
  for (const std::string& name : folder_.names()) digests[name] = sha256(text_of(folder_.path() / name));
  run();
  for (const auto& [name, digest] : digests) EXPECT_EQ(sha256(text_of(folder_.path() / name)), digest) << name;
  EXPECT_EQ(first.graphs[0].onnx.sha256, digests.at(first.graphs[0].onnx.file));
  EXPECT_EQ(first.weights[0].sha256, digests.at(first.weights[0].file));
  folder_.write("mine.txt", "kept");
  choice_.graphs.sizes = {{32, 32}};
  run();
  EXPECT_THAT(folder_.names(), Not(Contains("unet_step_64x32_b1.onnx")));
  EXPECT_THAT(folder_.names(), Contains("mine.txt"));
}

TEST_F(Export, leaves_the_folders_of_others_alone) {
  ScratchFolder empty;
  EXPECT_NO_THROW(claim_export_folder(empty.path() / "new" / "deep", "demo"));
  run();
  EXPECT_NO_THROW(claim_export_folder(folder_.path(), model_.name()));
  EXPECT_THROW(claim_export_folder(folder_.path(), "another"), UsageError);
  ScratchFolder other;
  other.write("thesis.txt", "mine");
  EXPECT_THROW(claim_export_folder(other.path(), "demo"), UsageError);
  EXPECT_THROW(claim_export_folder(other.path() / "thesis.txt", "demo"), Error);
}

TEST_F(Export, refuses_sizes_that_the_model_cannot_draw) {
  for (const ImageSize size : {ImageSize{62, 64}, ImageSize{64, 0}}) {
    choice_.graphs.sizes = {size};
    EXPECT_THROW(run(), UsageError);
  }
}

TEST_F(Export, calibrates_with_what_a_prompt_gives_to_every_port) {
  choice_.graphs.sizes = {{32, 32}};
  const std::vector<std::string> prompts{"a red apple", "a fox"};
  const Manifest manifest = run();
  write_calibration(Pipeline::open(kDemo), prompts, manifest, folder_.path(), kSilent);
  for (const auto& [name, samples] : {std::pair{"unet_step_32x32_b1_guided", 8}, {"vae_decoder_32x32", 2}}) {
    const GraphRecord& graph = find(manifest, name);
    for (size_t i = 0; i < graph.inputs.size(); ++i)
      for (int n = 0; n < samples; ++n) {
        const fs::path file =
            folder_.path() / "calibration" / name / graph.inputs[i].name / ("00" + std::to_string(n) + ".bin");
        ASSERT_TRUE(fs::exists(file)) << file;
        EXPECT_EQ(fs::file_size(file), bytes(graph.gears[0].inputs[i], graph.inputs[i].type)) << file;
      }
  }
  EXPECT_THAT(text_of(folder_.path() / "calibration" / "index.json"), HasSubstr("a fox"));
}

TEST(CalibrationPrompts, are_the_lines_that_are_not_blank) {
  ScratchFolder folder;
  folder.write("prompts.txt", "a red apple\n\n  \na fox\r\n");
  EXPECT_THAT(calibration_prompts(folder.path() / "prompts.txt"), testing::ElementsAre("a red apple", "a fox"));
  folder.write("empty.txt", "\n\n");
  EXPECT_THROW(calibration_prompts(folder.path() / "empty.txt"), UsageError);
  EXPECT_THROW(calibration_prompts(folder.path() / "none.txt"), Error);
}

}  // namespace
}  // namespace inkstone
