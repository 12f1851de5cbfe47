// CLIP's text encoder. Weight names are those of transformers, as Stable Diffusion publishes them
// ("text_model.").
#pragma once

#include "models/config.h"
#include "models/layers.h"

namespace inkstone {

struct ClipOutputs {
  Value text;      // [n, 77, width]
  Value pooled{};  // [n, projection], only when config.projection
};

// ids: [n, 77] int32. end: [n, 1] int32, the place of each row's end token among all rows' tokens
// (77 row + place); only when config.projection.
ClipOutputs clip(Scope s, const ClipConfig& config, Value ids, Value end = {});

// Inputs "ids" and, if the config has a projection, "end"; outputs the text and the pooled text.
Graph clip_graph(const ClipConfig& config, int64_t rows);

}  // namespace inkstone
