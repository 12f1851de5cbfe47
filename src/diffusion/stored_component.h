// The networks of a file that has no configurations: which are there, under which names, and what
// their shapes say.
#pragma once

#include <optional>
#include <string>

#include "models/config.h"
#include "weights/checkpoint.h"

namespace inkstone {

// kDiffusers: as in folders of diffusers and transformers; kLdm: as the training code named a U-Net
// or VAE; kOpenClip: a text encoder of OpenCLIP's; kTaesd: TAESD's halves in one file, as ComfyUI has them;
// kTaesdDecoder, kTaesdEncoder: a half alone, as TAESD's own files have it.
enum class Naming { kDiffusers, kLdm, kOpenClip, kTaesd, kTaesdDecoder, kTaesdEncoder };

struct StoredComponent {
  std::string prefix;  // before every name
  Naming naming = Naming::kDiffusers;
};

// The first of the layouts in use that the file has. `whole`: below the prefixes of whole models;
// else also by itself.
std::optional<StoredComponent> find_unet(const Checkpoint& file, bool whole);
std::optional<StoredComponent> find_vae(const Checkpoint& file, bool whole);
std::optional<StoredComponent> find_text_encoder(const Checkpoint& file);  // by itself
bool has_text_encoder(const Checkpoint& file, const StoredComponent& at);

// They throw Error naming `source` and the tensor.
UnetConfig unet_config_of(const Checkpoint& file, const StoredComponent& at, const std::string& source);
// Of a tiny autoencoder the configuration says which half the file has.
VaeConfig vae_config_of(const Checkpoint& file, const StoredComponent& at, const std::string& source);
// OpenCLIP's text is taken before the last layer. Of a file without a projection it is 0.
ClipConfig clip_config_of(const Checkpoint& file, const StoredComponent& at, const std::string& source);

Weights unet_weights(const Checkpoint& file, const StoredComponent& at, const UnetConfig& config,
                     std::span<const WeightSpec> specs);
// Not bound, of the VAE as of its halves.
Weights find_vae_weights(const Checkpoint& file, const StoredComponent& at, const VaeConfig& config,
                         std::span<const WeightSpec> specs);
Weights vae_weights(const Checkpoint& file, const StoredComponent& at, const VaeConfig& config,
                    std::span<const WeightSpec> specs);
Weights text_weights(const Checkpoint& file, const StoredComponent& at, std::span<const WeightSpec> specs);

}  // namespace inkstone
