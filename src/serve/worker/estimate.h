// What the batcher begins with, before anything has run.
#pragma once

#include "diffusion/engine.h"
#include "serve/wire/wire.h"

namespace inkstone::serve {

// Of the model's default size: its work at a usual part of the device's probed peak.
ShapeTimes estimate(Engine& engine, Precision precision);

}  // namespace inkstone::serve
