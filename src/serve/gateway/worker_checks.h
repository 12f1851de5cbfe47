// What a worker says is checked here before anything believes it.
#pragma once

#include "serve/wire/wire.h"

namespace inkstone::serve {

void check(const Hello& hello);  // throws Error with the number that cannot be

// Of pixels, that the answer to this command, for images of this size, may bring.
size_t max_pixel_bytes(const WorkerCommand& command, int width, int height);

}  // namespace inkstone::serve
