// Inputs are bound by name, each run anew.
#include "diffusion/bound_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "models/layers.h"

namespace inkstone {
namespace {

TEST(BoundProgram, needs_every_input_of_a_run_bound_and_knows_its_names) {
  Graph graph;
  graph = finish(graph, input(graph, "a", {2, 3}) + input(graph, "b", {2, 3}));
  const auto backend = open_backend("reference");
  BoundProgram program(*backend, backend->compile(graph, Weights(), {}), graph, "sum", 2);
  const auto refusal = [&](auto&& act) -> std::string {
    try {
      act();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_TRUE(program.reads("a"));
  EXPECT_FALSE(program.reads("c"));
  const Tensor one = Tensor::of({1, 3}, std::vector<float>{1, 2, 3}),
               two = Tensor::of({1, 3}, std::vector<float>{4, 5, 6});
  std::ranges::fill(program.host_input("a").floats(), 10.0f);
  EXPECT_THAT(refusal([&] { program.run(); }), testing::HasSubstr("the input \"b\" of a program of sum is not bound"));
  program.bind("b", one, 0);
  program.bind("b", two, 1);
  program.run();
  EXPECT_THAT(program.output(0).floats(), testing::ElementsAre(11, 12, 13, 14, 15, 16));
  EXPECT_THAT(refusal([&] { program.run(); }), testing::HasSubstr("is not bound"));  // nothing of the last run is kept
  EXPECT_THAT(refusal([&] { program.bind("c", one, 0); }), testing::HasSubstr("has no input \"c\""));
}

}  // namespace
}  // namespace inkstone
