// The configuration of a single-file checkpoint's networks, from the names and shapes of their
// tensors. What no shape tells is as in the published models: groups of 32, heads of 64 channels
// (eight heads in a U-Net of SD 1.x, which is known by its convolutions around the transformers).
#pragma once

#include <functional>
#include <string>

#include "models/config.h"

namespace inkstone {

// The shape of the tensor of that name, or nullptr. Names as in ldm_names.h; those of CLIP's text
// encoder as transformers has them, with "text_model.".
using ShapeOf = std::function<const Shape*(const std::string& name)>;

// They throw Error naming `source` and the tensor that is missing or has an impossible shape.
UnetConfig ldm_unet_config(const ShapeOf& shape_of, const std::string& source);
VaeConfig ldm_vae_config(const ShapeOf& shape_of, const std::string& source);
ClipConfig ldm_clip_config(const ShapeOf& shape_of, const std::string& source);
// The text is taken from the layer before the last.
ClipConfig open_clip_config(const ShapeOf& shape_of, const std::string& source);

}  // namespace inkstone
