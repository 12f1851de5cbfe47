#include "diffusion/conditioner.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace inkstone {
namespace {

// Cosines and sines of a number at frequencies that fall from 1 to about 1 / 10000: 10000^(-i / last).
void embed(float number, float last, std::span<float> cosines, std::span<float> sines) {
  for (size_t i = 0; i < cosines.size(); ++i) {
    const float angle = number * std::exp(-std::log(10000.0f) * static_cast<float>(i) / last);
    cosines[i] = std::cos(angle);
    sines[i] = std::sin(angle);
  }
}

// The guidance embedding for a model that was distilled with guidance (diffusers:
// pipelines/latent_consistency_models, get_guidance_scale_embedding).
void embed_guidance(float guidance, std::span<float> to) {
  const size_t half = to.size() / 2;
  embed(1000 * (guidance - 1), static_cast<float>(half - 1), to.subspan(half, half), to.first(half));
}

// One number of the image's size, as SDXL takes them (diffusers: models/embeddings,
// get_timestep_embedding with flip_sin_to_cos, no shift).
void embed_number(float number, std::span<float> to) {
  const size_t half = to.size() / 2;
  embed(number, static_cast<float>(half), to.first(half), to.subspan(half, half));
}

// What SDXL is told of an image beside its text: the pooled text, then the height and width that the
// training image had, where it was cut (top, left), and the size that is wanted (the refiner: how
// good to look at it is). All of an image that was not cut.
std::vector<float> numbers_of(const Pipeline& pipeline, float score, int width, int height) {
  const auto w = static_cast<float>(width), h = static_cast<float>(height);
  if (pipeline.takes_score) return {h, w, 0, 0, score};
  return {h, w, 0, 0, h, w};
}

void fill_added(const Tensor& pooled, const std::vector<float>& numbers, int channels, std::span<float> to) {
  to = to.subspan(static_cast<size_t>(std::ranges::copy(pooled.floats(), to.begin()).out - to.begin()));
  for (const float number : numbers) {
    embed_number(number, to.first(static_cast<size_t>(channels)));
    to = to.subspan(static_cast<size_t>(channels));
  }
}

// The empty prompt as the text would have it: what fills it up, and what its weights are measured against.
EncoderText empty_beside(const EncoderText& text) { return {{text.text.syntax, {{}}}, text.clip_skip}; }

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
      kept_(1 + pipeline.controls.size()) {}

void Conditioner::forget() {
  texts_.clear();
  for (Kept& kept : kept_) kept = Kept();
}

const PipelineStage* Conditioner::stage_of(DependsOn depends, int control) {
  for (const PipelineStage& stage : programs_.before_steps())
    if (!stage.values.empty() && stage.depends == depends && stage.control == control) return &stage;
  return nullptr;
}

NamedTensors Conditioner::named(const PipelineStage& stage, std::vector<Tensor> tensors) const {
  NamedTensors result;
  for (size_t i = 0; i < tensors.size(); ++i) result.push_back({stage.values[i], std::move(tensors[i])});
  return result;
}

const EncodedText& Conditioner::text_of(const EncoderText& text) {
  if (const EncodedText* kept = texts_.find(text)) return *kept;
  return texts_.put(text, text.none ? zeros(1) : encode(text));
}

EncodedText Conditioner::zeros(int64_t chunks) const {
  EncodedText none;
  none.text = Tensor({1, pipeline_.tokens() * chunks, pipeline_.unet_config.context});
  if (pipeline_.unet_config.added) none.pooled = Tensor({1, pipeline_.text_encoders.back().config.projection});
  return none;
}

// The encoder's own vectors of its ids, and the embeddings' of theirs.
void Conditioner::fill_vectors(const TextEncoder& encoder, std::span<const int32_t> ids, std::span<float> to) const {
  const WeightView& own = pipeline_.component(encoder.component).weights.find(kTokenVectors);
  const size_t width = to.size() / ids.size(), row = width * size_of(own.type);
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::span<float> place = to.subspan(i * width, width);
    if (encoder.embeddings.holds(ids[i]))
      std::ranges::copy(encoder.embeddings.vector(ids[i]), place.begin());
    else
      to_float(own.type, own.bytes.data() + static_cast<size_t>(ids[i]) * row, place.data(), width);
  }
}

// [1, 77, width] of one encoder, weighted. `pooled` is set where the encoder makes it.
Tensor Conditioner::encode_chunk(const TextEncoder& encoder, const EncoderText& text, const PromptChunk& chunk,
                                 Tensor* pooled) {
  const bool own = std::ranges::none_of(chunk.ids, [&](int32_t id) { return encoder.embeddings.holds(id); });
  BoundProgram& program =
      programs_.text_encoder(encoder, {text.clip_skip, own ? ClipInput::kIds : ClipInput::kVectors});
  if (own)
    std::ranges::copy(chunk.ids, program.host_input("ids").ints().begin());
  else
    fill_vectors(encoder, chunk.ids, program.host_input("vectors").floats());
  if (program.reads("end")) program.host_input("end").ints()[0] = chunk.end;
  const std::vector<Tensor> made = programs_.run_before_steps(program);
  Tensor hidden = on_host(made[0]);
  check_finite(hidden.floats(), "the text encoder");
  if (pooled && made.size() > 1) *pooled = on_host(made[1]);
  if (!chunk.weighted()) return hidden;
  if (text.text.syntax == PromptSyntax::kA1111) {
    weigh_as_a1111(hidden.floats(), chunk.weights);
  } else {
    const EncoderText empty = empty_beside(text);
    const PromptChunks none = prompt_chunks(empty.text, encoder.reader(), 1);
    weigh_as_comfy(hidden.floats(), encode_chunk(encoder, empty, none.chunks[0], nullptr).floats(), chunk.weights);
  }
  return hidden;
}

EncodedText Conditioner::encode(const EncoderText& text) {
  std::vector<PromptChunks> read;
  size_t most = 1;
  for (const TextEncoder& encoder : pipeline_.text_encoders) {
    read.push_back(prompt_chunks(text.text, encoder.reader(), kMaxPromptChunks));
    most = std::max(most, read.back().chunks.size());
  }
  EncodedText all = zeros(static_cast<int64_t>(most));
  const int64_t width = all.text.dim(2);
  int64_t column = 0;
  for (size_t i = 0; i < read.size(); ++i) {
    const TextEncoder& encoder = pipeline_.text_encoders[i];
    std::vector<PromptChunk>& chunks = read[i].chunks;
    if (chunks.size() < most)
      chunks.resize(most, prompt_chunks(empty_beside(text).text, encoder.reader(), 1).chunks[0]);
    int64_t token = 0;
    for (size_t chunk = 0; chunk < most; ++chunk) {
      const Tensor hidden = encode_chunk(encoder, text, chunks[chunk], chunk == 0 ? &all.pooled : nullptr);
      const auto own = static_cast<size_t>(hidden.dim(2));
      for (int64_t row = 0; row < hidden.dim(1); ++row, ++token)
        std::ranges::copy(hidden.floats().subspan(static_cast<size_t>(row) * own, own),
                          all.text.floats().begin() + token * width + column);
    }
    column += encoder.config.width;
  }
  return all;
}

Tensor Conditioner::on_host(const Tensor& made) const {
  Tensor host(made.shape(), made.type());
  backend_.copy(made, 0, host, 0, made.bytes());
  return host;
}

Tensor Conditioner::chunk_of(const EncoderText& text, int64_t chunk) {
  const EncodedText* from = &text_of(text);
  const int64_t tokens = pipeline_.tokens();
  if (chunk * tokens >= from->text.dim(1)) {
    if (!text.none) from = &text_of(empty_beside(text));
    chunk = 0;
  }
  Tensor piece({1, tokens, from->text.dim(2)});
  std::ranges::copy(from->text.floats().subspan(static_cast<size_t>(chunk * piece.size()), piece.floats().size()),
                    piece.floats().begin());
  return piece;
}

// Keys and values are made of each token alone, so those of several chunks are one after another.
const NamedTensors& Conditioner::cross_kv_of(const EncoderText& text, const ForImage& image) {
  const int chunks = image.chunks;
  const std::pair key{text, chunks};
  auto& cross_kv = kept(image.control).cross_kv;
  if (const NamedTensors* made = cross_kv.find(key)) return *made;
  const PipelineStage* stage = stage_of(DependsOn::kPrompt, image.control);
  if (!stage) return cross_kv.put(key, {});
  std::vector<Tensor> pieces;
  for (int chunk = 0; chunk < chunks; ++chunk) pieces.push_back(chunk_of(text, chunk));
  std::vector<Tensor> all;
  for (size_t chunk = 0; chunk < pieces.size(); ++chunk) {
    BoundProgram& program = programs_.before_steps(stage->name);
    program.lend("text", pieces[chunk]);
    std::vector<Tensor> made = programs_.run_before_steps(program);
    if (chunks == 1) return cross_kv.put(key, named(*stage, std::move(made)));
    for (size_t i = 0; i < made.size(); ++i) {
      if (chunk == 0) all.push_back(backend_.tensor({1, made[i].dim(1) * chunks, made[i].dim(2)}, made[i].type()));
      backend_.copy(made[i], 0, all[i], chunk * made[i].bytes(), made[i].bytes());
    }
  }
  return cross_kv.put(key, named(*stage, std::move(all)));
}

const NamedTensors& Conditioner::added_of(const EncoderText& text, const ForImage& image) {
  const std::tuple key{text, image.width, image.height};
  auto& added = kept(image.control).added;
  if (const NamedTensors* made = added.find(key)) return *made;
  const PipelineStage* stage = stage_of(DependsOn::kRequest, image.control);
  if (!stage) return added.put(key, {});
  const Tensor& pooled = text_of(text).pooled;
  BoundProgram& program = programs_.before_steps(stage->name);
  fill_added(pooled, numbers_of(pipeline_, text.score, image.width, image.height), pipeline_.unet_config.added_time,
             program.host_input("added").floats());
  return added.put(key, named(*stage, programs_.run_before_steps(program)));
}

NamedTensors Conditioner::of_texts(const std::vector<EncoderTextRef>& texts, const ForImage& image) {
  // all texts, before it is the U-Net's turn
  for (const EncoderTextRef text : texts) text_of(*text);
  NamedTensors made;
  const auto add = [&](size_t row, size_t first, const NamedTensors& own) {
    for (size_t i = 0; i < own.size(); ++i) {
      const Tensor& from = own[i].tensor;
      if (row == 0) {
        Shape shape = from.shape();
        shape[0] = static_cast<int64_t>(texts.size());
        made.push_back({own[i].name, backend_.tensor(shape, from.type())});
      }
      backend_.copy(from, 0, made[first + i].tensor, row * from.bytes(), from.bytes());
    }
  };
  for (size_t row = 0; row < texts.size(); ++row) add(row, 0, cross_kv_of(*texts[row], image));
  const size_t first = made.size();
  for (size_t row = 0; row < texts.size(); ++row) add(row, first, added_of(*texts[row], image));
  return made;
}

const NamedTensors& Conditioner::time_embeddings(float timestep, float guidance_scale, int control) {
  const bool distilled = pipeline_.traits.distilled && control < 0;
  auto& time_embeddings = kept(control).time_embeddings;
  const std::pair key{timestep, distilled ? guidance_scale : 0};
  if (const NamedTensors* made = time_embeddings.find(key)) return *made;
  const PipelineStage* stage = stage_of(DependsOn::kTimestep, control);
  if (!stage) return time_embeddings.put(key, {});
  BoundProgram& program = programs_.before_steps(stage->name);
  program.host_input("timestep").floats()[0] = timestep;
  if (distilled) embed_guidance(guidance_scale, program.host_input("guidance").floats());
  return time_embeddings.put(key, named(*stage, programs_.run_before_steps(program)));
}

}  // namespace inkstone
