#include "convert/model_folder.h"

#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/spelling.h"
#include "diffusion/clip_files.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/tokenizer_files.h"
#include "models/config_json.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTokenizerFile = size_t{64} << 20;
constexpr const char* kOfTokenizer[] = {
    "tokenizer.json",          "vocab.json",       "merges.txt", "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json"};
// The version whose form the files have: it loads what later ones write as well.
constexpr const char* kDiffusers = "0.30.0";

class FolderMaker {
 public:
  FolderMaker(const WholeModel& model, const fs::path& source, std::optional<DType> type)
      : model_(model), m_(model.pipeline), source_(source), type_(type) {}

  std::vector<FolderFile> make() {
    for (size_t i = 0; i < model_.texts.size(); ++i) {
      add_component(m_.text_encoders[i].component, model_.folder_of(i), clip_json(model_.texts[i]),
                    "model.safetensors");
      add_tokenizer(i);
    }
    UnetConfig unet = m_.unet_config;
    add_component("unet", "unet", unet_json(unet), "diffusion_pytorch_model.safetensors");
    JsonObject vae = vae_json(m_.vae_config);
    if (!m_.vae_config.tiny) vae["sample_size"] = unet.sample_width * m_.vae_scale();
    INKSTONE_CHECK_USAGE(m_.vae_config.has_encoder(), m_.replaced.at("vae").string(),
                         ": a decoder alone, and a folder's VAE has an encoder too: put taesd_encoder beside it");
    add_component("vae", "vae", std::move(vae), "diffusion_pytorch_model.safetensors");
    add_json("scheduler/scheduler_config.json", scheduler());
    add_defaults();
    add_json("model_index.json", index());
    return std::move(files_);
  }

 private:
  void add_text(const std::string& path, std::string text) { files_.push_back({path, std::move(text), {}}); }
  void add_json(const std::string& path, const JsonObject& json) { add_text(path, json_text(json) + "\n"); }

  void add_component(const std::string& name, const std::string& folder, JsonObject made, const char* file) {
    const fs::path own = source_ / folder / "config.json";
    JsonObject config = std::move(made);
    if (fs::is_directory(source_) && !m_.replaced.contains(name)) {
      config = read_json(own, kMaxConfigBytes).as_object();
    } else if (config.contains("_class_name")) {
      config["_diffusers_version"] = kDiffusers;
    }
    const Weights& weights = model_.weights.at(name);
    if (name.starts_with("text_encoder")) {
      config.erase("dtype");
      config["torch_dtype"] = torch_type(type_.value_or(weights.type()));
    }
    add_json(folder + "/config.json", config);
    FolderFile& tensors = files_.emplace_back();
    tensors.path = folder + "/" + file;
    tensors.has_tensors = true;
    for (const WeightSpec& spec : weights.specs())
      tensors.tensors.push_back(tensor_to_write(spec.name, weights, spec.name, type_));
    for (TensorToWrite& tensor : tensors.tensors) tensor.shape = tensor.view.shape;
  }

  std::string number_of(size_t encoder) const {
    return model_.folder_of(encoder).substr(std::size("text_encoder") - 1);
  }

  static const char* torch_type(DType type) {
    return type == DType::kF16 ? "float16" : type == DType::kBF16 ? "bfloat16" : "float32";
  }

  void add_tokenizer(size_t encoder) {
    const std::string folder = "tokenizer" + number_of(encoder);
    if (!fs::is_directory(source_)) return add_clip_tokenizer(folder, model_.is_open_clip(encoder));
    for (const char* name : kOfTokenizer)
      if (is_listed(source_ / folder / name))
        add_text(folder + "/" + name, read_file(source_ / folder / name, kMaxTokenizerFile));
  }

  // CLIP's own. OpenCLIP fills a prompt up with "!", the others with the end token.
  void add_clip_tokenizer(const std::string& folder, bool open_clip) {
    const std::string_view merges = clip_files().front().bytes;
    JsonObject vocabulary;
    for (const auto& [token, id] : tokenizer_of_merges(merges).vocabulary) vocabulary[token] = id;
    constexpr const char *kStart = "<|startoftext|>", *kEnd = "<|endoftext|>";
    const char* padding = open_clip ? "!" : kEnd;
    const auto added = [](const char* content) {
      return JsonObject{
          {"content", content}, {"lstrip", false}, {"normalized", true}, {"rstrip", false}, {"single_word", false}};
    };
    add_json(folder + "/vocab.json", vocabulary);
    add_text(folder + "/merges.txt", std::string(merges));
    add_json(
        folder + "/special_tokens_map.json",
        {{"bos_token", added(kStart)}, {"eos_token", added(kEnd)}, {"pad_token", padding}, {"unk_token", added(kEnd)}});
    add_json(folder + "/tokenizer_config.json", {{"add_prefix_space", false},
                                                 {"bos_token", added(kStart)},
                                                 {"do_lower_case", true},
                                                 {"eos_token", added(kEnd)},
                                                 {"errors", "replace"},
                                                 {"model_max_length", m_.tokens()},
                                                 {"pad_token", padding},
                                                 {"tokenizer_class", "CLIPTokenizer"},
                                                 {"unk_token", added(kEnd)}});
  }

  JsonObject scheduler() const {
    JsonObject config = m_.traits.scheduler->is_object() ? m_.traits.scheduler->get_object() : JsonObject();
    if (!config.contains("_diffusers_version")) config["_diffusers_version"] = kDiffusers;
    return config;
  }

  void add_defaults() {
    const fs::path own = source_ / "generation_config.json";
    if (fs::is_directory(source_)) {
      if (is_listed(own)) add_text("generation_config.json", read_file(own, kMaxConfigBytes));
      return;
    }
    JsonObject said;
    if (m_.traits.steps != ModelTraits().steps) said["num_inference_steps"] = m_.traits.steps;
    const float usual = model_.xl() ? kGuidanceOfXl : ModelTraits().guidance_scale;
    if (m_.traits.guidance_scale != usual) said["guidance_scale"] = shortest(m_.traits.guidance_scale);
    if (!said.empty()) add_json("generation_config.json", said);
  }

  JsonObject index() const {
    if (fs::is_directory(source_)) return own_index();
    const char* kind = model_.refiner() ? "StableDiffusionXLImg2ImgPipeline"
                       : model_.xl()    ? "StableDiffusionXLPipeline"
                                        : "StableDiffusionPipeline";
    JsonObject index{{"_class_name", kind},
                     {"_diffusers_version", kDiffusers},
                     {"feature_extractor", JsonArray{nullptr, nullptr}},
                     {"image_encoder", JsonArray{nullptr, nullptr}}};
    if (model_.xl())
      index["force_zeros_for_empty_prompt"] = m_.zeros_for_no_negative;
    else
      index["safety_checker"] = JsonArray{nullptr, nullptr}, index["requires_safety_checker"] = false;
    if (model_.refiner()) {
      index["requires_aesthetics_score"] = true;
      index["text_encoder"] = index["tokenizer"] = JsonArray{nullptr, nullptr};
    }
    index["scheduler"] = JsonArray{"diffusers", scheduler()["_class_name"]};
    for (size_t i = 0; i < model_.texts.size(); ++i) {
      const std::string number = number_of(i);
      index["text_encoder" + number] =
          JsonArray{"transformers", model_.texts[i].projection ? "CLIPTextModelWithProjection" : "CLIPTextModel"};
      index["tokenizer" + number] = JsonArray{"transformers", "CLIPTokenizer"};
    }
    index["unet"] = JsonArray{"diffusers", "UNet2DConditionModel"};
    index["vae"] = JsonArray{"diffusers", vae_class(m_.vae_config)};
    return index;
  }

  // Without the components that are not written.
  JsonObject own_index() const {
    JsonObject index = read_json(source_ / "model_index.json", kMaxConfigBytes).as_object();
    for (const char* other : {"safety_checker", "feature_extractor", "image_encoder"})
      if (index.contains(other)) index[other] = JsonArray{nullptr, nullptr};
    if (m_.replaced.contains("vae")) index["vae"] = JsonArray{"diffusers", vae_class(m_.vae_config)};
    return index;
  }

  const WholeModel& model_;
  const Pipeline& m_;
  const fs::path& source_;
  std::optional<DType> type_;
  std::vector<FolderFile> files_;
};

}  // namespace

std::vector<FolderFile> folder_files_of(const WholeModel& model, const fs::path& source, std::optional<DType> type) {
  return FolderMaker(model, source, type).make();
}

}  // namespace inkstone
