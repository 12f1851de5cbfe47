// The names that weights have in single-file checkpoints, which keep those of the original training
// code (latent diffusion, "LDM"), from the names that they have in diffusers' folders. Names of the
// U-Net stand below "model.diffusion_model.", those of the VAE below "first_stage_model.".
#pragma once

#include <string>

#include "models/config.h"

namespace inkstone {

// "down_blocks.0.resnets.1.conv1.weight" -> "input_blocks.2.0.in_layers.2.weight". Which block a
// number means depends on how many resnets each level has.
std::string ldm_unet_name(const std::string& name, const UnetConfig& config);

// The same of a ControlNet: "controlnet_down_blocks.1.weight" -> "zero_convs.1.0.weight"
std::string ldm_controlnet_name(const std::string& name, const ControlnetConfig& config);

// A T2I-Adapter's in its own code, which has the resnets of all features in one list, from diffusers' name:
// "adapter.body.1.resnets.0.block1.weight" -> "body.2.block1.weight"
std::string t2i_name(const std::string& name, int blocks, bool light);

// "decoder.up_blocks.0.resnets.0.conv1.weight" -> "decoder.up.3.block.0.conv1.weight"
std::string ldm_vae_name(const std::string& name, const VaeConfig& config);

// OpenCLIP's name of a weight of a text encoder, from transformers' name. It keeps queries, keys and
// values in one matrix, of which a weight is a third of the rows.
struct OpenClipName {
  std::string name;
  int third = -1;           // 0 to 2; -1: the whole tensor
  bool transposed = false;  // [in, out], as its code multiplies by it from the right
};
// "text_model.encoder.layers.0.self_attn.k_proj.bias" -> "transformer.resblocks.0.attn.in_proj_bias", 1
OpenClipName open_clip_name(const std::string& name);

}  // namespace inkstone
