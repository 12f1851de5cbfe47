// A loaded model: its components, how they are configured, and what is asked of it by default. Opening reads the headers of
// the files, no numbers.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/adapter_set.h"
#include "base/json_fwd.h"
#include "diffusion/control_file.h"
#include "diffusion/embedding_table.h"
#include "diffusion/model_settings.h"
#include "diffusion/model_traits.h"
#include "diffusion/tokenizer.h"
#include "models/config.h"
#include "upscale/upscaler.h"
#include "weights/weights.h"

namespace inkstone {

std::filesystem::path demo_model();  // the one shipped: beside the program, or in the source tree

struct Component {   // one network and its weights
  std::string name;  // its folder in diffusers' layout: "text_encoder", "unet", "vae"
  std::string kind;  // its class there: "CLIPTextModel"
  Weights weights;   // bound to its graphs: names and shapes are right
  int64_t parameters = 0;
  DType stored = DType::kF32;
  size_t file_bytes = 0;
};

struct TextEncoder {
  std::string component;  // "text_encoder", "text_encoder_2"
  ClipConfig config;
  std::unique_ptr<Tokenizer> tokenizer;
  EmbeddingTable embeddings{};  // pipeline_embeddings.h

  PromptReader reader() const { return {*tokenizer, &embeddings, config.end_is_largest}; }
};

struct Embedding {  // a textual inversion
  std::string path, name, hash;
  int64_t vectors = 0, width = 0;  // width: of all text encoders together
  std::string skipped;             // why it is not used, without the path; "": it is
};

inline constexpr std::string_view kControlPrefix = "control_";  // of the components of controls
// A ControlNet or T2I-Adapter, which draws after a picture (pipeline_controls.h).
struct Control {
  std::string name;       // of its file or folder, without the extension: what requests call it
  std::string component;  // with its weights: "control_" and the name
  std::filesystem::path path;
  ControlConfig config;

  const ControlnetConfig* net() const { return std::get_if<ControlnetConfig>(&config); }  // nullptr: a T2I-Adapter
  const T2iConfig* adapter() const { return std::get_if<T2iConfig>(&config); }
};

struct Pipeline {
  std::filesystem::path path;                             // a folder in diffusers' layout, or a single file
  std::map<std::string, std::filesystem::path> replaced;  // by component: what stands in for the model's own
  std::vector<TextEncoder> text_encoders;  // their texts side by side are the U-Net's; the last gives the pooled text
  UnetConfig unet_config;
  VaeConfig vae_config;
  std::optional<VaeConfig> preview_vae;  // preview_vae.h; its component is the last
  // The U-Net is told, in place of the wanted size, how good to look at the image is to be: SDXL's
  // refiner, which draws only on what a base model began (refine.h).
  bool takes_score = false;
  bool zeros_for_no_negative = false;   // an empty negative prompt is no text: zeros (SDXL)
  ModelTraits traits;                   // what requests depend on
  std::vector<Component> components;    // in the order they run
  std::vector<MergedAdapter> adapters;  // what the weights have merged (pipeline_adapters.h)
  std::vector<Control> controls;        // that requests may name
  std::vector<Upscaler> upscalers;      // the same (pipeline_upscalers.h)
  std::vector<Embedding> embeddings;    // by the numbers that the text encoders' tables have
  std::vector<std::string> notes;       // for people: what of it was taken from its name, or might be wrong

  // `replaced`: files or folders that stand in for components, by name ("vae"). `said`: nearer than
  // what the files say.
  static Pipeline open(const std::filesystem::path& path,
                       const std::map<std::string, std::filesystem::path>& replaced = {},
                       const ModelSettings& said = {});
  // The same of a refiner too, which traits tell.
  static Pipeline open_any(const std::filesystem::path& path,
                           const std::map<std::string, std::filesystem::path>& replaced = {},
                           const ModelSettings& said = {});
  // Only a refiner. Throws Error for another model.
  static Pipeline open_refiner(const std::filesystem::path& path);
  // Of a folder the same without the weights, which need not be there: what can be known of a model before they
  // are downloaded. `index` is what model_index.json has, or will have; `source` its name for errors.
  static Pipeline describe(const std::filesystem::path& folder, Json index, const std::string& source);
  // Throws Error if model_index.json is of a pipeline that is not run here.
  static void check_index(const Json& index, const std::string& source);
  const Component& component(std::string_view name) const;  // Error where there is none of that name
  // of the folder, the file without its extension, or the hub id it was cached under
  std::string name() const;
  int tokens() const;     // of a prompt: 77
  int vae_scale() const;  // pixels for each latent pixel: 8 for SD 1.5
};

}  // namespace inkstone
