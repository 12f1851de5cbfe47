// Each pass gives a graph that means the same: run on `reference` before and after. And it does
// what it is for.
#include "compile/passes.h"

#include <gtest/gtest.h>

#include <cmath>

#include "backend/random_model.h"
#include "backend/reference/reference.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "models/clip.h"
#include "models/esrgan.h"
#include "models/unet.h"
#include "models/vae.h"
#include "support/differences.h"

namespace inkstone {
namespace {

int nodes_called(const Graph& graph, const std::string& name) {
  int found = 0;
  for (const Node& node : graph.nodes()) found += name_of(node.op) == name;
  return found;
}

void expect_same_meaning(const Graph& before, const Graph& after, double relative) {
  verify(after);
  const auto backend = open_reference_backend();
  const Weights weights = random_weights(before);
  const std::vector<Tensor> inputs = random_inputs(before);
  const Tensor a = run_once(*backend, before, weights, inputs), b = run_once(*backend, after, weights, inputs);
  EXPECT_LE(relative_rms(b, a), relative);
}

TEST(Fold, position_ids_become_the_table_itself) {
  const Graph before = clip_graph(tiny_clip(), 2), after = compile::fold(before);
  EXPECT_EQ(nodes_called(before, "embedding"), 2);
  EXPECT_EQ(nodes_called(after, "embedding"), 1);
  EXPECT_EQ(nodes_called(after, "constant"), 0);
  expect_same_meaning(before, after, 0);
}

TEST(Fold, neutral_constants_and_nested_reshapes_vanish) {
  Graph g;
  Value x = input(g, "x", {2, 6});
  x = reshape(reshape(x, {3, 4}), {12}) * constant(g, std::vector<float>(12, 1.0f), {12});
  x = x + constant(g, {0.5f}, {1}) * constant(g, {0.0f}, {1});
  const Graph after = compile::fold(finish(g, x));
  EXPECT_EQ(nodes_called(after, "reshape"), 1);
  EXPECT_EQ(nodes_called(after, "mul"), 0);
  EXPECT_EQ(nodes_called(after, "add"), 0);
}

TEST(Fuse, the_unet_s_adds_activations_and_gates_go_into_their_producers) {
  for (const UnetConfig& config : {tiny_unet(), tiny_linear_unet()})
    for (const LatentSize& size : {LatentSize{2, 8, 12, 5}, LatentSize{2, 9, 11, 5}, LatentSize{2, 1, 1, 5}}) {
      const Graph before = unet_graph(config, size), after = compile::fuse(compile::fold(before));
      EXPECT_EQ(nodes_called(after, "add"), 0);
      EXPECT_EQ(nodes_called(after, "mul"), 0);
      EXPECT_EQ(nodes_called(after, "slice"), 0);
      EXPECT_EQ(nodes_called(after, "gelu"), 0);
      EXPECT_EQ(nodes_called(after, "silu"), 0);
      expect_same_meaning(before, after, 1e-6);
    }
}

TEST(Fuse, leaves_alone_what_somebody_else_reads) {
  Graph g;
  const Scope s{&g, ""};
  const Value x = input(g, "x", {1, 4});
  const Value h = linear(s / "l", x, 4);
  const Value result = silu(h) * h;
  const Graph after = compile::fuse(finish(g, result));
  EXPECT_EQ(nodes_called(after, "silu"), 1);
}

TEST(Fuse, clip_and_vae_mean_the_same) {
  expect_same_meaning(clip_graph(tiny_clip(), 2), compile::fuse(compile::fold(clip_graph(tiny_clip(), 2))), 1e-6);
  const Graph vae = vae_decoder_graph(tiny_vae(), 1, 6, 10);
  EXPECT_EQ(nodes_called(compile::fuse(vae), "add"), 0);
  expect_same_meaning(vae, compile::fuse(vae), 1e-6);
}

VaeConfig three_levels() {
  VaeConfig config = tiny_vae();
  config.channels = {8, 8, 16};
  return config;
}

TEST(Tile, bands_give_the_same_values) {
  const Graph graphs[] = {vae_decoder_graph(three_levels(), 1, 9, 5), vae_encoder_graph(three_levels(), 1, 36, 20),
                          vae_decoder_graph(three_levels(), 1, 15, 7)};
  for (const Graph& graph : graphs)
    for (const bool fused : {true, false})
      for (const int64_t band : {2, 4, 6, 10, 16})
        for (const int64_t pixels : {1, 300}) {  // all maps, or the larger ones
          const Graph before = fused ? compile::fuse(graph) : graph, after = compile::tile_rows(before, pixels, band);
          EXPECT_GT(nodes_called(after, "group_stats"), 0);
          EXPECT_GT(nodes_called(after, "concat"), 0);
          expect_same_meaning(before, after, 1e-6);
        }
}

TEST(Tile, works_on_any_convolution_and_sum) {
  Graph g;
  const Scope s{&g, ""};
  Value v = conv(s / "a", input(g, "x", {1, 4, 19, 7}), 8, 3);
  v = upsample2x(upsample2x(v, 37, 14), 73, 27);  // 19 x 7, odd both times
  Value h = activate(conv(s / "b", v, 8, 1), Activation::kGelu) * group_norm(s / "c", v, 4, 1e-5f);
  h = h + conv(s / "d", h, 1, 3) +
      conv(s / "e", group_norm(s / "f", upsample2x(conv(s / "g", h, 8, 5, 2), 73, 27), 2, 1e-5f), 8, 3);
  const Graph before = finish(g, to_tokens(conv(s / "h", h, 6, 3, 2)));
  for (const int64_t band : {2, 6, 30}) expect_same_meaning(before, compile::tile_rows(before, 8, band), 1e-6);
}

TEST(Tile, works_on_dense_blocks_and_products_with_one_value) {
  EsrganConfig config;
  config.channels = 6, config.growth = 4, config.blocks = 2;
  const Graph whole = compile::fuse(esrgan_graph(config, 23, 7));
  const int joined_whole = nodes_called(whole, "concat");  // of channels, each of a whole map
  ASSERT_GT(joined_whole, 0);
  for (const int64_t band : {2, 4, 6, 10}) {
    const Graph bands = compile::tile_rows(whole, 1, band);
    int joined = 0;
    for (const Node& node : bands.nodes()) {
      const auto* join = std::get_if<op::Concat>(&node.op);
      if (!join || join->axis != 1) continue;
      EXPECT_LE(node.shape[2], band * 3 / 2 + 2);
      ++joined;
    }
    EXPECT_GE(joined, 2 * joined_whole) << "each in bands";
    expect_same_meaning(whole, bands, 1e-6);
  }
}

TEST(Tile, no_large_map_is_whole_but_the_image) {
  constexpr int64_t kBand = 8;
  const Graph graph = compile::tile_rows(compile::fuse(vae_decoder_graph(three_levels(), 1, 16, 16)), 16 * 32, kBand);
  for (int id = 0; id < static_cast<int>(graph.nodes().size()); ++id) {
    const Node& node = graph.node(id);
    if (node.shape.size() != 4 || node.shape[3] <= 16 || id == graph.outputs()[0]) continue;
    EXPECT_LE(node.shape[2], kBand * 3 / 2 + 2) << print(node, id);
  }
}

TEST(Tile, what_is_applied_on_reading_stands_before_its_convolution) {
  const Graph graph = compile::tile_rows(compile::fuse(vae_decoder_graph(three_levels(), 1, 16, 16)), 16 * 32, 8);
  int seen = 0;
  for (int id = 0; id < static_cast<int>(graph.nodes().size()); ++id) {
    const std::string name = name_of(graph.node(id).op);
    if (name != "group_apply" && name != "upsample2x") continue;
    // only some rows of a doubled band may be wanted
    const bool sliced = name == "upsample2x" && std::string(name_of(graph.node(id + 1).op)) == "slice";
    const Node& next = graph.node(id + 1 + sliced);
    EXPECT_EQ(std::string(name_of(next.op)), "conv2d");
    EXPECT_EQ(next.inputs[0], id + sliced);
    ++seen;
  }
  EXPECT_GT(seen, 40);
}

TEST(Tile, leaves_small_maps_and_batches_alone) {
  const Graph small = compile::fuse(vae_decoder_graph(tiny_vae(), 1, 8, 8));
  EXPECT_EQ(print(compile::tile_rows(small, 1 << 20, 8)), print(small));
  const Graph batch = compile::fuse(vae_decoder_graph(tiny_vae(), 2, 8, 8));
  EXPECT_EQ(print(compile::tile_rows(batch, 8, 8)), print(batch));
}

TEST(Precision, stores_activations_in_bf16_and_gives_fp32_outputs) {
  const Graph graph =
      compile::choose_precision(compile::fuse(compile::fold(unet_graph(tiny_unet(), {2, 8, 8, 5}))), DType::kBF16);
  verify(graph);
  EXPECT_EQ(graph.node(graph.outputs()[0]).type, DType::kF32);
  EXPECT_GT(nodes_called(graph, "attention"), 0);
  EXPECT_GT(nodes_called(graph, "layer_norm"), 0);
  int addends = 0;
  for (const Node& node : graph.nodes()) {
    const std::string name = name_of(node.op);
    if (name == "attention" || name == "layer_norm") {
      EXPECT_EQ(node.type, DType::kBF16);
    }
    const auto* norm = std::get_if<op::GroupNorm>(&node.op);
    if (norm && norm->addend) {
      ++addends;
      EXPECT_EQ(graph.node(node.inputs[3]).type, DType::kF32);
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Node& from = graph.node(node.inputs[i]);
      const bool mixed = name == "cast" || std::holds_alternative<op::Weight>(from.op) || (norm && i == 3);
      if (!mixed && from.type != DType::kI32) {
        EXPECT_EQ(from.type, graph.node(node.inputs[0]).type) << print(graph);
      }
    }
  }
  EXPECT_GT(addends, 0);
}

TEST(Precision, bands_of_an_output_are_rounded_no_more_than_the_whole) {
  const Graph tiled = compile::tile_rows(compile::fuse(vae_decoder_graph(tiny_vae(), 1, 8, 8)), 8, 4);
  const Graph graph = compile::choose_precision(tiled, DType::kBF16);
  const Node& whole = graph.node(graph.outputs()[0]);
  ASSERT_EQ(name_of(whole.op), "concat");
  for (int band : whole.inputs) EXPECT_EQ(name_of(graph.node(band).op), "conv2d");
}

TEST(Precision, of_fp32_changes_nothing) {
  const Graph graph = compile::fuse(unet_graph(tiny_unet(), {1, 8, 8, 5}));
  EXPECT_EQ(print(compile::choose_precision(graph, DType::kF32)), print(graph));
}

}  // namespace
}  // namespace inkstone
