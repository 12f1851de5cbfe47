#include "diffusion/pipeline.h"

#include <algorithm>

#include "base/error.h"
#include "diffusion/few_step.h"
#include "diffusion/model_folder.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/vae_file.h"
#include "models/clip.h"
#include "models/config_json.h"
#include "models/unet.h"
#include "models/vae.h"

namespace inkstone {

namespace fs = std::filesystem;

namespace {

std::vector<WeightSpec> specs_of(const std::vector<Graph>& graphs) {
  std::vector<WeightSpec> specs;
  for (const Graph& graph : graphs)
    for (const NamedShape& weight : weights_of(graph)) specs.push_back({weight.name, weight.shape});
  return specs;
}

}  // namespace

Opening open_model(const fs::path& path, const std::map<std::string, fs::path>& replaced, const ModelSettings& said) {
  INKSTONE_CHECK(fs::exists(path), path.string(), ": no such file or folder");
  Opening opening = fs::is_directory(path) ? open_folder(path) : open_checkpoint(path, said);
  for (const auto& [component, file] : replaced) replace_component(opening, component, file);
  opening.said = said;
  return opening;
}

Pipeline Pipeline::open(const fs::path& path, const std::map<std::string, fs::path>& replaced,
                        const ModelSettings& said) {
  return finish(open_model(path, replaced, said));
}

Pipeline Pipeline::open_any(const fs::path& path, const std::map<std::string, fs::path>& replaced,
                            const ModelSettings& said) {
  Opening opening = open_model(path, replaced, said);
  opening.role = Opening::Role::kAny;
  return finish(std::move(opening));
}

Pipeline Pipeline::open_refiner(const fs::path& path) {
  INKSTONE_CHECK(fs::exists(path), path.string(), ": no such file or folder");
  Opening opening = fs::is_directory(path) ? open_folder(path) : open_checkpoint(path);
  opening.role = Opening::Role::kRefines;
  return finish(std::move(opening));
}

namespace {

using FileOf = decltype(Opening::file_of);

// The tokenizer of an encoder's folder: "tokenizer_2" of "text_encoder_2".
std::string tokenizer_of(const TextEncoder& encoder) {
  return "tokenizer" + encoder.component.substr(std::size("text_encoder") - 1);
}

void check_encoder(const TextEncoder& encoder, const Pipeline& m, const FileOf& file_of) {
  const std::string file = file_of(encoder.component, "config.json");
  const ClipConfig& config = encoder.config;
  INKSTONE_CHECK(encoder.tokenizer->max_length() == config.tokens,
                 file_of(tokenizer_of(encoder), "tokenizer_config.json"), ": the tokenizer gives ",
                 encoder.tokenizer->max_length(), " tokens (model_max_length), the text encoder takes ", config.tokens,
                 " (max_position_embeddings in ", file, ")");
  INKSTONE_CHECK(encoder.tokenizer->vocabulary() <= config.vocabulary, file, ": the text encoder has ",
                 config.vocabulary, " tokens (vocab_size), the tokenizer ", encoder.tokenizer->vocabulary());
  INKSTONE_CHECK(config.tokens == m.tokens(), file, ": the text encoder takes ", config.tokens,
                 " tokens (max_position_embeddings), the other ", m.tokens());
}

// SDXL's U-Net is told of six numbers beside the pooled text; the refiner's of five, the last of
// which is a score.
constexpr int kNumbers = 6, kNumbersOfRefiner = 5;

void check_added(const Pipeline& m, const FileOf& file_of, Opening::Role role) {
  const UnetConfig& unet = m.unet_config;
  const int pooled = m.text_encoders.back().config.projection;
  const std::string file = file_of("unet", "config.json");
  INKSTONE_CHECK(
      pooled, file,
      ": the U-Net is SDXL's (addition_embed_type), and this model has not SDXL's text encoders: name an SDXL "
      "model with --model");
  INKSTONE_CHECK(!m.takes_score || role != Opening::Role::kDraws, file,
                 ": this is SDXL's refiner, which finishes what a base model began and draws nothing by itself: name a "
                 "base model with --model, and this one with --refiner");
  if (m.takes_score) return;
  INKSTONE_CHECK(unet.added == pooled + kNumbers * unet.added_time, file, ": the U-Net takes ", unet.added,
                 " numbers beside the text (projection_class_embeddings_input_dim), the pooled text of the last text "
                 "encoder (projection_dim) and six numbers of ",
                 unet.added_time, " (addition_time_embed_dim) make ", pooled + kNumbers * unet.added_time);
}

void check_texts(const Opening& opening) {
  const Pipeline& m = opening.pipeline;
  const FileOf& file_of = opening.file_of;
  int width = 0;
  for (const TextEncoder& encoder : m.text_encoders) width += encoder.config.width;
  if (m.unet_config.added) check_added(m, file_of, opening.role);
  INKSTONE_CHECK(m.takes_score || opening.role != Opening::Role::kRefines, file_of("unet", "config.json"),
                 ": this is no refiner of SDXL (its U-Net is told no score of the image): name it with --model, and "
                 "leave --refiner out");
  const char* several = m.text_encoders.size() > 1 ? "the text encoders together are " : "the text encoder is ";
  INKSTONE_CHECK(width == m.unet_config.context, file_of(m.text_encoders.back().component, "config.json"), ": ",
                 several, width, " wide (hidden_size), the U-Net takes ", m.unet_config.context,
                 " (cross_attention_dim in ", file_of("unet", "config.json"), ")");
  for (const TextEncoder& encoder : m.text_encoders) check_encoder(encoder, m, file_of);
}

void add_component(Opening& opening, const std::string& name, const char* kind, const std::vector<Graph>& graphs) {
  opening.pipeline.components.push_back(open_component(
      name, kind, graphs, [&](std::span<const WeightSpec> specs) { return opening.weights(name, specs); }));
}

// A tiny VAE that stands in for the model's own.
void check_name_of_taesd(Pipeline& m) {
  const auto replaced = m.replaced.find("vae");
  if (!m.vae_config.tiny || replaced == m.replaced.end()) return;
  if (std::string warning = taesd_name_warning(replaced->second, m.unet_config.added > 0); !warning.empty())
    m.notes.push_back(std::move(warning));
}

}  // namespace

Component open_component(const std::string& name, const char* kind, const std::vector<Graph>& graphs,
                         const TakeWeights& weights) {
  const std::vector<WeightSpec> specs = specs_of(graphs);
  Component component{name, kind, weights(specs)};
  for (const WeightSpec& spec : specs) component.parameters += count(spec.shape);
  component.stored = component.weights.type();
  component.file_bytes = component.weights.total_bytes();
  return component;
}

// Each component is right by itself; the file that is named is the one that fits no other.
bool is_told_a_score(const Pipeline& m) {
  const UnetConfig& unet = m.unet_config;
  const int pooled = m.text_encoders.back().config.projection;
  return unet.added && pooled && unet.added == pooled + kNumbersOfRefiner * unet.added_time;
}

// The latent, a mask and the masked picture's latent.
bool reads_mask(const UnetConfig& unet) { return unet.in_channels == 2 * unet.out_channels + 1; }

void check_fit(const Opening& opening) {
  const Pipeline& m = opening.pipeline;
  const auto file = [&](const char* component) { return opening.file_of(component, "config.json"); };
  const UnetConfig& unet = m.unet_config;
  INKSTONE_CHECK(unet.in_channels == unet.out_channels || reads_mask(unet), file("unet"), ": the U-Net takes ",
                 unet.in_channels, " channels (in_channels) and gives ", unet.out_channels,
                 " (models of depth maps and of instructions are not supported)");
  INKSTONE_CHECK(m.vae_config.latent == unet.out_channels, file("vae"), ": the VAE has ", m.vae_config.latent,
                 " latent channels (latent_channels), the U-Net ", unet.out_channels, " (out_channels in ",
                 file("unet"), ")");
  check_texts(opening);
}

// The name is that of the U-Net's file, because that is what was distilled.
void set_few_steps(Opening& opening) {
  Pipeline& m = opening.pipeline;
  const auto replaced = m.replaced.find("unet");
  const bool own = replaced == m.replaced.end();
  std::optional<FewStep> what = few_step_of_name(own ? m.name() : replaced->second.stem().string());
  if (!what) what = few_step_of_name(opening.title, "by its metadata");
  if (!what && own && opening.few_step_packing) what = few_step_of_name("sd-turbo", "by its tensors' names");
  if (!what) what = few_step_of_scheduler(m.traits);
  if (m.unet_config.guidance_channels) what = FewStep{&distilled_guidance(), 0, "by its tensors"};
  if (opening.said.few_step) what = few_step_of_flag(*opening.said.few_step);
  const bool with_scheduler = !own || !opening.has_own_scheduler || opening.said.few_step;
  if (what) apply(*what, with_scheduler, m.traits);
  if (const int pixels = what && what->kind && with_scheduler ? what->kind->pixels : 0)
    m.unet_config.sample_width = m.unet_config.sample_height = pixels / m.vae_scale();
  m.traits.steps = opening.steps.value_or(m.traits.steps);
  m.traits.guidance_scale = opening.guidance_scale.value_or(m.traits.guidance_scale);
}

Pipeline finish(Opening opening) {
  for (const auto& [component, text] : opening.missing) fail(INKSTONE_HERE, {text});
  opening.pipeline.takes_score = is_told_a_score(opening.pipeline);
  check_fit(opening);
  Pipeline& m = opening.pipeline;
  for (const TextEncoder& encoder : m.text_encoders)
    add_component(opening, encoder.component,
                  encoder.config.projection ? "CLIPTextModelWithProjection" : "CLIPTextModel",
                  {clip_graph(encoder.config, 1)});
  const int64_t side = int64_t{1} << (m.unet_config.channels.size() - 1);
  add_component(opening, "unet", "UNet2DConditionModel", {unet_graph(m.unet_config, {1, side, side})});
  add_component(opening, "vae", vae_class(m.vae_config), vae_graphs(m.vae_config));
  check_name_of_taesd(m);
  opening.decide(m);
  set_few_steps(opening);
  apply(opening.told, m.traits);
  set_sizes(m);
  const ModelSettings& said = opening.said;
  apply(said, m.traits);
  check_settings(said, m.traits);
  if (std::string hint = prediction_hint(m.name(), m.traits); !hint.empty() && !said.prediction)
    m.notes.push_back(std::move(hint));
  if (std::string hint = few_step_hint(m.name()); !hint.empty() && m.traits.few_step.empty() && !said.few_step)
    m.notes.push_back(std::move(hint));
  return std::move(m);
}

void set_sizes(Pipeline& m) {
  m.traits.width = m.unet_config.sample_width * m.vae_scale();
  m.traits.height = m.unet_config.sample_height * m.vae_scale();
  m.traits.size_multiple = m.vae_scale();
  const ClipConfig& text = m.text_encoders.front().config;
  if (text.norm_of_text && !text.layers_after_text) m.traits.text_layers = text.layers;
  m.traits.distilled = m.unet_config.guidance_channels > 0;
  m.traits.sdxl = m.unet_config.added > 0;
  m.traits.refiner = m.takes_score;
  m.traits.encodes = m.vae_config.has_encoder();
  m.traits.inpaints = reads_mask(m.unet_config);
}

const Component& Pipeline::component(std::string_view name) const {
  const auto found = std::ranges::find(components, name, &Component::name);
  INKSTONE_CHECK(found != components.end(), path.string(), ": this model has no component \"", name, "\"");
  return *found;
}

int Pipeline::tokens() const { return text_encoders.front().config.tokens; }

int Pipeline::vae_scale() const { return inkstone::vae_scale(vae_config); }

std::string Pipeline::name() const { return model_name(path); }

fs::path demo_model() {
  std::error_code none;
  const fs::path program = fs::read_symlink("/proc/self/exe", none).parent_path();
  const fs::path places[] = {program / "demo" / "model", program / ".." / "demo" / "model",
                             program / ".." / "share" / "inkstone" / "demo" / "model",
                             fs::path(INKSTONE_SOURCE_DIR) / "demo" / "model"};
  for (const fs::path& place : places)
    if (fs::is_directory(place, none)) return fs::weakly_canonical(place);
  fail(INKSTONE_HERE,
       {"the demo model is not beside the program (", places[0].string(), "): give a model with --model"});
}

}  // namespace inkstone
