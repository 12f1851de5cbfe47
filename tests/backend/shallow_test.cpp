// A shallow call that is given the whole U-Net's own cached feature gives the whole U-Net's output,
// bit for bit, on every backend; and hoisting takes of it what it takes of the whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "backend/random_model.h"
#include "compile/hoist.h"
#include "ir/verify.h"
#include "models/unet.h"
#include "support/differences.h"

namespace inkstone {
namespace {

// enough layers in the last up block for some of them to be cached_feature
UnetConfig deep_unet() {
  UnetConfig c = tiny_unet();
  c.blocks = {2, 1};
  return c;
}

UnetConfig one_level_unet() {
  UnetConfig c = tiny_unet();
  c.channels = {8};
  c.blocks = {1};
  c.depth = c.up_depth = {1};
  c.heads = {2};
  return c;
}

UnetConfig with_guidance() {
  UnetConfig c = deep_unet();
  c.guidance_channels = 6;
  return c;
}

const std::vector<UnetConfig>& configs() {
  static const std::vector<UnetConfig> all{tiny_unet(), tiny_linear_unet(), deep_unet(), one_level_unet(),
                                           with_guidance()};
  return all;
}

struct Setting {
  const char* device;
  Precision precision;
  DType carried() const { return precision == Precision::kBf16 ? DType::kBF16 : DType::kF32; }
};
const Setting kSettings[] = {{"reference", Precision::kFp32}, {"cpu", Precision::kFp32}, {"cpu", Precision::kBf16}};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.type() == b.type() && std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

using Named = std::map<std::string, Tensor>;

Named named_inputs(const Graph& graph) {
  Named result;
  std::vector<Tensor> tensors = random_inputs(graph);
  const std::vector<NamedShape> inputs = inputs_of(graph);
  for (size_t i = 0; i < inputs.size(); ++i) result.emplace(inputs[i].name, std::move(tensors[i]));
  return result;
}

std::vector<Tensor> run(Backend& backend, const Graph& graph, const Weights& weights, const Named& given,
                        Precision precision) {
  verify(graph);
  const auto program = backend.compile(graph, weights, {.precision = precision});
  std::vector<const Tensor*> in;
  for (const NamedShape& input : inputs_of(graph)) in.push_back(&given.at(input.name));
  std::vector<Tensor> results;
  for (const int id : graph.outputs()) results.emplace_back(graph.node(id).shape, graph.node(id).type);
  std::vector<Tensor*> out;
  for (Tensor& tensor : results) out.push_back(&tensor);
  program->run(in, out);
  return results;
}

compile::Hoisted hoisted(const Graph& graph, DType carried) {
  const compile::HoistGroup groups[] = {
      {{"text"}, carried}, {{"timestep", "guidance"}, DType::kF32}, {{"added"}, DType::kF32}};
  return compile::hoist(compile::sink_repeat(graph), groups);
}

TEST(Shallow, with_the_whole_s_own_deep_feature_is_the_whole) {
  for (const UnetConfig& config : configs())
    for (const int64_t cfg_copies : {1, 2})
      for (const Setting& setting : kSettings) {
        const int64_t height = cfg_copies == 1 ? 8 : 9;  // even and odd
        const auto graph = [&](UnetPart part) {
          return unet_graph(config, {2, height, 12, 5, cfg_copies, part, setting.carried()});
        };
        const auto backend = open_backend(setting.device);
        const Graph whole = graph(UnetPart::kFull);
        const Weights weights = random_weights(whole);
        Named given = named_inputs(whole);
        const Tensor right = std::move(run(*backend, whole, weights, given, setting.precision)[0]);
        std::vector<Tensor> both = run(*backend, graph(UnetPart::kFullKeepFeature), weights, given, setting.precision);
        ASSERT_EQ(both.size(), 2u);
        EXPECT_EQ(both[1].type(), setting.carried());
        EXPECT_TRUE(same_bits(both[0], right)) << setting.device << " " << relative_rms(both[0], right);
        given["cached_feature"] = std::move(both[1]);
        const Tensor found = std::move(run(*backend, graph(UnetPart::kShallow), weights, given, setting.precision)[0]);
        EXPECT_TRUE(same_bits(found, right)) << setting.device << " " << relative_rms(found, right);
      }
}

TEST(Shallow, reads_its_deep_feature) {
  const Graph shallow = unet_graph(deep_unet(), {1, 8, 8, 5, 1, UnetPart::kShallow});
  const auto reference = open_backend("reference");
  const Weights weights = random_weights(shallow);
  Named given = named_inputs(shallow);
  const Tensor one = std::move(run(*reference, shallow, weights, given, Precision::kFp32)[0]);
  given["cached_feature"].floats()[0] += 1;
  EXPECT_FALSE(same_bits(run(*reference, shallow, weights, given, Precision::kFp32)[0], one));
}

TEST(Shallow, hoisted_from_the_whole_s_parts_is_the_same) {
  for (const UnetConfig& config : configs())
    for (const Setting& setting : kSettings) {
      const auto graph = [&](UnetPart part) { return unet_graph(config, {2, 8, 11, 5, 2, part, setting.carried()}); };
      const auto backend = open_backend(setting.device);
      const Graph shallow = graph(UnetPart::kShallow), whole = graph(UnetPart::kFull);
      const Weights weights = random_weights(whole);
      Named given = named_inputs(whole);
      given["cached_feature"] =
          std::move(run(*backend, graph(UnetPart::kFullKeepFeature), weights, given, setting.precision)[1]);
      const Tensor right = std::move(run(*backend, shallow, weights, given, setting.precision)[0]);
      const compile::Hoisted of_whole = hoisted(whole, setting.carried()),
                             of_shallow = hoisted(shallow, setting.carried());
      for (size_t group = 0; group < 2; ++group) {
        const compile::HoistedPart& part = of_whole.parts[group];
        std::vector<Tensor> carried = run(*backend, part.graph, weights, given, setting.precision);
        for (size_t i = 0; i < part.names.size(); ++i) given[part.names[i]] = std::move(carried[i]);
        EXPECT_LT(of_shallow.parts[group].names.size(), part.names.size());
        for (const std::string& name : of_shallow.parts[group].names)
          EXPECT_EQ(std::ranges::count(part.names, name), 1) << name;
      }
      const Tensor found = std::move(run(*backend, of_shallow.rest, weights, given, setting.precision)[0]);
      EXPECT_TRUE(same_bits(found, right)) << setting.device << " " << relative_rms(found, right);
    }
}

}  // namespace
}  // namespace inkstone
