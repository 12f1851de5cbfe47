// CLIP's text encoder. Weight names are those of transformers, as Stable Diffusion publishes them
// ("text_model.").
#pragma once

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

// [n, 77] int32 -> last hidden state [n, 77, width]
Value clip(Scope s, const ClipConfig& config, Value ids);

Graph clip_graph(const ClipConfig& config, int64_t rows);  // input "ids"

}  // namespace inkstone
