#include "diffusion/stages.h"

#include "diffusion/preview_vae.h"
#include "diffusion/unet_parts.h"
#include "models/clip.h"
#include "models/vae.h"

namespace inkstone {
namespace {

DType carried_type(Precision precision) { return precision == Precision::kBf16 ? DType::kBF16 : DType::kF32; }

LatentSize latent_size(const Pipeline& pipeline, const StageShape& shape) {
  const int scale = pipeline.vae_scale();
  LatentSize size{shape.jobs, shape.height / scale, shape.width / scale, pipeline.tokens() * shape.chunks};
  size.cfg_copies = shape.cfg_copies;
  size.part = shape.part;
  size.residuals = shape.residuals;
  size.features = shape.features;
  return size;
}

}  // namespace

namespace {

// Of the network whose component and control those of `model` are.
void add_conditioning(std::vector<PipelineStage>& stages, const PipelineStage& model,
                      std::vector<ConditioningPart> parts) {
  for (ConditioningPart& part : parts) {
    if (part.values.empty()) continue;
    PipelineStage& stage = stages.emplace_back(model);
    stage.name += "_" + part.name;
    stage.graph = std::move(part.graph);
    stage.depends = part.depends;
    stage.values = std::move(part.values);
    stage.held_by_jobs = part.depends != DependsOn::kTimestep;
    stage.results_kept = stage.held_by_jobs ? kPromptsKept : kTimestepsKept;
  }
}

PipelineStage stage_of_control(const Pipeline& pipeline, int control, StagePosition position) {
  const std::string& component = pipeline.controls.at(static_cast<size_t>(control)).component;
  PipelineStage stage{component, component, position};
  stage.control = control;
  return stage;
}

}  // namespace

std::vector<PipelineStage> stages_before_steps(const Pipeline& pipeline, Precision precision,
                                               const std::vector<int>& controls) {
  std::vector<PipelineStage> stages;
  for (const TextEncoder& encoder : pipeline.text_encoders) stages.push_back(text_stage(encoder));
  const int side = pipeline.traits.size_multiple;
  const LatentSize size = latent_size(pipeline, {1, 1, side, side});
  const DType type = carried_type(precision);
  add_conditioning(stages, {"unet", "unet", StagePosition::kBeforeSteps},
                   conditioning_parts(pipeline.unet_config, size, type));
  for (const int control : controls)
    if (const ControlnetConfig* net = pipeline.controls.at(static_cast<size_t>(control)).net())
      add_conditioning(stages, stage_of_control(pipeline, control, StagePosition::kBeforeSteps),
                       conditioning_parts(*net, size, type));
  return stages;
}

PipelineStage hint_stage(const Pipeline& pipeline, int control, int width, int height) {
  PipelineStage stage = stage_of_control(pipeline, control, StagePosition::kBeforeSteps);
  const Control& one = pipeline.controls.at(static_cast<size_t>(control));
  stage.name += "_hint";
  stage.graph = one.net() ? hint_graph(*one.net(), height, width) : t2i_graph(*one.adapter(), height, width);
  return stage;
}

PipelineStage text_stage(const TextEncoder& encoder, const TextForm& form) {
  ClipConfig config = encoder.config;
  config.layers_after_text += form.clip_skip - 1;
  PipelineStage stage{encoder.component, encoder.component, StagePosition::kBeforeSteps,
                      clip_graph(config, 1, form.input)};
  stage.results_kept = kTextsKept;
  return stage;
}

PipelineStage step_stage(const Pipeline& pipeline, const StageShape& shape, Precision precision) {
  if (shape.control >= 0) {
    PipelineStage stage = stage_of_control(pipeline, shape.control, StagePosition::kEachStep);
    if (shape.adds) stage.name += "_adds";
    stage.shares_packed = shape.adds;
    stage.graph = controlnet_step(*pipeline.controls.at(static_cast<size_t>(shape.control)).net(),
                                  latent_size(pipeline, shape), shape.adds, carried_type(precision));
    return stage;
  }
  const bool shallow = shape.part == UnetPart::kShallow;
  PipelineStage stage{"unet", shallow ? "unet_shallow" : "unet", StagePosition::kEachStep,
                      unet_step(pipeline.unet_config, latent_size(pipeline, shape), carried_type(precision))};
  stage.shares_packed = shallow;
  return stage;
}

PipelineStage preview_stage(const Pipeline& pipeline, int width, int height) {
  const int scale = pipeline.vae_scale();
  PipelineStage stage{kPreviewVae, kPreviewVae, StagePosition::kEachStep,
                      vae_decoder_graph(pipeline.preview_vae.value(), 1, height / scale, width / scale)};
  stage.takes_tiling = true;
  return stage;
}

std::string_view turn_of(std::string_view component) {
  return component == kPreviewVae || component.starts_with(kControlPrefix) ? "unet" : component;
}

PipelineStage decode_stage(const Pipeline& pipeline, int width, int height) {
  const int scale = pipeline.vae_scale();
  PipelineStage stage{"vae", "vae", StagePosition::kAfterSteps,
                      vae_decoder_graph(pipeline.vae_config, 1, height / scale, width / scale)};
  stage.takes_tiling = true;
  return stage;
}

PipelineStage encode_stage(const Pipeline& pipeline, int width, int height) {
  PipelineStage stage{"vae", "vae_encoder", StagePosition::kBeforeSteps,
                      vae_encoder_graph(pipeline.vae_config, 1, height, width)};
  stage.takes_tiling = true;
  return stage;
}

}  // namespace inkstone
