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

// tokens: ids, [n, 77] int32, or their vectors, [n, 77, width] fp32: rows of kTokenVectors, or others in their place.
// end: [n, 1] int32, the place of each row's end token among all rows' tokens (77 row + place); only when
// config.projection.
ClipOutputs clip(Scope s, const ClipConfig& config, Value tokens, Value end = {});

inline constexpr const char* kTokenVectors = "text_model.embeddings.token_embedding.weight";

enum class ClipInput { kIds, kVectors };
// Inputs "ids" (or "vectors") and, if the config has a projection, "end"; outputs the text and the pooled text.
Graph clip_graph(const ClipConfig& config, int64_t rows, ClipInput kind = ClipInput::kIds);

}  // namespace inkstone
