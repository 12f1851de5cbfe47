#include <gtest/gtest.h>

#include <fstream>

#include "om_file.h"
#include "test_models.h"

using namespace ascend_sim;

namespace {

const std::string kBase = "--framework=5 --model=m.onnx --output=m --soc_version=Ascend910B4 ";

bool says(const AtcRun& run, const std::string& text) { return run.output.find(text) != std::string::npos; }

}  // namespace

TEST(Atc, writes_an_om_with_a_true_header) {
  const Folder folder;
  const AtcRun run = compile(folder, model_of({}));
  ASSERT_EQ(run.code, 0) << run.output;
  EXPECT_TRUE(says(run, "ATC run success, welcome to the next use."));
  EXPECT_TRUE(says(run, "simulated"));
  std::ifstream in(folder.path("m.om"), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  EXPECT_EQ(bytes.substr(0, 4), "IMOD");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data() + 184, 8);
  EXPECT_EQ(length, bytes.size() - 256);
  EXPECT_STREQ(bytes.data() + 160, "8.1.RC1-simulated");
}

TEST(Atc, refuses_wrong_flags) {
  const Folder folder;
  ASSERT_EQ(compile(folder, model_of({})).code, 0);
  const struct {
    std::string flags, code, text;
  } rows[] = {
      {"--model=m.onnx --output=m --framework=5", "E10007", "--soc_version"},
      {"--output=m --framework=5 --soc_version=Ascend910B4", "E10007", "--model"},
      {kBase + "--precision_mode=mixed_precision", "E10001", "allow_mix_precision"},
      {kBase + "--precision_mode=force_fp16 --precision_mode_v2=fp16", "E10001", "precision_mode_v2"},
      {kBase + "--no_such_flag=1", "E10001", "no_such_flag"},
      {"--framework=5 --model=m.onnx --output=m --soc_version=Ascend910B9", "E10001", "soc_version"},
      {"--framework=3 --model=m.onnx --output=m --soc_version=Ascend910B4", "E10001", "framework"},
      {kBase + "--input_shape=x", "E10002", "input_shape"},
      {kBase + "--input_shape=x:1,b", "E10002", "input_shape"},
      {kBase + "--input_shape=z:1,4", "E10016", "z"},
      {kBase + "--dynamic_batch_size=1,2 --dynamic_dims=1", "E10009", "mutually exclusive"},
      {kBase + "--keep_dtype=absent.cfg", "E10001", "absent.cfg"},
      {"--framework=5 --model=absent.onnx --output=m --soc_version=Ascend910B4", "E10001", "absent.onnx"},
  };
  for (const auto& row : rows) {
    const AtcRun run = run_atc(folder, row.flags);
    EXPECT_EQ(run.code, 1) << row.flags;
    EXPECT_TRUE(says(run, row.code + ":") && says(run, row.text) && says(run, "ATC run failed")) << row.flags << "\n"
                                                                                                 << run.output;
    EXPECT_TRUE(says(run, "simulated"));
  }
}

TEST(Atc, refuses_models_that_the_parser_does_not_know) {
  const struct {
    ModelText text;
    std::string code, what;
  } rows[] = {
      {{.opset = 19}, "E16002", "ai.onnx::19::Add"},
      {{.nodes = {"GroupNormalization x one one -> y"}}, "E16002", "ai.onnx::17::GroupNormalization"},
      {{.opset = 16, .nodes = {"LayerNormalization x one one -> y"}}, "E16002", "ai.onnx::16::LayerNormalization"},
      {{.nodes = {"Conv x matrix -> y"}}, "E19999", "attribute"},
      {{.nodes = {"Concat x x -> y"}}, "E19999", "axis"},
      {{.nodes = {"MatMul x wide -> z", "Add z x -> y"}}, "E19999", "broadcast"},
      {{.inputs = {{"x", {-1, 4}}}}, "E10001", "[x]"},
  };
  for (const auto& row : rows) {
    const Folder folder;
    const AtcRun run = compile(folder, model_of(row.text));
    EXPECT_EQ(run.code, 1) << row.what;
    EXPECT_TRUE(says(run, row.code + ":") && says(run, row.what)) << row.what << "\n" << run.output;
  }
}

TEST(Atc, refuses_wrong_gears) {
  const Folder folder;
  const onnx::ModelProto model = model_of({.inputs = {{"x", {-1, 4}}}});
  const std::pair<std::string, std::string> rows[] = {
      {"--input_shape=x:-1,4 --dynamic_dims='1;2'", "E10043"},
      {"--input_format=ND --input_shape=x:-1,4 --dynamic_dims=1", "E10035"},
      {"--input_format=ND --input_shape=x:-1,4 --dynamic_dims='1,4;2,4'", "E10045"},
      {"--input_format=ND --input_shape=x:-1,4 --dynamic_dims='1;1'", "E10039"},
      {"--input_format=ND --input_shape=x:2,4 --dynamic_dims='1;2'", "E10040"},
      {"--input_shape=x:-1,4", "E10001"},
  };
  for (const auto& [flags, code] : rows) {
    const AtcRun run = compile(folder, model, flags);
    EXPECT_TRUE(run.code == 1 && says(run, code + ":")) << flags << "\n" << run.output;
  }
  EXPECT_EQ(compile(folder, model, "--input_format=ND --input_shape=x:-1,4 --dynamic_dims='1;2'").code, 0);
}

TEST(Atc, refuses_external_data_outside_its_file) {
  const Folder folder;
  onnx::ModelProto model = model_of({.nodes = {"MatMul x wide -> y"}});
  onnx::TensorProto& wide = *model.mutable_graph()->mutable_initializer(3);
  set_place(wide, {0, 1600, kFloat, "w.bin"});
  EXPECT_TRUE(says(compile(folder, model), "does not exist"));
  folder.write("w.bin", std::string(1599, '\0'));
  EXPECT_TRUE(says(compile(folder, model), "outside its file"));
  folder.write("w.bin", std::string(1600, '\0'));
  EXPECT_EQ(compile(folder, model).code, 0);
}

TEST(Atc, warns_of_constants_beyond_fp16_and_reads_precision_files) {
  const Folder folder;
  const onnx::ModelProto model = model_of({.nodes = {"Add x big -> y"}});
  EXPECT_TRUE(says(compile(folder, model), "70000"));
  EXPECT_FALSE(says(compile(folder, model, "--precision_mode_v2=origin"), "70000"));
  folder.write("keep.cfg", "Add_0\n");
  EXPECT_EQ(compile(folder, model, "--keep_dtype=keep.cfg").code, 0);
  folder.write("keep.cfg", "Nobody\n");
  EXPECT_TRUE(says(compile(folder, model, "--keep_dtype=keep.cfg"), "E10016:"));
  folder.write("custom.cfg", "Add_0::InputDtype:float32,float32,OutputDtype:float32\n");
  EXPECT_EQ(compile(folder, model, "--customize_dtypes=custom.cfg").code, 0);
  folder.write("custom.cfg", "Add_0::InputDtype:float32,OutputDtype:float32\n");
  EXPECT_EQ(compile(folder, model, "--customize_dtypes=custom.cfg").code, 1);
}

TEST(Atc, shows_what_a_file_holds) {
  const Folder folder;
  ASSERT_EQ(compile(folder, model_of({.nodes = {"MatMul x wide -> y"}})).code, 0);
  const AtcRun run = run_atc(folder, "--mode=6 --om=m.om");
  EXPECT_EQ(run.code, 0);
  EXPECT_TRUE(says(run, "Original Atc command line: atc --framework=5")) << run.output;
  EXPECT_TRUE(says(run, "soc_version[Ascend910B4]"));
  EXPECT_TRUE(says(run, "weight_size[832 B]")) << run.output;  // 400 halves
}
