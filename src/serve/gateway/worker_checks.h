// What a worker says is checked here before anything believes it.
#pragma once

#include "serve/wire/wire.h"

namespace inkstone::serve {

// They throw Error with the number that cannot be.
void check(const Hello& hello);
void check(const Described& described);  // one with a card
void check(const ShapeTimes& times);

// Of pixels, that the answer to this command, for images of this size, may bring.
size_t max_pixel_bytes(const WorkerCommand& command, int width, int height);

}  // namespace inkstone::serve
