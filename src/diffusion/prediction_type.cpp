#include "diffusion/prediction_type.h"

#include <algorithm>
#include <numeric>

#include "backend/backend.h"
#include "models/unet.h"

namespace inkstone {
namespace {

constexpr float kValue = 0.5f, kTimestep = 999;
constexpr double kLimit = -1;  // of the mean difference
constexpr int64_t kSide = 8;   // latent pixels

}  // namespace

bool predicts_v(const UnetConfig& config, const Weights& weights) {
  const int64_t side = std::max(kSide, int64_t{1} << (config.channels.size() - 1));
  const LatentSize size{1, side, side, /*tokens=*/2};
  const Graph graph = unet_graph(config, size);
  const std::unique_ptr<Backend> backend = open_backend("cpu");
  const std::unique_ptr<Program> program = backend->compile(graph, weights, {});
  std::vector<Tensor> inputs;
  for (const NamedShape& input : inputs_of(graph)) {
    Tensor& tensor = inputs.emplace_back(input.shape);
    std::ranges::fill(tensor.floats(), input.name == "timestep" ? kTimestep : kValue);
  }
  Tensor output({1, config.out_channels, side, side});
  std::vector<const Tensor*> given;
  for (const Tensor& tensor : inputs) given.push_back(&tensor);
  Tensor* const results[] = {&output};
  program->run(given, results);
  program->release_pages();
  const double sum = std::accumulate(output.floats().begin(), output.floats().end(), 0.0);
  return sum / static_cast<double>(output.size()) - kValue < kLimit;
}

}  // namespace inkstone
