// What the batcher begins with, before anything has run.
#pragma once

#include "diffusion/engine.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

// Operations in a second that are usual on the device of an engine; it is probed for them.
double estimated_speed(Engine& engine);
// Of the model's default size: its work at that speed.
ShapeTimes estimate(const Pipeline& model, double speed);

}  // namespace inkstone::serve
