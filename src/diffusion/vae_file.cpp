#include "diffusion/vae_file.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "diffusion/open_pipeline.h"
#include "diffusion/stored_component.h"
#include "weights/checkpoint.h"

namespace inkstone {
namespace {

namespace fs = std::filesystem;

VaeFile vae_of_folder(const fs::path& folder) {
  const std::string source = (folder / "config.json").string();
  VaeFile vae{vae_config(read_json(source, kMaxConfigBytes), source), /*says_scaling=*/true, {}};
  vae.weights = [folder](std::span<const WeightSpec> specs) {
    Weights weights = Weights::open(folder);
    weights.bind(specs);
    return weights;
  };
  return vae;
}

struct OpenedFile {
  std::shared_ptr<const Checkpoint> file;
  StoredComponent at;
  VaeConfig config;
};

OpenedFile opened(const fs::path& path) {
  OpenedFile vae{std::make_shared<const Checkpoint>(path), {}, {}};
  const auto found = find_vae(*vae.file, /*whole=*/false);
  INKSTONE_CHECK(found, path.string(), " holds no vae: no tensor has a name that one has");
  vae.at = *found;
  vae.config = vae_config_of(*vae.file, *found, path.string());
  return vae;
}

// "taesd_encoder.safetensors" for "taesd_decoder.safetensors"; empty where the name has no such word.
fs::path other_half(const fs::path& path) {
  constexpr std::string_view kDecoder = "decoder", kEncoder = "encoder";
  std::string name = path.filename().string();
  const size_t at = name.rfind(kDecoder);
  if (at == std::string::npos) return {};
  return path.parent_path() / name.replace(at, kDecoder.size(), kEncoder);
}

// Adds the encoder that lies beside a decoder alone.
void complete(OpenedFile& decoder, std::optional<OpenedFile>& encoder, const fs::path& path) {
  const fs::path beside = other_half(path);
  if (decoder.config.has_encoder() || beside.empty() || !fs::exists(beside)) return;
  OpenedFile other = opened(beside);
  const bool fits = !other.config.has_decoder() && other.config.channels == decoder.config.channels &&
                    other.config.latent == decoder.config.latent;
  INKSTONE_CHECK(fits, beside.string(), ": it lies beside ", path.filename().string(),
                 " and is no encoder for it; give the decoder from a folder of its own");
  decoder.config.tiny->encoder = other.config.tiny->encoder;
  encoder = std::move(other);
}

VaeFile vae_of_file(const fs::path& path) {
  OpenedFile own = opened(path);
  std::optional<OpenedFile> encoder;
  if (own.config.tiny) complete(own, encoder, path);
  INKSTONE_CHECK(own.config.has_decoder(), path.string(),
                 ": TAESD's encoder alone, which draws no image: give its decoder (taesd_decoder), and leave this "
                 "file beside it");
  VaeFile vae{own.config, own.config.tiny.has_value(), {}};
  vae.weights = [own, encoder](std::span<const WeightSpec> specs) {
    Weights weights = find_vae_weights(*own.file, own.at, own.config, specs);
    if (encoder) weights.join(find_vae_weights(*encoder->file, encoder->at, own.config, specs));
    weights.bind(specs);
    return weights;
  };
  return vae;
}

}  // namespace

VaeFile open_vae(const fs::path& path) { return fs::is_directory(path) ? vae_of_folder(path) : vae_of_file(path); }

std::string taesd_name_warning(const fs::path& path, bool sdxl) {
  const fs::path own = path.has_filename() ? path : path.parent_path();
  std::string name = own.parent_path().filename().string() + "/" + own.filename().string();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool of_xl = name.find("taesdxl") != std::string::npos, of_sd = !of_xl && name.find("taesd") != name.npos;
  if (sdxl ? !of_sd : !of_xl) return "";
  return shown(own.string()) +
         (sdxl ? " is TAESD by its name, for SD 1.x and 2.x, and the model is SDXL: colours will be wrong; TAESDXL fits"
               : " is TAESDXL by its name, for SDXL, and the model is not: colours will be wrong; TAESD fits");
}

}  // namespace inkstone
