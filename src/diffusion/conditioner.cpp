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

// One number of the image's size, as SDXL takes them: cosines, then sines, of it at falling
// frequencies (diffusers: models/embeddings, get_timestep_embedding with flip_sin_to_cos, no shift).
void embed_number(float number, std::span<float> to) {
  const size_t half = to.size() / 2;
  for (size_t i = 0; i < half; ++i) {
    const float angle = number * std::exp(-std::log(10000.0f) * static_cast<float>(i) / static_cast<float>(half));
    to[i] = std::cos(angle);
    to[half + i] = std::sin(angle);
  }
}

// What SDXL is told of an image beside its text: the pooled text, then the height and width that the
// training image had, where it was cut (top, left), and the size that is wanted. All of an image
// that was not cut.
void fill_added(const Tensor& pooled, int width, int height, int channels, std::span<float> to) {
  to = to.subspan(static_cast<size_t>(std::ranges::copy(pooled.floats(), to.begin()).out - to.begin()));
  for (const int number : {height, width, 0, 0, height, width}) {
    embed_number(static_cast<float>(number), to.first(static_cast<size_t>(channels)));
    to = to.subspan(static_cast<size_t>(channels));
  }
}

std::optional<std::string> key_of(PromptRef prompt) { return prompt ? std::optional(*prompt) : std::nullopt; }

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
      cross_kv_(kPromptsKept),
      added_(kPromptsKept),
      time_embeddings_(kTimestepsKept) {}

void Conditioner::forget() {
  texts_.clear();
  cross_kv_.clear();
  added_.clear();
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

const EncodedText& Conditioner::text_of(PromptRef prompt) {
  if (const EncodedText* kept = texts_.find(key_of(prompt))) return *kept;
  return texts_.put(key_of(prompt), prompt ? encode(*prompt) : zeros());
}

EncodedText Conditioner::zeros() const {
  EncodedText none;
  none.text = Tensor({1, pipeline_.tokens(), pipeline_.unet_config.context});
  if (pipeline_.unet_config.added) none.pooled = Tensor({1, pipeline_.text_encoders.back().config.projection});
  return none;
}

EncodedText Conditioner::encode(const std::string& prompt) {
  EncodedText all = zeros();
  const int64_t width = all.text.dim(2);
  int64_t column = 0;
  for (const TextEncoder& encoder : pipeline_.text_encoders) {
    const Tokens tokens = encoder.tokenizer->encode(prompt);
    if (all.cut.empty()) all.cut = tokens.cut;
    BoundProgram& program = programs_.before_steps(encoder.component);
    std::ranges::copy(tokens.ids, program.host_input("ids").ints().begin());
    if (program.reads("end")) program.host_input("end").ints()[0] = tokens.used - 1;
    const std::vector<Tensor> made = programs_.run_before_steps(program);
    const Tensor text = on_host(made[0]);
    check_finite(text.floats(), "the text encoder");
    for (int64_t token = 0; token < text.dim(1); ++token)
      std::ranges::copy(
          text.floats().subspan(static_cast<size_t>(token * text.dim(2)), static_cast<size_t>(text.dim(2))),
          all.text.floats().begin() + token * width + column);
    column += text.dim(2);
    if (made.size() > 1) all.pooled = on_host(made[1]);
  }
  return all;
}

Tensor Conditioner::on_host(const Tensor& made) const {
  Tensor host(made.shape(), made.type());
  backend_.copy(made, 0, host, 0, made.bytes());
  return host;
}

const NamedTensors& Conditioner::cross_kv_of(PromptRef prompt) {
  if (const NamedTensors* kept = cross_kv_.find(key_of(prompt))) return *kept;
  const PipelineStage* stage = stage_of(DependsOn::kPrompt);
  if (!stage) return cross_kv_.put(key_of(prompt), {});
  const Tensor& text = text_of(prompt).text;
  BoundProgram& program = programs_.before_steps(stage->name);
  program.lend("text", text);
  return cross_kv_.put(key_of(prompt), named(*stage, programs_.run_before_steps(program)));
}

const NamedTensors& Conditioner::added_of(PromptRef prompt, int width, int height) {
  const std::tuple key{key_of(prompt), width, height};
  if (const NamedTensors* kept = added_.find(key)) return *kept;
  const PipelineStage* stage = stage_of(DependsOn::kRequest);
  if (!stage) return added_.put(key, {});
  const Tensor& pooled = text_of(prompt).pooled;
  BoundProgram& program = programs_.before_steps(stage->name);
  fill_added(pooled, width, height, pipeline_.unet_config.added_time, program.host_input("added").floats());
  return added_.put(key, named(*stage, programs_.run_before_steps(program)));
}

NamedTensors Conditioner::of_prompts(const std::vector<PromptRef>& prompts, int width, int height) {
  // all prompts, before it is the U-Net's turn
  for (const PromptRef prompt : prompts) text_of(prompt);
  NamedTensors made;
  const auto add = [&](size_t row, size_t first, const NamedTensors& own) {
    for (size_t i = 0; i < own.size(); ++i) {
      const Tensor& from = own[i].tensor;
      if (row == 0) {
        Shape shape = from.shape();
        shape[0] = static_cast<int64_t>(prompts.size());
        made.push_back({own[i].name, backend_.tensor(shape, from.type())});
      }
      backend_.copy(from, 0, made[first + i].tensor, row * from.bytes(), from.bytes());
    }
  };
  for (size_t row = 0; row < prompts.size(); ++row) add(row, 0, cross_kv_of(prompts[row]));
  const size_t first = made.size();
  for (size_t row = 0; row < prompts.size(); ++row) add(row, first, added_of(prompts[row], width, height));
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
