// Configurations as the config.json files that diffusers and transformers read: the way back of
// config.h.
#pragma once

#include "base/json_fwd.h"
#include "models/config.h"

namespace inkstone {

// Throws Error if diffusers' keys cannot say it.
JsonObject unet_json(const UnetConfig& config);
const char* vae_class(const VaeConfig& config);  // diffusers': "AutoencoderKL"
JsonObject vae_json(const VaeConfig& config);
// The text is always the last layer's, with the final norm: what else it is, is the pipeline's to say.
JsonObject clip_json(const ClipConfig& config);

}  // namespace inkstone
