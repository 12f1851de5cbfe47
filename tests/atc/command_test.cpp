// ATC's command line for each kind of graph, and what is refused before ATC is called.
#include "atc/command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "atc/fake_atc.h"
#include "base/error.h"

namespace inkstone {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

AtcTarget target(const char* precision, const char* soc = "Ascend910B4") { return {soc_named(soc), precision, ""}; }

GraphRecord geared(int count) {
  GraphRecord graph = step_record();
  graph.inputs[0].shape[0] = graph.inputs[1].shape[0] = -1;
  graph.gears.clear();
  for (int n = 1; n <= count; ++n) graph.gears.push_back({n, "g", {{2 * n, 4, 8, 8}, {n}}, {{n, 4, 8, 8}}});
  return graph;
}

TEST(AtcCommand, is_complete_for_a_static_graph) {
  const AtcCommand command = atc_command(step_record(), target("fp16"), 100);
  EXPECT_THAT(arguments(command, {"in/a.onnx", "out/a", "k"}),
              ElementsAre("--model=in/a.onnx", "--output=out/a", "--framework=5", "--soc_version=Ascend910B4",
                          "--input_format=ND", "--input_shape=latent:1,4,8,8;timestep:1", "--precision_mode_v2=fp16",
                          "--deterministic=1", "--log=error"));
}

TEST(AtcCommand, a_number_alone_is_a_scalar_to_atc) {
  GraphRecord graph = step_record();
  graph.inputs[1].shape = graph.gears[0].inputs[1] = {};
  EXPECT_THAT(atc_command(graph, target("fp16"), 0).flags, Contains("--input_shape=latent:1,4,8,8;timestep:"));
}

TEST(AtcCommand, gears_have_a_value_for_each_open_size) {
  const AtcCommand command = atc_command(geared(3), target("fp16"), 0);
  EXPECT_THAT(command.flags, Contains("--input_shape=latent:-1,4,8,8;timestep:-1"));
  EXPECT_THAT(command.flags, Contains("--dynamic_dims=2,1;4,2;6,3"));
}

TEST(AtcCommand, precision_is_that_of_the_export_but_for_the_time) {
  const struct {
    const char *precision, *part, *mode;
  } rows[] = {{"fp16", "step", "fp16"},
              {"mixed", "step", "mixed_float16"},
              {"fp32", "step", "origin"},
              {"fp16", "time", "origin"},
              {"mixed", "time", "origin"},
              {"fp32", "time", "origin"},
              {"mixed", "prompt", "mixed_float16"},
              {"fp16", "vae_decoder", "fp16"}};
  for (const auto& row : rows) {
    GraphRecord graph = step_record();
    graph.part = row.part;
    graph.fp32_nodes = {"Norm_1"};
    const AtcCommand command = atc_command(graph, target(row.precision), 0);
    EXPECT_THAT(command.flags, Contains(std::string("--precision_mode_v2=") + row.mode)) << row.precision << row.part;
    EXPECT_THAT(command.flags, Not(Contains(StartsWith("--precision_mode="))));
    // Where all keeps its type, a list of what keeps it says nothing.
    EXPECT_EQ(command.keep.empty(), std::string(row.mode) == "origin") << row.precision << row.part;
  }
}

TEST(AtcCommand, nodes_that_keep_fp32_are_named_in_a_file) {
  GraphRecord graph = step_record();
  graph.fp32_nodes = {"Norm_1", "Norm_2"};
  const AtcCommand command = atc_command(graph, target("fp16"), 0);
  EXPECT_THAT(command.keep, ElementsAre("Norm_1", "Norm_2"));
  EXPECT_EQ(arguments(command, {"m", "o", "dir/k.cfg"}).back(), "--keep_dtype=dir/k.cfg");
}

TEST(AtcCommand, large_weights_lie_outside_where_they_are_used) {
  constexpr uint64_t kLarge = uint64_t{5} << 30;
  GraphRecord graph = step_record();
  EXPECT_TRUE(atc_command(graph, target("fp16"), kLarge).has_external_weights);
  EXPECT_THAT(atc_command(graph, target("fp16"), kLarge).flags, Contains("--external_weight=1"));
  EXPECT_FALSE(atc_command(graph, target("fp16"), uint64_t{2} << 30).has_external_weights);
  graph.part = "prompt";
  EXPECT_FALSE(atc_command(graph, target("fp16"), kLarge).has_external_weights);
}

TEST(AtcCommand, another_host_is_said) {
  AtcTarget other = target("fp16");
  other.host_cpu = "aarch64";
  EXPECT_THAT(atc_command(step_record(), other, 0).flags, Contains("--host_env_cpu=aarch64"));
  EXPECT_THAT(atc_command(step_record(), other, 0).flags, Contains("--host_env_os=linux"));
  other.host_cpu = "riscv64";
  EXPECT_THROW(atc_command(step_record(), other, 0), UsageError);
}

TEST(AtcCommand, what_atc_would_refuse_is_refused_before) {
  const auto graph = [](auto change) {
    GraphRecord record = step_record();
    change(record);
    return record;
  };
  const struct {
    GraphRecord graph;
    const char *precision, *message;
  } rows[] = {
      {step_record(), "bf16", "Ascend310P3 has no bf16"},
      {step_record(), "mixed_precision", "fp16, mixed or fp32"},
      {graph([](GraphRecord& g) { g.inputs[0].name = "a:b"; }), "fp16", "cannot hold"},
      {graph([](GraphRecord& g) { g.inputs[0].shape[0] = -1; }), "fp16", "gear 0 gives latent"},
      {graph([](GraphRecord& g) {
         g.gears[0].inputs[0] = {1, 4, 8};
       }),
       "fp16", "its port is"},
      {graph([](GraphRecord& g) { g.gears[0].inputs[0][1] = g.inputs[0].shape[1] = 0; }), "fp16", "[1, 0, 8, 8]"},
      {graph([](GraphRecord& g) { g.gears.push_back(g.gears[0]); }), "fp16", "no input differs"},
      {graph([](GraphRecord& g) { g.fp32_nodes = {"a\nb"}; }), "fp16", "--keep_dtype"},
      {geared(101), "fp16", "101 gears"},
      {[] {
         GraphRecord g = geared(2);
         g.gears[1].inputs = g.gears[0].inputs;
         return g;
       }(),
       "fp16", "two gears are both 2,1"},
      {[] {
         GraphRecord g = geared(2);
         g.inputs.push_back({"scale", {}, DType::kF32});
         for (Gear& gear : g.gears) gear.inputs.push_back({});
         return g;
       }(),
       "fp16", "export one file for each batch"},
      {[] {
         GraphRecord g = geared(2);
         for (int i = 0; i < 42; ++i) {
           g.inputs.push_back({"key_" + std::to_string(i), {-1, 77, 8}, DType::kF32});
           for (Gear& gear : g.gears) gear.inputs.push_back({gear.batch, 77, 8});
         }
         return g;
       }(),
       "fp16", "131 sizes"}};
  for (const auto& row : rows) {
    try {
      atc_command(row.graph, target(row.precision, "Ascend310P3"), 0);
      ADD_FAILURE() << row.message;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(row.message), std::string::npos) << error.what();
    }
  }
}

TEST(AtcCommand, words_are_quoted_for_a_shell) {
  EXPECT_EQ(quoted("--framework=5"), "--framework=5");
  EXPECT_EQ(quoted("a:1;b:2"), "'a:1;b:2'");
  EXPECT_EQ(quoted("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(quoted(""), "''");
}

}  // namespace
}  // namespace inkstone
