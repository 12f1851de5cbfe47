// ControlNet (arXiv 2302.05543): a copy of the U-Net's first half reads a picture beside the latent and gives what the
// U-Net adds to its skips. T2I-Adapter (arXiv 2302.08453): a small network makes of the picture alone what the U-Net adds
// to its levels. Weight names are those of diffusers.
#pragma once

#include <vector>

#include "models/config.h"
#include "models/unet.h"

namespace inkstone {

// How many residuals a ControlNet gives, and the U-Net takes: one for each skip, and one for the middle.
int residual_count(const UnetConfig& config);

// The hint: input "hint" [1, 3, h, w], 0 to 1 -> [1, h/s * w/s, channels], where s is hint_scale(). It depends on the
// picture alone.
Graph hint_graph(const ControlnetConfig& config, int64_t height, int64_t width);
int hint_scale(const ControlnetConfig& config);  // pixels for each latent pixel

// Inputs as unet_graph()'s; then "hint" [rows, height * width, channels], what hint_graph() gave; "scales" [rows,
// residuals], fp32; and if it `adds`, "residual_0", "residual_1" ..., which the result is added to. Outputs: a residual
// for each skip of the U-Net in the order of its down path, then the middle's, each times its scale: [rows * cfg_copies,
// height * width of that map, channels], in the type size.passed.
Graph controlnet_graph(const ControlnetConfig& config, const LatentSize& size, bool adds);

// Input "hint" [1, channels, h, w], 0 to 1, unshuffled by the adapter's scale (unshuffle()): [1, channels * scale^2,
// h/scale, w/scale]. Outputs: the features in the order in which the U-Net takes them, [1, height * width, channels].
// height and width: the picture's, multiples of size_multiple().
Graph t2i_graph(const T2iConfig& config, int64_t height, int64_t width);

int64_t size_multiple(const T2iConfig& config);

}  // namespace inkstone
