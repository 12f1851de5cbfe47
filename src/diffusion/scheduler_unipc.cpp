// UniPCMultistepScheduler predicting the image (Zhao et al. 2023): a multistep predictor, and a
// corrector that repeats each step when the model's output at its end is known. Both solve a small
// Vandermonde system for their weights.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "diffusion/scheduler_tables.h"

namespace inkstone {
namespace {

constexpr int kMaxOrder = 3;

// The factors of one prediction or correction: for the sample at its start, the image at its end
// (correction only), and earlier images, newest first.
struct UniPcMix {
  double sample = 0, reached = 0;
  std::array<double, kMaxOrder> images{};
};

using Row = std::array<double, kMaxOrder>;

// Solves the first `size` rows and columns of matrix * x = right by elimination with the largest
// pivot.
Row solve(std::array<Row, kMaxOrder> matrix, Row right, int size) {
  for (int column = 0; column < size; ++column) {
    int pivot = column;
    for (int row = column + 1; row < size; ++row) {
      if (std::abs(matrix[row][column]) > std::abs(matrix[pivot][column])) pivot = row;
    }
    std::swap(matrix[pivot], matrix[column]);
    std::swap(right[pivot], right[column]);
    for (int row = column + 1; row < size; ++row) {
      const double factor = matrix[row][column] / matrix[column][column];
      for (int k = column; k < size; ++k) matrix[row][k] -= factor * matrix[column][k];
      right[row] -= factor * right[column];
    }
  }
  for (int row = size - 1; row >= 0; --row) {
    for (int k = row + 1; k < size; ++k) right[row] -= matrix[row][k] * right[k];
    right[row] /= matrix[row][row];
  }
  return right;
}

class UniPc : public Scheduler {
 public:
  UniPc(const SchedulerConfig& config, int steps) : config_(config) {
    INKSTONE_CHECK(
        config.final_sigma_min || config.lower_order_final || config.solver_order == 1,
        "unipc: lower_order_final false cannot end at a sigma of zero; set final_sigmas_type to \"sigma_min\"");
    // a ring of images, and the sample that the last prediction started from
    history_ = config.solver_order + 1;
    sigmas_ = descending_levels(config, steps, timesteps_);
  }

  Estimate image_estimate(int call) const override {
    return image_of(config_.prediction, Level(sigmas_.at(static_cast<size_t>(call))));
  }

  NoiseLevel noise_level(int call) const override { return noise_level_of(sigmas_.at(static_cast<size_t>(call))); }

 protected:
  // SchedulerState::order is the order of the last prediction; its correction uses the same.
  void advance(int call, std::span<const float> model_output, std::span<const float>, std::span<float> sample,
               SchedulerState& state) const override {
    const int calls = static_cast<int>(timesteps_.size()), ring = config_.solver_order;
    const Estimate estimate = image_estimate(call);
    const bool correct = call > 0 && state.calls > 0 && std::ranges::count(config_.disable_corrector, call - 1) == 0;
    const UniPcMix correction = correct ? mix_to(call, state.order, true) : UniPcMix{};

    int order = std::min(ring, state.calls + 1);
    if (config_.lower_order_final) order = std::min(order, calls - call);
    const UniPcMix prediction = mix_to(call + 1, order, false);
    // images of the calls before, newest first
    std::array<float*, kMaxOrder> past{};
    for (int i = 0; i < ring; ++i) past[i] = state.history[(state.calls + ring - 1 - i) % ring].data();
    float* newest = state.history[state.calls % ring].data();  // in place of the oldest
    auto& start = state.history[ring];

    for (size_t i = 0; i < sample.size(); ++i) {
      const double image = estimate.sample * sample[i] + estimate.output * model_output[i];
      double corrected = sample[i];
      if (correct) {
        corrected = correction.sample * start[i] + correction.reached * image;
        for (int k = 0; k < state.order; ++k) corrected += correction.images[k] * past[k][i];
      }
      double next = prediction.sample * corrected + prediction.images[0] * image;
      for (int k = 1; k < order; ++k) next += prediction.images[k] * past[k - 1][i];
      start[i] = static_cast<float>(corrected);
      newest[i] = static_cast<float>(image);
      sample[i] = static_cast<float>(next);
    }
    state.order = order;
  }

 private:
  // The step that ends at sigma `to`.
  UniPcMix mix_to(int to, int order, bool correction) const {
    const Level now(sigmas_[to - 1]), next(sigmas_[to]);
    const double h = next.lambda - now.lambda;
    const double gain = std::expm1(-h);  // h_phi_1
    UniPcMix mix;
    mix.sample = next.sigma / now.sigma;
    mix.images[0] = -next.alpha * gain;
    if (h == 0 || (order == 1 && !correction)) return mix;

    Row ratios{};
    for (int i = 1; i < order; ++i) ratios[i - 1] = (Level(sigmas_[to - 1 - i]).lambda - now.lambda) / h;
    ratios[order - 1] = 1;
    const double scale = config_.bh1 ? -h : gain;
    const Row weights = weights_of(ratios, -h, scale, order, correction);
    for (int i = 1; i < order; ++i) {
      const double part = next.alpha * scale * weights[i - 1] / ratios[i - 1];
      mix.images[i] -= part;
      mix.images[0] += part;
    }
    if (correction) {
      mix.reached = -next.alpha * scale * weights[order - 1];
      mix.images[0] -= mix.reached;
    }
    return mix;
  }

  static Row weights_of(const Row& ratios, double hh, double scale, int order, bool correction) {
    const int unknowns = correction ? order : order - 1;
    if (unknowns == 1) return {0.5, 0, 0};
    std::array<Row, kMaxOrder> matrix{};
    Row right{};
    double phi = std::expm1(hh) / hh - 1, factorial = 1;
    for (int i = 0; i < order; ++i) {
      for (int k = 0; k < order; ++k) matrix[i][k] = std::pow(ratios[k], i);
      right[i] = phi * factorial / scale;
      factorial *= i + 2;
      phi = phi / hh - 1 / factorial;
    }
    return solve(matrix, right, unknowns);
  }

  SchedulerConfig config_;
  std::vector<float> sigmas_;
};

}  // namespace

std::unique_ptr<Scheduler> make_unipc(const SchedulerConfig& config, int steps) {
  return std::make_unique<UniPc>(config, steps);
}

}  // namespace inkstone
