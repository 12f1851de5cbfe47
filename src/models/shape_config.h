// The configuration of networks from the names and shapes of their tensors, for files that have no
// config.json. What no shape tells is as in the published models: groups of 32, heads of 64 channels
// (eight heads in a U-Net of SD 1.x, which is known by its convolutions around the transformers).
#pragma once

#include <functional>
#include <string>

#include "models/config.h"

namespace inkstone {

// The shape of the tensor of that name in the file, or nullptr.
using ShapeOf = std::function<const Shape*(const std::string& stored)>;
// What the file calls the tensor of that name in diffusers' and transformers' layout.
using StoredNameOf = std::function<std::string(const std::string& name)>;
// Of a U-Net the name may depend on what is known already of the levels before it.
using UnetNameOf = std::function<std::string(const std::string& name, const UnetConfig& so_far)>;

// Whether a half of a tiny autoencoder is there.
bool is_tiny_vae(const ShapeOf& shape_of, const StoredNameOf& name_of);

// They throw Error naming `source` and the tensor that is missing or has an impossible shape.
UnetConfig unet_config_of(const ShapeOf& shape_of, const UnetNameOf& name_of, const std::string& source);
VaeConfig vae_config_of(const ShapeOf& shape_of, const StoredNameOf& name_of, const std::string& source);
ClipConfig clip_config_of(const ShapeOf& shape_of, const StoredNameOf& name_of, const std::string& source);

}  // namespace inkstone
