#include "diffusion/conditioner.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace inkstone {
namespace {

// The guidance embedding for a model that was distilled with guidance: sin and cos of 1000
// (guidance - 1) at falling frequencies (diffusers: pipelines/latent_consistency_models,
// get_guidance_scale_embedding).
void embed_guidance(float guidance, std::span<float> to) {
  const size_t half = to.size() / 2;
  for (size_t i = 0; i < half; ++i) {
    const float angle =
        1000 * (guidance - 1) * std::exp(-std::log(10000.0f) * static_cast<float>(i) / static_cast<float>(half - 1));
    to[i] = std::sin(angle);
    to[half + i] = std::cos(angle);
  }
}

}  // namespace

std::string not_finite(const std::string& what) {
  return what + " gave NaN or infinity: no image is written; try --precision fp32, or another model file";
}

void check_finite(std::span<const float> values, const char* what) {
  if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
    throw Error(not_finite(what), INKSTONE_HERE, Error::Kind::kNotFinite);
}

Conditioner::Conditioner(const Pipeline& pipeline, Backend& backend, ProgramCache& programs)
    : pipeline_(pipeline),
      backend_(backend),
      programs_(programs),
      texts_(kTextsKept),
      of_prompt_(kPromptsKept),
      time_embeddings_(kTimestepsKept) {}

void Conditioner::forget() {
  texts_.clear();
  of_prompt_.clear();
  time_embeddings_.clear();
}

const PipelineStage* Conditioner::stage_of(DependsOn depends) {
  for (const PipelineStage& stage : programs_.before_steps())
    if (!stage.values.empty() && stage.depends == depends) return &stage;
  return nullptr;
}

NamedTensors Conditioner::named(const PipelineStage& stage, std::vector<Tensor> tensors) const {
  NamedTensors result;
  for (size_t i = 0; i < tensors.size(); ++i) result.push_back({stage.values[i], std::move(tensors[i])});
  return result;
}

const EncodedText& Conditioner::text_of(const std::string& prompt) {
  if (const EncodedText* kept = texts_.find(prompt)) return *kept;
  const Tokens tokens = pipeline_.tokenizer->encode(prompt);
  BoundProgram& program = programs_.before_steps("text_encoder");
  std::ranges::copy(tokens.ids, program.host_input("ids").ints().begin());
  std::vector<Tensor> made = programs_.run_before_steps(program);
  if (!made[0].on_device()) check_finite(made[0].floats(), "the text encoder");  // else the U-Net's output tells
  return texts_.put(prompt, {std::move(made[0]), tokens.cut});
}

const NamedTensors& Conditioner::of_prompt(const std::string& prompt) {
  if (const NamedTensors* kept = of_prompt_.find(prompt)) return *kept;
  const PipelineStage* stage = stage_of(DependsOn::kPrompt);
  if (!stage) return of_prompt_.put(prompt, {});
  const Tensor& embedding = text_of(prompt).embedding;
  BoundProgram& program = programs_.before_steps(stage->name);
  program.lend("text", embedding);
  return of_prompt_.put(prompt, named(*stage, programs_.run_before_steps(program)));
}

NamedTensors Conditioner::cross_kv_of(const std::vector<const std::string*>& prompts) {
  // all prompts, before it is the U-Net's turn
  for (const std::string* prompt : prompts) text_of(*prompt);
  NamedTensors made;
  for (size_t row = 0; row < prompts.size(); ++row) {
    const NamedTensors& own = of_prompt(*prompts[row]);
    for (size_t i = 0; i < own.size(); ++i) {
      const Tensor& from = own[i].tensor;
      if (row == 0) {
        Shape shape = from.shape();
        shape[0] = static_cast<int64_t>(prompts.size());
        made.push_back({own[i].name, backend_.tensor(shape, from.type())});
      }
      backend_.copy(from, 0, made[i].tensor, row * from.bytes(), from.bytes());
    }
  }
  return made;
}

const NamedTensors& Conditioner::time_embeddings(float timestep, float guidance_scale) {
  const bool distilled = pipeline_.traits.distilled;
  const std::pair key{timestep, distilled ? guidance_scale : 0};
  if (const NamedTensors* kept = time_embeddings_.find(key)) return *kept;
  const PipelineStage* stage = stage_of(DependsOn::kTimestep);
  if (!stage) return time_embeddings_.put(key, {});
  BoundProgram& program = programs_.before_steps(stage->name);
  program.host_input("timestep").floats()[0] = timestep;
  if (distilled) embed_guidance(guidance_scale, program.host_input("guidance").floats());
  return time_embeddings_.put(key, named(*stage, programs_.run_before_steps(program)));
}

}  // namespace inkstone
