#include "diffusion/control_steps.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/picture.h"
#include "diffusion/repaint.h"
#include "diffusion/request_fields.h"
#include "models/controlnet.h"

namespace inkstone {
namespace {

Image hint_of(const ControlUse& use, const ResolvedRequest& request) {
  return beside_source(request, read_picture(use.image.bytes, use.image.source).image);
}

// [1, 3, height, width], 0 to 1
void fill_hint(const Image& image, bool bgr, std::span<float> to) {
  const size_t area = to.size() / 3;
  for (size_t i = 0; i < area; ++i)
    for (size_t c = 0; c < 3; ++c) to[(bgr ? 2 - c : c) * area + i] = static_cast<float>(image.rgb[3 * i + c]) / 255;
}

// [1, channels * scale^2, height / scale, width / scale]: the pixels of a block one after another, row by row, as
// channels (torch's PixelUnshuffle).
void fill_unshuffled(const Image& image, const T2iConfig& config, std::span<float> to) {
  const auto width = static_cast<size_t>(image.width), scale = static_cast<size_t>(config.scale);
  const size_t across = width / scale, down = static_cast<size_t>(image.height) / scale;
  const bool grey = config.hint_channels == 1;
  const Greys greys = grey ? luma(image) : Greys{};
  size_t at = 0;
  for (size_t c = 0; c < static_cast<size_t>(config.hint_channels); ++c)
    for (size_t dy = 0; dy < scale; ++dy)
      for (size_t dx = 0; dx < scale; ++dx)
        for (size_t y = 0; y < down; ++y)
          for (size_t x = 0; x < across; ++x) {
            const size_t pixel = (y * scale + dy) * width + x * scale + dx;
            to[at++] = static_cast<float>(grey ? greys.values[pixel] : image.rgb[3 * pixel + c]) / 255;
          }
}

// Of each residual. In guess mode a tenth of the first, and more of each that follows: torch.logspace(-1, 0).
void fill_scales(float scale, bool rising, std::span<float> to) {
  const size_t last = to.size() - 1;
  for (size_t i = 0; i < to.size(); ++i) {
    const double share = rising ? std::pow(10.0, static_cast<double>(i) / static_cast<double>(last) - 1) : 1;
    to[i] = static_cast<float>(share) * scale;
  }
}

}  // namespace

void ControlSteps::start(Job& job) {
  const ResolvedRequest& request = job.request;
  for (const ResolvedControl& control : request.controls) {
    JobControl& made = job.controls.emplace_back();
    const Control& own = pipeline_.controls.at(static_cast<size_t>(control.number));
    BoundProgram& program = programs_.hint({control.number, request.width, request.height});
    const Image picture = hint_of(control.use, request);
    const std::span<float> to = program.host_input("hint").floats();
    if (const ControlnetConfig* net = own.net()) {
      fill_hint(picture, net->bgr, to);
      made.hint = std::move(programs_.run_before_steps(program).front());
    } else {
      fill_unshuffled(picture, *own.adapter(), to);
      for (const Tensor& feature : programs_.run_before_steps(program))
        made.features.push_back(conditioner_.on_host(feature));
    }
    program.drop_inputs();
  }
}

std::vector<size_t> ControlSteps::running(const Job& job, bool adapters) const {
  std::vector<size_t> running;
  const std::vector<ResolvedControl>& controls = job.request.controls;
  const int first = job.request.first_call, call = job.call - first, calls = job.calls() - first;
  for (size_t i = 0; i < controls.size(); ++i)
    if ((controls[i].features > 0) == adapters && controls[i].runs(call, calls)) running.push_back(i);
  return running;
}

void ControlSteps::condition(Job& job) {
  std::vector<EncoderTextRef> texts;
  for (const size_t row : job.conditioned) texts.push_back(&job.prompts.texts[row]);
  for (const size_t index : running(job, /*adapters=*/false)) {
    JobControl& control = job.controls[index];
    if (!control.conditioning.empty()) continue;
    control.conditioning = conditioner_.of_texts(
        texts, {job.prompts.chunks, job.request.width, job.request.height, job.request.controls[index].number});
  }
}

// In the order of the request, so that the same request has the same sums.
void ControlSteps::sum_features(Job& job) const {
  const std::vector<size_t> adapters = running(job, /*adapters=*/true);
  if (adapters == job.featured) return;
  job.featured = adapters;
  job.features.clear();
  for (const size_t index : adapters) {
    const float scale = job.request.controls[index].use.scale;
    const std::vector<Tensor>& own = job.controls[index].features;
    for (size_t i = 0; i < own.size(); ++i) {
      if (i == job.features.size()) job.features.emplace_back(own[i].shape());
      std::ranges::transform(job.features[i].floats(), own[i].floats(), job.features[i].floats().begin(),
                             [&](float sum, float value) { return sum + scale * value; });
    }
  }
}

void ControlSteps::bind(BoundProgram& program, Job& job, size_t pass, size_t place) {
  sum_features(job);
  for (size_t i = 0; i < job.features.size(); ++i)
    program.bind(feature_name(static_cast<int>(i)), job.features[i], place);
  const std::vector<size_t> nets = running(job, /*adapters=*/false);
  for (const size_t index : nets) run_net(job, index, pass, /*adds=*/index != nets.front());
  if (nets.empty()) return;
  const std::vector<Tensor>& sums = residuals_[last_];
  for (size_t i = 0; i < sums.size(); ++i) program.bind_last(residual_name(static_cast<int>(i)), sums[i], place);
}

void ControlSteps::run_net(const Job& job, size_t index, size_t pass, bool adds) {
  const ResolvedRequest& request = job.request;
  const ResolvedControl& control = request.controls[index];
  const ControlnetConfig& net = *pipeline_.controls.at(static_cast<size_t>(control.number)).net();
  const UnetEvaluation evaluation = job.next(pass);
  // The unconditional half is the first row of the first pass.
  const bool guess = request.control_guess || net.pooled;
  const int rows = guess && request.guided && pass == 0 ? 1 : evaluation.cfg_copies;
  StageShape shape{1, rows, request.width, request.height, UnetPart::kFull, evaluation.chunks};
  shape.control = control.number;
  shape.adds = adds;
  BoundProgram& program = programs_.step(shape);
  const float input_scale = request.scheduler->input_scale(job.call);
  std::ranges::transform(job.latent.floats(), program.host_input("latent").floats().begin(),
                         [&](float value) { return value * input_scale; });
  program.lend("hint", job.controls[index].hint);
  fill_scales(control.use.scale, request.control_guess && !net.pooled, program.host_input("scales").floats());
  const float timestep = request.scheduler->timesteps()[static_cast<size_t>(job.call)];
  for (const NamedTensors* values : {&job.controls[index].conditioning,
                                     &conditioner_.time_embeddings(timestep, request.guidance_scale, control.number)})
    for (const NamedTensor& value : *values)
      if (program.reads(value.name)) program.bind(value.name, value.tensor, 0);
  if (adds)
    for (size_t i = 0; i < residuals_[last_].size(); ++i)
      program.lend(residual_name(static_cast<int>(i)), residuals_[last_][i]);
  last_ = 1 - last_;
  program.run_to(residuals_[last_]);
}

void ControlSteps::forget() {
  for (std::vector<Tensor>& set : residuals_) set.clear();
}

}  // namespace inkstone
