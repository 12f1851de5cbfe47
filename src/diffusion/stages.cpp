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
  return size;
}

}  // namespace

std::vector<PipelineStage> stages_before_steps(const Pipeline& pipeline, Precision precision) {
  std::vector<PipelineStage> stages;
  for (const TextEncoder& encoder : pipeline.text_encoders) stages.push_back(text_stage(encoder));
  const int side = pipeline.traits.size_multiple;
  for (ConditioningPart& part :
       conditioning_parts(pipeline.unet_config, latent_size(pipeline, {1, 1, side, side}), carried_type(precision))) {
    if (part.values.empty()) continue;
    PipelineStage& stage = stages.emplace_back(
        PipelineStage{"unet", "unet_" + part.name, StagePosition::kBeforeSteps, std::move(part.graph)});
    stage.depends = part.depends;
    stage.values = std::move(part.values);
    stage.held_by_jobs = part.depends != DependsOn::kTimestep;
    stage.results_kept = stage.held_by_jobs ? kPromptsKept : kTimestepsKept;
  }
  return stages;
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

std::string_view turn_of(std::string_view component) { return component == kPreviewVae ? "unet" : component; }

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
