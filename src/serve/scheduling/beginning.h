// What a leg begins with, which says how long that takes.
#pragma once

namespace inkstone::serve {

enum class Beginning {
  kText,
  kImage,   // a picture, or what the leg before has drawn, which the VAE may have to decode and encode
  kNetwork  // such a one that a network enlarges
};

}  // namespace inkstone::serve
