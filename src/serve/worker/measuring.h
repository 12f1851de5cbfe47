// What a worker does before it is ready: it generates an image and measures what the batcher needs.
#pragma once

#include "diffusion/engine.h"
#include "serve/wire/wire.h"
#include "serve/worker/latent_colours.h"

namespace inkstone::serve {

// Of the model's default size, by its own scheduler. Steps of 1, 2, ... jobs, until a row no longer
// gets cheaper or the seconds are spent; but one and two are always measured. Throws Error where
// the model fails.
ShapeTimes measure(Engine& engine, int max_jobs, double seconds, LatentColours& colours);

}  // namespace inkstone::serve
